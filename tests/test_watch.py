"""Nodes being watched, on a server that is a stand-in: who samples it, and what its moods do to the figures."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from exporter.config import Keys, Target
from exporter.meters import Meters
from exporter.monitor.shares import SharedBudget
from exporter.monitor.watchdog import Watchdog
from exporter.sampling.hotkeys import Safety
from exporter.sampling.scan import Pace
from exporter.snapshot import Board, HotKeys, NodeStatus, SamplingState, SamplingTotals
from exporter.watch import Order, Shared, Watch, end
from tests.fakes import ReplayServer
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live  # the server is a stand-in, but threads and time are real
LINES = b'+1.000000 [0 127.0.0.1:50000] "GET" "hot:key"\r\n'


class Watched:
    """One exporter's view of the server."""

    def __init__(self, server: ReplayServer, watchdog: Watchdog) -> None:
        target = Target.model_validate({"name": "t", "url": server.url, "sampling": {"window": "10s"}})
        self.board = Board()
        shared = Shared(self.board, Safety(watchdog, SharedBudget(50_000.0)), Meters("0"), Pace(0.1))
        self.watch = Watch(Order(target, Keys()), shared)
        [self.node] = self.watch.nodes

    @property
    def reason(self) -> str:
        """Why it is sampled as it is."""
        state = self.board.latest(self.node, SamplingState)
        return state.reason if state else ""

    @property
    def figures(self) -> HotKeys | None:
        """The figures, if there are any of a key."""
        found = self.board.latest(self.node, HotKeys)
        return found if found and found.keys else None

    @property
    def observed(self) -> float:
        """Seconds observed so far."""
        totals = self.board.latest(self.node, SamplingTotals)
        return totals.observed_seconds if totals else 0.0

    @property
    def up(self) -> bool:
        """Whether the node is up."""
        status = self.board.latest(self.node, NodeStatus)
        return status is not None and status.down is None


@contextmanager
def watching(server: ReplayServer, exporters: int = 1) -> Iterator[list[Watched]]:
    """So many exporters on one server, none of them started."""
    watchdog = Watchdog()
    watched = [Watched(server, watchdog) for _ in range(exporters)]
    try:
        yield watched
    finally:
        end([one.watch for one in watched])
        watchdog.close()


def test_one_samples_and_the_other_takes_over() -> None:
    """The second exporter stands by without figures, and samples once the first has ended."""
    with ReplayServer(LINES, pace=200) as server, watching(server, 2) as (first, second):
        first.watch.start()
        wait_for(lambda: first.figures, 20, "figures of the first")
        second.watch.start()
        wait_for(lambda: second.reason == "standby", 20, "the second to stand by")
        assert second.figures is None
        assert second.up
        end([first.watch])
        wait_for(lambda: second.figures, 20, "figures of the second")


def test_a_server_that_refuses_ping_is_sampled() -> None:
    """MISCONF: marks are made of another command, the node stays up, and the window goes on."""
    with ReplayServer(LINES, pace=200) as server, watching(server) as (only,):
        only.watch.start()
        wait_for(lambda: only.figures, 20, "figures")
        server.misconf = True
        before = only.observed
        wait_for(lambda: only.observed > before + 1.5, 20, "sampling to go on")
        assert only.up


def test_a_clock_that_is_set_begins_a_new_window() -> None:
    """An hour ahead and an hour back: never more observed than time passed, and figures of the new time."""
    with ReplayServer(LINES, pace=200) as server, watching(server) as (only,):
        only.watch.start()
        wait_for(lambda: only.figures, 20, "figures")
        for offset in (3600.0, -3600.0):
            before, server.clock_offset = only.figures, offset
            assert before is not None

            def moved(end: float = before.window_end, offset: float = offset) -> HotKeys | None:
                now = only.figures
                return now if now and (now.window_end - end) * offset > 1000 * abs(offset) else None

            figures = wait_for(moved, 20, "figures of the new time")
            assert figures is not None
            assert 0 <= figures.observed_seconds <= 10
            assert 0 <= only.observed < 60
            assert all(0 <= key.low <= key.rate <= key.high < 1000 for key in figures.keys)
