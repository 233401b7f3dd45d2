"""Samplers that have lost their server: each tries again ever more rarely, and no two at the same moments."""

from __future__ import annotations

import threading

from exporter.config import Keys, Target, hash_secret_of
from exporter.keynames import KeyNames
from exporter.monitor.canary import Canary
from exporter.monitor.governor import Governor
from exporter.monitor.shares import SharedBudget
from exporter.monitor.watchdog import Watchdog
from exporter.sampling.hotkeys import Safety, Sampler
from exporter.snapshot import Board, NodeStatus, SamplingTotals
from exporter.topology import topology_of
from tests.monitor.states import STATUS
from tests.servers import free_port

TRIES = 8


class Waits(threading.Event):
    """A stop event that notes for how long it is waited, does not wait, and is set after some waits."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note it, unless it is the gap before a first burst, which is none."""
        if timeout:
            self.seconds.append(timeout)
        if len(self.seconds) == TRIES:
            self.set()
        return self.is_set()


def waits(port: int, safety: Safety) -> list[float]:
    """How long a sampler of a server that refuses connections waits after each try."""
    target = Target.model_validate({"name": "t", "url": f"redis://127.0.0.1:{port}"})
    topology, keys, board, stop = topology_of(target), Keys(), Board(), Waits()
    [node] = topology.nodes()
    own = topology.own(node)
    board.add(node)
    board.publish(node, STATUS)
    sampler = Sampler(
        board, topology.link(node), own, target.sampling, KeyNames.of(keys, hash_secret_of(keys)),
        Governor(target.sampling), Canary(topology.link(node), own.token), safety,
    )  # fmt: skip
    sampler.run(stop)
    totals = board.latest(node, SamplingTotals)
    assert totals is not None
    assert totals.skips == {"backoff": TRIES}
    assert board.latest(node, NodeStatus) is STATUS
    return stop.seconds


def test_samplers_that_lost_the_same_server_do_not_come_back_together() -> None:
    """Waits double up to two seconds, each a fifth shorter or longer at most, and differ from sampler to sampler."""
    watchdog = Watchdog()
    try:
        safety, port = Safety(watchdog, SharedBudget(50_000.0)), free_port()
        found = [waits(port, safety) for _ in range(5)]
    finally:
        watchdog.close()
    for tries in zip(*found, strict=True):
        assert len(set(tries)) == len(found)
    for seconds in found:
        for at, wait in enumerate(seconds):
            assert 0.8 * min(2.0, 0.2 * 2**at) <= wait <= 1.2 * min(2.0, 0.2 * 2**at)
