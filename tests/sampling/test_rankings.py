"""Which keys a window names: the largest, those that rise, those over a threshold, and the rates of groups."""

from __future__ import annotations

import random

import pytest

from exporter.sampling.window import KeyEstimate, Window
from exporter.snapshot import GroupRate
from tests.sampling.pieces import START, by_key, counts, exact_second, piece, prefix


def test_top_and_recent() -> None:
    """The top is over the window, the recent top over its last closed seconds; both estimate over the window."""
    window = Window(10)
    for second in range(START, START + 10):
        exact_second(window, second, counts(steady=100, new=900) if second == START + 9 else counts(steady=100, old=95))
    window.advance(START + 10)
    assert [one.key for one in window.top(3)] == [b"steady", b"new", b"old"]
    assert [one.key for one in window.top(1)] == [b"steady"]
    assert window.recent(1, 3) == [KeyEstimate(0, b"new", 90.0, 90.0, 90.0, 0.0)]
    assert [one.key for one in window.recent(9, 1)] == [b"new", b"steady"]
    assert window.top(0) == []


def test_a_new_key_is_named_among_hotter_ones() -> None:
    """Fifty keys are hotter than one that has just begun: it is the first of the recent ones, until it is no news."""
    window, steady = Window(60), {(0, b"k%d" % n): (100 + n, 0) for n in range(50)}
    for second in range(START, START + 20):
        exact_second(window, second, steady | ({(0, b"new"): (40, 0)} if second >= START + 18 else {}))
    window.advance(START + 20)
    assert [one.key for one in window.recent(30)][:2] == [b"new", b"k49"]
    assert len({one.key for one in window.recent(30)}) == 30
    for second in range(START + 20, START + 90):
        exact_second(window, second, steady | {(0, b"new"): (40, 0)})
    window.advance(START + 90)
    assert b"new" not in {one.key for one in window.recent(30)}


def test_chance_is_no_rise() -> None:
    """Keys that are seen a few times in bursts, now and then, do not push out those with the most accesses."""
    window, rng = Window(60), random.Random(5)
    for second in range(START, START + 60):
        for at in range(10):
            seen = {(0, b"r%d" % rng.randrange(3000)): (1, 0) for _ in range(400)}
            hot = {(0, b"hot%d" % n): (rng.randrange(8, 13), 0) for n in range(30)}
            window.add(piece(second + at / 10, second + at / 10 + 0.01, seen | hot))
    window.advance(START + 60)
    assert all(one.key.startswith(b"hot") for one in window.recent(30))


def test_equal_keys_keep_their_places() -> None:
    """Among keys of the same rate the ones that were there first stay, so that labels do not churn."""
    window = Window(60)
    for second in range(START, START + 5):
        exact_second(window, second, {(0, b"k%d" % n): (1, 0) for n in range(second - START, second - START + 50)})
        window.advance(second + 1)
    first = [one.key for one in window.top(20)]
    exact_second(window, START + 5, {(0, b"k%d" % n): (1, 0) for n in range(50)})
    window.advance(START + 6)
    assert len({one.key for one in window.top(20)} & set(first)) >= 16


def test_keys_surely_over_a_threshold() -> None:
    """Counted are keys whose low end is above the threshold, not those whose estimate is."""
    window = Window()
    for at in range(10):
        window.add(piece(START + at / 10, START + at / 10 + 0.01, counts(hot=50, warm=2 + at % 2, cold=1)))
    window.advance(START + 1)
    assert window.over(200.0) == 1
    exact = Window()
    exact_second(exact, START, counts(a=10, b=11, c=12))
    exact.advance(START + 1)
    assert exact.over(10.0) == 2


@pytest.mark.parametrize("threshold", [1.0, 16.7, 40.0, 90.0, 200.0, 900.0])
def test_counting_looks_at_few_keys_and_misses_none(threshold: float) -> None:
    """Keys without any chance are passed over: the count is that of all intervals, whatever the threshold."""
    rng, window = random.Random(7), Window()
    for at in range(40):
        seen = {f"k{n}": n_seen for n in range(60) if (n_seen := int(rng.expovariate(1.0) * n / 4))}
        window.add(piece(START + at / 10, START + at / 10 + 0.01, counts(**seen)))
    window.advance(START + 4)
    assert window.over(threshold) == sum(one.low > threshold for one in window.top(60))


def test_groups_add_up() -> None:
    """The largest groups by database, and what is left of each database in `other`."""
    window = Window()
    seen = {(0, b"u:1"): (10, 0), (0, b"u:2"): (5, 0), (0, b"s:1"): (9, 0), (0, b"t:1"): (2, 0), (1, b"u:1"): (3, 0),
            (0, b"v:1"): (1, 0)}  # fmt: skip
    exact_second(window, START, seen)
    window.advance(START + 1)
    assert window.groups(prefix, 3) == [
        GroupRate(0, "u", 15.0), GroupRate(0, "s", 9.0), GroupRate(1, "u", 3.0), GroupRate(0, "other", 3.0),
    ]  # fmt: skip
    assert window.groups(lambda _: "other", 1) == [GroupRate(0, "other", 27.0), GroupRate(1, "other", 3.0)]


def test_groups_follow_the_window() -> None:
    """Groups of keys that left go; a slot that another key took over counts for that key's group."""
    window, named = Window(2), []

    def name_of(key: bytes) -> str:
        named.append(key)
        return prefix(key)

    for second in range(START, START + 40):
        exact_second(window, second, {(0, b"g%d:%d" % (second, n)): (1, 0) for n in range(100)})
        window.advance(second + 1)
        groups = window.groups(name_of, 10)
        assert {one.group for one in groups} == {f"g{s}" for s in (second - 1, second) if s >= START}
    assert len(named) == 4000  # each key once


def test_groups_without_bound_are_forgotten() -> None:
    """When every key has a group of its own, the names of those that left do not pile up."""
    window = Window(2)
    for second in range(START, START + 30):
        exact_second(window, second, {(0, b"%d-%d" % (second, n)): (1, 0) for n in range(200)})
        window.advance(second + 1)
        groups = window.groups(prefix, 1000)
        assert sum(one.rate for one in groups) == pytest.approx(200.0)
    assert len(window._ledger._group_numbers) < 2500


def test_rising_names_what_is_surely_over_the_threshold_lately() -> None:
    """A key that started two seconds ago is rising long before its rate over the window is above the threshold."""
    window = Window(60)
    for second in range(1000, 1040):
        exact_second(window, second, counts(steady=5))
    for second in (1040, 1041):
        exact_second(window, second, counts(steady=5, new=83))
    window.advance(1042.0)
    assert window.rising(16.7) == {(0, b"new")}
    assert by_key(window.top(2))[b"new"].low < 16.7
    assert window.exact


def test_a_few_sampled_accesses_are_not_a_rise() -> None:
    """Two accesses in a short burst stand for many, and for too little to be sure of."""
    window = Window(60)
    for second in range(1000, 1004):
        accesses = {(0, b"rare"): (2, 0)} if second == 1002 else {}
        window.add(piece(second + 0.1, second + 0.11, accesses))
    window.advance(1004.0)
    assert window.rising(5.0) == frozenset()
    assert not window.exact
