"""A sampler that waits for its next burst publishes the second that ends meanwhile, unless it must not any more."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from exporter.config import Keys, Target, hash_secret_of
from exporter.keynames import KeyNames
from exporter.monitor.canary import Canary
from exporter.monitor.governor import Governor, Plan, SkipReason
from exporter.monitor.keys import CommandTable
from exporter.monitor.session import Limits, Outcome, Slice
from exporter.monitor.shares import SharedBudget
from exporter.monitor.watchdog import Watchdog
from exporter.sampling.hotkeys import Safety, Sampler
from exporter.snapshot import Board, HotKeys, SamplingState, Source
from exporter.topology import topology_of
from tests.monitor.states import STATUS
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.snapshot import Node

START = 1_700_000_000
TABLE = CommandTable.builtin()
PLAN = Plan(False, 0.01, 0.09, Limits(1000, 1 << 20))


class Resting(Sampler):
    """A sampler that has seen one burst, at three tenths of a second, and now waits."""

    def see(self) -> None:
        """The burst."""
        data = b'+%d.301000 [0 127.0.0.1:5] "get" "key"\r\n' % START
        self._ahead = START + 0.31 - time.monotonic()
        self._count(PLAN, Slice(data, START + 0.3, START + 0.31, 1, len(data), 0.0, Outcome.COMPLETE), TABLE)

    def rest(self, stop: threading.Event) -> bool:
        """Wait for two seconds."""
        return self._rest(2.0, PLAN, stop)

    def lose_sight(self) -> None:
        """The canary did not come by."""
        self._silent()


class Meanwhile(threading.Event):
    """A stop event that does not wait: the first time something happens instead."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._left = [happens]

    def wait(self, timeout: float | None = None) -> bool:
        """It happens."""
        if self._left:
            self._left.pop()()
        return False


class Scene(NamedTuple):
    """The sampler, and what others have a hand on."""

    sampler: Resting
    board: Board
    governor: Governor
    node: Node

    @property
    def figures(self) -> HotKeys | None:
        """What is published."""
        return self.board.latest(self.node, HotKeys)


@pytest.fixture
def scene() -> Scene:
    """A sampler that has seen a burst."""
    target = Target.model_validate({"name": "t", "url": f"redis://127.0.0.1:{free_port()}"})
    topology, keys, board = topology_of(target), Keys(), Board()
    [node] = topology.nodes()
    own, governor = topology.own(node), Governor(target.sampling)
    board.add(node)
    board.publish(node, STATUS)
    sampler = Resting(
        board, topology.link(node), own, target.sampling, KeyNames.of(keys, hash_secret_of(keys)),
        governor, Canary(topology.link(node), own.token), Safety(Watchdog(), SharedBudget(50_000.0)),
    )  # fmt: skip
    sampler.see()
    return Scene(sampler, board, governor, node)


def test_a_second_is_published_when_it_ends(scene: Scene) -> None:
    """And not only when the next burst shows that it has ended."""
    assert not scene.sampler.rest(Meanwhile(lambda: None))
    assert scene.figures is not None
    assert [one.key for one in scene.figures.keys] == [b"key"]


def test_a_node_that_is_not_ours_any_more_has_no_figures(scene: Scene) -> None:
    """Whoever says so takes the figures back at once; they stay away."""

    def barred() -> None:
        scene.governor.bar(SkipReason.REPLICA)
        scene.board.withdraw(scene.node, HotKeys)

    scene.sampler.rest(Meanwhile(barred))
    assert scene.figures is None


def test_a_second_that_is_taken_back_is_not_published_when_it_ends(scene: Scene) -> None:
    """Not even where it is the first one."""
    scene.sampler.lose_sight()
    scene.sampler.rest(Meanwhile(lambda: None))
    assert scene.figures is None
    state = scene.board.latest(scene.node, SamplingState)
    assert state is not None
    assert state.source is Source.NONE
