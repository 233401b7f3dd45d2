"""Warming beside others: it knows whether somebody else uses the server, and who does hardly notices."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from benchmarks import warming
from exporter.topology import topology_of
from exporter.warming.goals import target_of
from exporter.warming.placement import OTHERS_SECONDS, Placement
from exporter.warming.writer import OTHERS_PER_SECOND
from tests.databases import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

KEYS = 20_000
ROUNDS = 8
AT_MOST = 1.5


@pytest.fixture
def database() -> Iterator[Database]:
    """A database with sessions."""
    with Database("postgresql") as running:
        running.sessions(KEYS)
        yield running


def placement_on(server: Server, database: Database) -> Placement:
    """Where a job of the benchmark's configuration would write."""
    config = warming.config_of(server, database)
    placement = Placement(topology_of(target_of(config, config.warming.jobs[0])), "cache", 0)
    placement.open()
    return placement


def test_our_own_commands_are_nobody_elses(redis_server: Server) -> None:
    """However many we send, the server is otherwise idle; and who else sends some is noticed at the next look."""
    client = redis_server.client()
    client.execute_command("ACL", "SETUSER", "default", "resetkeys", "~k*")
    with Database("sqlite") as database, closing(placement_on(redis_server, database)) as placement:

        def seen_after(ours: int, theirs: int, key: bytes = b"k") -> float:
            began = time.monotonic()
            for _ in range(ours):
                placement.send([(key, ("SET", key, b"v"))] * 50)
            for _ in range(theirs):
                client.get("k")
            time.sleep(max(0.0, began + OTHERS_SECONDS - time.monotonic()))
            placement.look()
            return placement.others * (time.monotonic() - began)

        client.ping()
        seen_after(0, 0)
        assert seen_after(200, 0) < 5
        assert 490 <= seen_after(200, 500) < 600
        assert placement.others > OTHERS_PER_SECOND
        assert seen_after(200, 100, b"refused") >= 90, "what is refused is not counted by the server"
        client.config_resetstat()
        assert seen_after(0, 0) > OTHERS_PER_SECOND, "nobody knows"
        assert seen_after(200, 0) < 5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_reader_hardly_notices(redis_server: Server, database: Database) -> None:
    """The 99th percentile of single GETs beside a run without a limit, and beside a fenced one."""
    figures = warming.reader(redis_server, database, KEYS, ROUNDS)
    assert figures["reader_beside_p99_ratio"] <= AT_MOST, figures
    assert figures["reader_fenced_p99_ratio"] <= AT_MOST, figures
