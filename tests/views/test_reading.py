"""What is fresh enough to be shown, and what a node is that says nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.serverstats import ServerStats
from exporter.snapshot import Board, Enrichment
from exporter.views.reading import Moment, Reading, iso, read
from tests.views import shop


def reading(seconds: float = 0.0, board: Board | None = None) -> Reading:
    """The cache, so many seconds after NOW."""
    now = Moment(shop.NOW.monotonic + seconds, shop.NOW.wall + seconds)
    return read(board or shop.shop_board(), shop.shop_config(), now, "cache")[0]


def test_nodes_come_in_the_order_of_the_board() -> None:
    """All nodes of all targets, or those of one."""
    board, config = shop.shop_board(), shop.shop_config()
    assert [one.node for one in read(board, config, shop.NOW)] == [shop.CACHE, shop.QUEUE, shop.SESSIONS]
    assert [one.node for one in read(board, config, shop.NOW, "queue")] == [shop.QUEUE]
    assert read(board, config, shop.NOW, "nobody") == ()


def test_fresh_snapshots_are_shown() -> None:
    """Nothing is withheld while everything is fresh."""
    now = reading()
    assert now.up
    assert now.withheld == {}
    assert now.hotkeys == shop.hot_keys()
    assert now.status == shop.status()


@pytest.mark.parametrize(
    ("seconds", "withheld"),
    [(4.3, set()), (4.5, {"hotkeys"}), (5.2, {"hotkeys"}), (5.4, {"hotkeys", "stats"}),
     (17.9, {"hotkeys", "stats"}), (18.1, {"hotkeys", "stats", "native"}),
     (46.9, {"hotkeys", "stats", "native"}), (47.1, {"hotkeys", "stats", "native", "enrichment"})],
)  # fmt: skip
def test_old_snapshots_are_withheld(seconds: float, withheld: set[str]) -> None:
    """5 s for the window, 5 s and one interval for the status, 20 s for native keys, and so on."""
    late = reading(seconds)
    assert set(late.withheld) == withheld
    assert (late.hotkeys is None) == ("hotkeys" in withheld)
    assert (late.status is None) == ("stats" in withheld)
    assert (late.enrichment is None) == ("enrichment" in withheld)
    assert late.down == ("timeout" if "stats" in withheld else None)


def test_a_reading_is_withheld_after_three_intervals() -> None:
    """What the server said of itself is shown for three of its own intervals, however long those are, and no longer."""
    board = shop.shop_board()
    for interval in (1.0, 2.5):
        stats = ServerStats(info={}, taken_at=shop.NOW.monotonic, interval=interval)
        board.publish(shop.CACHE, stats)
        board.publish(shop.CACHE, replace(shop.status(), taken_at=shop.NOW.monotonic, interval=interval))
        assert reading(3 * interval, board).stats is stats
        assert reading(3 * interval + 0.1, board).stats is None


def test_a_node_without_a_status_is_starting() -> None:
    """Before the first answer: down, starting, source none."""
    now = reading(board=Board((shop.CACHE,)))
    assert (now.down, now.source, now.reason, now.stats_last_success) == ("starting", "none", "starting", None)


def test_a_node_that_is_down_says_why() -> None:
    """The reason and its detail come from the probe."""
    board = shop.shop_board()
    board.publish(shop.CACHE, replace(shop.status(), down="auth", detail="the password is wrong"))
    now = reading(board=board)
    assert (now.up, now.down, now.detail) == (False, "auth", "the password is wrong")


def test_the_interval_of_the_target_counts() -> None:
    """A target that is asked every 30 s is not late after 10."""
    config = shop.shop_config()
    target = config.targets[0]
    slow = target.model_copy(update={"stats": target.stats.model_copy(update={"interval": 30.0})})
    config = config.model_copy(update={"targets": (slow,)})
    late = Moment(shop.NOW.monotonic + 30, shop.NOW.wall)
    assert read(shop.shop_board(), config, late)[0].up


def test_facts_without_a_run_are_none() -> None:
    """A node whose keys were never looked up has no enrichment."""
    board = Board((shop.CACHE,))
    board.publish(shop.CACHE, Enrichment({}, taken_at=shop.NOW.monotonic - 1000))
    assert reading(board=board).enrichment is None


def test_wall_times_are_written_in_utc() -> None:
    """ISO 8601 with milliseconds and Z."""
    assert iso(1_767_225_600.25) == "2026-01-01T00:00:00.250Z"
    assert shop.NOW.iso == "2026-01-01T00:00:00.250Z"
