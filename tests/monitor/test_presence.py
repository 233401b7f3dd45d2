"""Whose turn it is to sample a node, by what CLIENT LIST says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import redis

from exporter.errors import DownReason, NodeError
from exporter.monitor.presence import LOOK_SECONDS, MOST_CLIENTS, STANDBY_LOOK_SECONDS, Presence, samplers
from exporter.snapshot import Node
from exporter.stats.prober import unreachable
from tests.fakes import FakeClock

UP = replace(
    unreachable(NodeError("r:6379", "connect", DownReason.REFUSED), 0.0), down=None, role="master", connected_clients=9
)
OTHER = b"id=%d addr=10.0.0.9:5 laddr=r:6379 fd=8 name=hotkey-exporter:sampler age=9 idle=%d flags=N db=0\n"


class FakeLink:
    """A connection with an id, on a server that knows some other samplers: id -> idle seconds."""

    def __init__(self) -> None:
        self.node = Node("cache", "r:6379")
        self.client_id = 50
        self.is_open = True
        self.name = "hotkey-exporter"
        self.others: dict[int, int] = {}
        self.refuses = False
        self.lists = 0

    def call(self, *words: Any) -> Any:
        """CLIENT SETNAME and CLIENT LIST."""
        if words[1] == "SETNAME":
            self.name = words[2]
            return b"OK"
        self.lists += 1
        if self.refuses:
            raise redis.exceptions.NoPermissionError
        ours = b"id=%d addr=10.0.0.1:5 name=%b idle=0 flags=N\n" % (self.client_id, self.name.encode())
        return b"".join(OTHER % other for other in self.others.items()) + ours


class Bench:
    """A presence and its surroundings."""

    def __init__(self) -> None:
        self.link, self.clock = FakeLink(), FakeClock()
        self.presence = Presence(self.link, self.clock)  # type: ignore[arg-type]

    def look(self, *, wanted: bool = True, after: float = 60.0, clients: int = 9) -> bool:
        """Look, some time later."""
        self.clock.advance(after)
        return self.presence.look(replace(UP, connected_clients=clients), wanted=wanted)


@pytest.fixture
def bench() -> Bench:
    """Alone on the node."""
    return Bench()


def test_the_oldest_connection_samples(bench: Bench) -> None:
    """Older ones go first, younger ones do not; when the older one ends, it is our turn."""
    assert not bench.look()
    assert bench.link.name == "hotkey-exporter:sampler"
    bench.link.others = {51: 0}
    assert not bench.look()
    bench.link.others = {49: 0, 51: 0}
    assert bench.look()
    bench.link.others = {51: 0}
    assert not bench.look()


def test_one_that_hangs_does_not_count(bench: Bench) -> None:
    """A frozen exporter, or one whose host is lost, keeps its connection and not its turn."""
    bench.link.others = {49: 15}
    assert bench.look()
    bench.link.others = {49: 16}
    assert not bench.look()


def test_who_does_not_want_to_sample_takes_no_turn(bench: Bench) -> None:
    """It says so by its name, does not ask, and takes up its place when it wants to again."""
    bench.link.others = {49: 0}
    assert bench.look()
    assert not bench.look(wanted=False)
    assert bench.link.name == "hotkey-exporter"
    lists = bench.link.lists
    assert not bench.look(wanted=False)
    assert bench.link.lists == lists
    assert bench.look(after=0.0)


def test_a_new_connection_is_named_anew(bench: Bench) -> None:
    """After a reconnect the name is that of any client of ours, and the id another one."""
    assert not bench.look()
    bench.link.client_id, bench.link.name = 60, "hotkey-exporter"
    bench.link.others = {51: 0}
    assert bench.look(after=0.0)
    assert bench.link.name == "hotkey-exporter:sampler"


def test_looks_are_rare(bench: Bench) -> None:
    """Every LOOK_SECONDS, more often while standing by, and never at a server with very many clients."""
    bench.look()
    bench.look(after=LOOK_SECONDS - 0.1)
    assert bench.link.lists == 1
    bench.link.others = {49: 0}
    bench.look(after=0.2)
    bench.look(after=STANDBY_LOOK_SECONDS + 0.1)
    assert bench.link.lists == 3
    assert not bench.look(clients=MOST_CLIENTS + 1)
    assert bench.link.lists == 3


def test_without_the_right_everybody_samples(bench: Bench) -> None:
    """One refusal is enough: it is an error in the server's statistics each time."""
    bench.link.refuses, bench.link.others = True, {49: 0}
    assert not bench.look()
    assert not bench.look()
    assert bench.link.lists == 1


def test_old_servers_and_odd_lines_are_read() -> None:
    """Fields in any order, none at all, other names: only samplers that say their id count."""
    text = b"name=hotkey-exporter:sampler id=7 idle=1\nid=8 name=hotkey-exporter:sampler2 idle=0\nname=\n\nid=x name="
    assert list(samplers(text + b"hotkey-exporter:sampler idle=0\n")) == [7]
    assert list(samplers(None)) == []
