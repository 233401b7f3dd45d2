"""Warming beside others: it knows whether somebody else uses the server, and who does hardly notices."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from benchmarks import warming
from exporter.topology import topology_of
from exporter.warming.goals import target_of
from exporter.warming.placement import Placement
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


def test_our_own_commands_are_nobody_elses(redis_server: Server) -> None:
    """However many we send, the server is otherwise idle; and who else sends some is noticed at the next look."""
    config = warming.config_of(redis_server, Database("sqlite"))
    placement = Placement(topology_of(target_of(config, config.warming.jobs[0])), "cache", 0)
    placement.open()
    client = redis_server.client()
    client.ping()
    placement.look()

    def seen_after(ours: int, theirs: int) -> float:
        began = time.monotonic()
        for _ in range(ours):
            placement.send([(b"k", ("SET", b"k", b"v"))] * 50)
        for _ in range(theirs):
            client.get("k")
        placement.look()
        return placement.others * (time.monotonic() - began)

    assert seen_after(200, 0) < 5
    assert 490 <= seen_after(200, 500) < 600
    assert placement.others > OTHERS_PER_SECOND
    placement.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_reader_hardly_notices(redis_server: Server, database: Database) -> None:
    """The 99th percentile of single GETs beside a run without a limit, and beside a fenced one."""
    figures = warming.reader(redis_server, database, KEYS, ROUNDS)
    assert figures["reader_beside_p99_ratio"] <= AT_MOST, figures
    assert figures["reader_fenced_p99_ratio"] <= AT_MOST, figures
