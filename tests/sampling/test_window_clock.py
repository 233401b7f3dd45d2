"""A window goes by the server's clock, and whatever that clock does, it says what it covers."""

from __future__ import annotations

from exporter.sampling.window import Estimate, KeyEstimate, Piece, Window
from tests.sampling.pieces import START, counts, exact_second, feed, piece, slices


def test_advance_tells_of_every_second_that_ended() -> None:
    """Seconds that a piece has closed are reported by the next call, once."""
    window = Window()
    assert not window.advance(START)
    window.add(piece(START + 0.5, START + 0.51, counts(a=1)))
    assert not window.advance(START + 0.9)
    window.add(piece(START + 1.1, START + 1.12, counts(a=1)))
    assert window.advance(START + 1.12)
    assert not window.advance(START + 1.5)
    assert window.advance(START + 2.0)
    assert not window.advance(START + 1.0)


def test_the_window_moves_on_without_pieces() -> None:
    """What is older than the window leaves, observed or not."""
    window = Window(10)
    exact_second(window, START, counts(a=5))
    window.advance(START + 10)
    assert window.top(1)[0].rate == 5.0
    window.advance(START + 11)
    assert window.top(1) == []
    assert window.keys_seen == 0
    assert window.total() == Estimate(0.0, 0.0, 0.0)
    assert window.window_end == START + 11


def test_a_small_step_back_loses_nothing() -> None:
    """A clock set back by less than a second: what follows counts for the open second, with its own length."""
    window = Window()
    exact_second(window, START, counts(a=100))
    feed(window, slices(START + 1, START + 1.25, counts(a=25)))
    feed(window, slices(START + 0.75, START + 1, counts(a=25)))
    exact_second(window, START + 1, counts(a=100))
    window.advance(START + 2)
    assert window.top(1) == [KeyEstimate(0, b"a", 100.0, 100.0, 100.0, 0.0)]
    assert window.observed_seconds == 2.5


def test_a_large_step_back_starts_a_new_window() -> None:
    """Figures from before a clock was set back by more than a second are given up."""
    window = Window()
    exact_second(window, START, counts(a=100))
    exact_second(window, START - 5, counts(b=10))
    window.advance(START - 4)
    assert window.top(5) == [KeyEstimate(0, b"b", 10.0, 10.0, 10.0, 0.0)]
    assert window.window_end == START - 4


def test_a_jump_forward_leaves_a_gap() -> None:
    """A clock set forward by more than the window empties it; the next second counts as usual."""
    window = Window(10)
    exact_second(window, START, counts(a=100))
    exact_second(window, START + 1000, counts(b=10))
    window.advance(START + 1001)
    assert window.top(5) == [KeyEstimate(0, b"b", 10.0, 10.0, 10.0, 0.0)]
    assert window.observed_seconds == 1.0


def test_a_wrong_now_does_not_stop_the_window() -> None:
    """After `advance` with a time far ahead, pieces on the true clock start a new window."""
    window = Window(10)
    exact_second(window, START, counts(a=100))
    window.advance(START + 5000)
    exact_second(window, START + 1, counts(a=10))
    assert window.advance(START + 2)
    assert window.top(1)[0].rate == 10.0


def test_before_anything_was_observed() -> None:
    """An empty window answers every question."""
    window = Window()
    assert window.top(5) == window.recent(5) == window.groups(str, 5) == []
    assert window.total() == Estimate(0.0, 0.0, 0.0)
    assert window.commands_per_second == window.observed_seconds == window.duty_ratio == window.floor == 0.0
    assert window.window_end == 0.0
    assert window.over(0.0) == 0
    window.add(Piece(START + 0.5, START + 0.5, 0.1, 1, counts(a=1)))  # a burst without length says nothing
    window.advance(START + 1)
    assert window.top(5) == []
