"""A deployment that changes all the time: whatever comes and goes, no thread and no connection stays behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import Keys, Target
from exporter.meters import Meters
from exporter.monitor.shares import SharedBudget
from exporter.monitor.watchdog import Watchdog
from exporter.sampling.hotkeys import Safety
from exporter.sampling.scan import Pace
from exporter.snapshot import Board, Node, NodeStatus
from exporter.topology import Member, Role
from exporter.watch import Order, Shared, Watch, end
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.link import Link
    from exporter.snapshot import Certificates
    from tests.servers import Server, StartServer


class Restless:
    """Three nodes whose roles turn in a circle, and one of which comes and goes; another answer each time."""

    def __init__(self, servers: list[Server], changes: int) -> None:
        self._addresses = [server.addr for server in servers]
        self.seeds = tuple(self._addresses[:1])
        self.left = changes

    @property
    def certificates(self) -> dict[str, Certificates]:
        """None of its own."""
        return {}

    def find(self, known: tuple[Member, ...], connect: Callable[[str], Link]) -> tuple[Member, ...]:
        """The next state, until there are no changes left."""
        if known and self.left == 0:
            return known
        self.left -= bool(known)
        turn = self.left % 6
        first, second, third = self._addresses[turn % 3 :] + self._addresses[: turn % 3]
        replicas = (Member(second, Role.REPLICA, "s"), *([Member(third, Role.REPLICA, "s")] if turn % 2 else []))
        return (Member(first, Role.UNDECIDED if turn == 4 else Role.PRIMARY, "s"), *replicas)

    def wait(self, stop: threading.Event) -> None:
        """Some moments, so that threads have begun what they are for."""
        stop.wait(0.05)

    def hurry(self) -> None:
        """It is in a hurry anyway."""

    def close(self) -> None:
        """Nothing was opened."""


@pytest.mark.parametrize("changes", [12, pytest.param(100, marks=pytest.mark.slow)])
def test_changes_leave_nothing_behind(start_server: StartServer, changes: int) -> None:
    """After many changes there are as many threads as the nodes that are left have, and in the end none."""
    servers = [start_server() for _ in range(3)]
    clients: list[Any] = [server.client() for server in servers]
    before = {thread.name for thread in threading.enumerate()}
    board, watchdog = Board(), Watchdog()
    safety = Safety(watchdog, SharedBudget(50_000.0))
    target = Target.model_validate({"name": "t", "url": servers[0].url, "topology": "cluster"})
    watch = Watch(Order(target, Keys()), Shared(board, safety, Meters("0"), Pace(0.1)))
    restless = watch.topology.discovery = Restless(servers, changes)
    watch.start()
    try:
        wait_for(lambda: restless.left == 0, 100, "all changes")
        nodes = [Node("t", servers[0].addr), Node("t", servers[1].addr)]
        wait_for(lambda: all(board.latest(node, NodeStatus) for node in nodes), 10, "the nodes that are left")
        wait_for(lambda: len(ours(before)) <= 1 + 3 * len(nodes) + 1, 10, "the threads of two nodes and their follower")
        assert set(board.nodes) == set(nodes)
        wait_for(
            lambda: len(clients[2].client_list()) == 1, 10, "the connections to the node that has gone to be closed"
        )
    finally:
        end([watch])
        watchdog.close()
    wait_for(lambda: not ours(before), 5, "all threads to end")
    wait_for(lambda: all(len(client.client_list()) == 1 for client in clients), 5, "all connections to be closed")


def ours(before: set[str]) -> set[str]:
    """The threads that were not there before."""
    return {thread.name for thread in threading.enumerate()} - before
