"""The promises of the label budget: few labels at a time, few new ones in any hour, and hot ones first."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.sampling.labels import LabelBudget
from exporter.sampling.window import KeyEstimate


def hot(*names: str, rate: float = 10.0) -> list[KeyEstimate]:
    """Make estimates, hottest first."""
    return [KeyEstimate(0, name.encode(), rate, rate, rate, 0.0) for name in names]


def shown(labels: frozenset[tuple[int, bytes]]) -> set[str]:
    """Give the names that were let in."""
    return {key.decode() for _, key in labels}


def test_the_tops_of_both_lists_are_shown() -> None:
    """What is hot over the window and what is hot now are both shown, and no more."""
    budget = LabelBudget(2, 100)
    assert shown(budget.choose(0.0, hot("a", "b", "c"), hot("x", "a", "y"), 100.0)) == {"a", "b", "x"}
    assert budget.suppressed == 0


def test_a_key_that_cooled_down_goes_at_once() -> None:
    """A key that neither list has any more is gone from the next choice, however new it is."""
    budget = LabelBudget(2, 100)
    budget.choose(0.0, hot("a", "b"), [], 100.0)
    assert shown(budget.choose(1.0, hot("a", "c"), [], 100.0)) == {"a", "c"}


def test_a_shown_key_is_not_dropped_for_a_place_or_two() -> None:
    """Within 1.5 times the top a shown key stays; below it goes, once it has been there for ten seconds."""
    budget = LabelBudget(2, 100)
    budget.choose(0.0, hot("a", "b"), [], 100.0)
    assert shown(budget.choose(11.0, hot("c", "d", "a", "b"), [], 100.0)) == {"a", "c", "d"}
    assert shown(budget.choose(12.0, hot("e", "a", "d", "c"), [], 100.0)) == {"a", "c", "d", "e"}
    assert shown(budget.choose(22.0, hot("e", "a", "d", "c"), [], 100.0)) == {"a", "d", "e"}


def test_keys_that_were_not_shown_do_not_profit_from_staying() -> None:
    """Ranks between top and 1.5 times top let nobody in."""
    assert shown(LabelBudget(2, 100).choose(0.0, hot("a", "b", "c"), [], 100.0)) == {"a", "b"}


def test_new_labels_run_out_and_come_back_after_an_hour() -> None:
    """Past its half of the budget a new key is not shown; an hour after the oldest new label there is room again."""
    budget = LabelBudget(1, 6)
    for second, name in enumerate("abc"):
        assert shown(budget.choose(second, hot(name), [], 100.0)) == {name}
    assert shown(budget.choose(3.0, hot("d"), [], 100.0)) == set()
    assert budget.suppressed == 1
    assert shown(budget.choose(3599.0, hot("d"), [], 100.0)) == set()
    assert shown(budget.choose(3600.0, hot("d"), [], 100.0)) == {"d"}
    assert budget.suppressed == 1


def test_half_is_for_keys_over_the_threshold() -> None:
    """When half of the budget is gone, only a key that is above the threshold gets in, be it only lately."""
    budget = LabelBudget(1, 4)
    for second, name in enumerate("ab"):
        budget.choose(second, hot(name), [], 100.0)
    assert shown(budget.choose(3.0, [], hot("new", rate=20.0), 100.0, frozenset({(0, b"new")}))) == {"new"}
    assert shown(budget.choose(4.0, hot("warm", rate=100.0), [], 100.0)) == set()
    assert shown(budget.choose(5.0, hot("hot", rate=100.1), [], 100.0)) == {"hot"}
    assert shown(budget.choose(6.0, hot("hotter", rate=1000.0), [], 100.0)) == set()


def test_over_the_threshold_comes_before_rank() -> None:
    """Where not all candidates fit the budget, the ones that are surely over the threshold take it."""
    unsure = KeyEstimate(0, b"unsure", 500.0, 1.0, 900.0, 0.0)
    budget = LabelBudget(2, 1)
    assert shown(budget.choose(0.0, [unsure, *hot("sure", rate=200.0)], [], 100.0)) == {"sure"}


def test_a_returning_label_costs_nothing() -> None:
    """A label that was shown within the hour comes back even when the budget is spent."""
    budget = LabelBudget(1, 1)
    assert shown(budget.choose(0.0, hot("a", rate=500.0), [], 100.0)) == {"a"}
    assert shown(budget.choose(1.0, hot("b", rate=500.0), [], 100.0)) == set()
    assert shown(budget.choose(3599.0, hot("a", rate=500.0), [], 100.0)) == {"a"}


def test_suppressed_counts_occasions_not_seconds() -> None:
    """A key that stays hot but unshown counts once; when it leaves the candidates and returns, once more."""
    budget = LabelBudget(1, 0)
    for second in range(10):
        budget.choose(second, hot("a"), [], 100.0)
    assert budget.suppressed == 1
    budget.choose(10.0, hot("b"), [], 100.0)
    assert budget.suppressed == 2
    budget.choose(11.0, hot("a"), [], 100.0)
    assert budget.suppressed == 3


def test_refused_keys_do_not_push_out_shown_ones() -> None:
    """A flood of new keys past the budget leaves the places of those that stay alone."""
    budget = LabelBudget(2, 2)
    budget.choose(0.0, hot("a", "b", rate=500.0), [], 100.0)
    flood = hot("n1", "n2", "a", "b", rate=500.0)
    assert shown(budget.choose(5.0, flood, hot("n3", "n4", rate=500.0), 100.0)) == {"a", "b"}


NAMES = st.lists(st.sampled_from([f"k{n}" for n in range(30)]), unique=True, max_size=12)
STEP = st.tuples(st.floats(0.0, 2000.0), NAMES, NAMES, st.sampled_from([1.0, 100.0]))


@settings(max_examples=200)
@given(top=st.integers(1, 5), most=st.integers(0, 12), steps=st.lists(STEP, max_size=40))
def test_bounds_hold_whatever_comes(
    top: int, most: int, steps: list[tuple[float, list[str], list[str], float]]
) -> None:
    """At most 2 * top shown, all of them in the lists; new ones and distinct ones bounded in every hour."""
    budget = LabelBudget(top, most)
    now, last, new, suppressed = 0.0, {}, deque(), 0
    history: deque[tuple[float, frozenset[tuple[int, bytes]]]] = deque()
    for wait, window_top, recent_top, rate in steps:
        now += wait
        labels = budget.choose(now, hot(*window_top, rate=rate), hot(*recent_top), 50.0)
        assert len(labels) <= 2 * top
        assert shown(labels) <= {*window_top, *recent_top}
        assert budget.suppressed >= suppressed
        suppressed = budget.suppressed
        new.extend(now for label in labels if label not in last or last[label] <= now - 3600.0)
        last.update(dict.fromkeys(labels, now))
        assert sum(at > now - 3600.0 for at in new) <= most
        history.append((now, labels))
        distinct = frozenset().union(*(one for at, one in history if at > now - 3600.0))
        assert len(distinct) <= most + 2 * top
