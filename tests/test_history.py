"""The last hour: slots, gaps and sums, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from exporter.history import SLOT_SECONDS, SLOTS, History
from exporter.snapshot import Board
from tests.views import shop

if TYPE_CHECKING:
    from collections.abc import Mapping


def noted(*slots: Mapping[str, float], history: History | None = None, first: int = 0) -> History:
    """A history of one scope with these values in slots one after the other."""
    history = history or History()
    for place, values in enumerate(slots, first):
        history.note("node", place * SLOT_SECONDS + 1.0, lambda values=values: dict(values))
    return history


def test_a_curve_is_what_was_noted_with_gaps_where_nothing_was() -> None:
    """A key that was not among the hottest for a while has a gap there, and not a rate of zero."""
    history = noted({"a": 1.0}, {"a": 2.0, "b": 5.0}, {"b": 6.0}, {"a": 4.0})
    assert history.curve("node", ("a",), 35.0, 5) == (None, 1.0, 2.0, None, 4.0)
    assert history.curve("node", ("b",), 35.0, 3) == (5.0, 6.0, None)
    assert history.curve("node", ("c",), 35.0, 2) == (None, None)
    assert history.curve("another", ("a",), 35.0, 2) == (None, None)


def test_several_subjects_are_added_up() -> None:
    """Keys that are written alike are one curve; a gap in one of them is no gap in the sum."""
    assert noted({"a": 1.0, "b": 2.0}, {"b": 3.0}).curve("node", ("a", "b"), 15.0, 2) == (3.0, 3.0)


def test_the_first_value_of_a_slot_stays_and_later_ones_are_not_even_asked_for() -> None:
    """Windows are published several times a second; only one in ten seconds costs anything."""
    history, asked = History(), []
    for at in (0.0, 0.1, 5.0, 9.9, 10.0):
        history.note("node", at, lambda at=at: asked.append(at) or {"a": at})
    assert asked == [0.0, 10.0]
    assert history.curve("node", ("a",), 10.0, 2) == (0.0, 10.0)


def test_an_hour_is_kept_and_no_more() -> None:
    """What is older is forgotten slot by slot, and a curve that paused for longer than that starts anew."""
    history = noted(*({"a": float(place)} for place in range(SLOTS + 10)))
    curve = history.curve("node", ("a",), (SLOTS + 9) * SLOT_SECONDS)
    assert curve == tuple(map(float, range(10, SLOTS + 10)))
    assert history.span((SLOTS + 9) * SLOT_SECONDS) == SLOTS
    noted({"a": 7.0}, history=history, first=10 * SLOTS)
    assert history.curve("node", ("a",), 10.0 * SLOTS * SLOT_SECONDS, 2) == (None, 7.0)


@given(st.lists(st.dictionaries(st.sampled_from("abcdefghij"), st.floats(0, 1e9, width=32)), max_size=40))
def test_there_are_never_more_curves_than_allowed(slots: list[dict[str, float]]) -> None:
    """New keys take the place of those unseen for longest, and never of one that is being drawn on."""
    history, drawn = History(most=4), set[str]()
    for place, values in enumerate(slots):
        noted(values, history=history, first=place)
        at = place * SLOT_SECONDS
        now = {name for name in "abcdefghij" if history.curve("node", (name,), at, 1) != (None,)}
        assert drawn & set(values) <= now
        drawn = now
        assert sum(any(history.curve("node", (name,), at)) or name in now for name in "abcdefghij") <= 4


def test_a_key_that_stays_hot_outlives_those_that_pass() -> None:
    """Session keys that pass through the top by the thousand cannot push out the curve of the key that matters."""
    history = noted(*({"stays": 1.0, f"passes:{place}": 1.0} for place in range(50)), history=History(most=3))
    assert None not in history.curve("node", ("stays",), 49.0 * SLOT_SECONDS, 50)


def test_the_board_notes_what_is_published_and_forgets_with_the_node() -> None:
    """Keys by their raw name, groups, and the node as a whole; nothing of a node that is not watched any more."""
    board = shop.shop_board()
    at = shop.hot_keys().taken_at
    assert board.history.curve(shop.CACHE, (None,), at, 1) == (148_220.0,)
    assert board.history.curve(shop.CACHE, ((0, b"stream:orders"),), at, 1) == (612.25,)
    assert board.history.curve(shop.CACHE, ((0, "flash-sale:*"),), at, 1) == (41_000.5,)
    board.forget([shop.CACHE])
    assert board.history.curve(shop.CACHE, (None,), at, 1) == (None,)
    assert Board().history.span(at) == 1
