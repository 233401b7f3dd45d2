"""The promises of the window: exact where everything was seen, honest where not, and never corrupted by a clock."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.memory import window_bytes
from exporter.sampling.interval import interval
from exporter.sampling.window import Estimate, KeyEstimate, Piece, Window
from tests.sampling.pieces import START, by_key, counts, exact_second, feed, piece, prefix, slices

# --- everything was observed -----------------------------------------------------------------------------------------


def test_full_observation_is_exact() -> None:
    """A minute seen in full gives the true count over 60, with low == rate == high to the last bit."""
    window, rng, truth = Window(), random.Random(1), {}
    for second in range(START, START + 60):
        seen = {(0, b"k%d" % n): (rng.randrange(1, 400), 0) for n in range(30) if rng.random() < 0.7}
        seen[3, b"w"] = (3, 2)
        exact_second(window, second, seen)
        for key, (count, _) in seen.items():
            truth[key] = truth.get(key, 0) + count
    assert window.advance(START + 60)
    found = {(one.db, one.key): one for one in window.top(100)}
    assert found.keys() == truth.keys()
    for key, one in found.items():
        assert one.low == one.rate == one.high == truth[key] / 60
    assert found[3, b"w"].writes_rate == 2.0
    everything = sum(truth.values()) / 60
    assert window.total() == Estimate(everything, everything, everything)
    assert window.commands_per_second == 28.0
    assert window.observed_seconds == 60.0
    assert window.duty_ratio == 1.0
    assert window.window_end == START + 60
    assert window.floor == 0.0


def test_a_short_first_second_counts_for_its_length() -> None:
    """Sampling that begins in mid-second divides by the time it saw, exactly."""
    window = Window()
    feed(window, slices(START + 0.75, START + 1, counts(a=100)))
    exact_second(window, START + 1, counts(a=400))
    window.advance(START + 2)
    assert window.top(1) == [KeyEstimate(0, b"a", 400.0, 400.0, 400.0, 0.0)]
    assert window.observed_seconds == 1.25


def test_gaps_are_gaps_and_not_zeros() -> None:
    """Seconds without observation are left out of the mean; a run that ends early is exact for what it saw."""
    window = Window()
    exact_second(window, START, counts(a=100))
    feed(window, slices(START + 1, START + 1.5, counts(a=50)))
    exact_second(window, START + 30, counts(a=100))
    window.advance(START + 31)
    assert window.top(1) == [KeyEstimate(0, b"a", 100.0, 100.0, 100.0, 0.0)]
    assert window.observed_seconds == 2.5
    assert window.duty_ratio == 2.5 / 31


def test_a_joined_run_with_a_hole_is_a_sample() -> None:
    """Where slices do not meet, the second is estimated, and has an error."""
    window = Window()
    feed(window, slices(START, START + 0.4, counts(a=40), [START + 0.2]))
    feed(window, slices(START + 0.5, START + 1, counts(a=50)))
    window.advance(START + 1)
    (one,) = window.top(1)
    assert one.rate == pytest.approx(100.0, abs=0.01)
    assert one.low < one.rate < one.high


def test_a_boundary_slice_without_length_keeps_its_accesses() -> None:
    """A slice that ends on the whole second may hand an access to the next second: it counts."""
    window = Window()
    exact_second(window, START, counts(a=1))
    window.add(Piece(START + 1, START + 1, 0.0, 1, counts(a=1), joined=True))
    exact_second(window, START + 1, counts(a=1))
    window.advance(START + 2)
    assert window.top(1)[0].low == window.top(1)[0].high == 1.5
    assert window.observed_seconds == 2.0


def test_sampled_minutes_leave_no_dust() -> None:
    """After a sampled minute has left, a minute seen in full is exact again, for keys that were there throughout."""
    window, rng = Window(10), random.Random(2)
    for second in range(START, START + 20):
        for at in (0.1, 0.3, 0.7):
            seen = {(0, b"k%d" % n): (rng.randrange(1, 10**6), 1) for n in range(20)}
            window.add(piece(second + at, second + at + rng.uniform(0.001, 0.1), seen, 0.33))
    for second in range(START + 20, START + 30):
        exact_second(window, second, {(0, b"k%d" % n): (n + 1, 1) for n in range(20)})
    window.advance(START + 30)
    for n in range(20):
        assert by_key(window.top(20))[b"k%d" % n] == KeyEstimate(0, b"k%d" % n, n + 1.0, n + 1.0, n + 1.0, 1.0)


# --- a sample was observed -------------------------------------------------------------------------------------------


def test_the_estimator_by_hand() -> None:
    """Rate, variance and degrees of freedom of one sampled second are what the formulas say."""
    window = Window()
    bursts = [(0.1, 0.01, 0.1, 12), (0.4, 0.02, 0.2, 5), (0.8, 0.01, 0.15, 0)]  # at, length, cycle, count
    for at, length, cycle, count in bursts:
        window.add(piece(START + at, START + at + length, counts(a=count) if count else {}, cycle))
    window.advance(START + 1)
    total = sum(cycle for _, _, cycle, _ in bursts)
    parts = [cycle / total * count / length for _, length, cycle, count in bursts]
    rate = sum(parts)
    deviations = [part - cycle / total * rate for part, (_, _, cycle, _) in zip(parts, bursts, strict=True)]
    factor = (1 - 0.04) * 3 / 2
    variance = factor * sum(d**2 for d in deviations)
    degrees = min(2.0, max(3.0, variance**2 / (factor**2 * sum(d**4 for d in deviations))))
    expected = interval(rate, variance, degrees)
    (one,) = window.top(1)
    assert (one.rate, one.low, one.high) == pytest.approx((expected.rate, expected.low, expected.high), rel=0.01)
    total_found = window.total()
    assert total_found.low == pytest.approx(one.low, rel=0.01)
    assert total_found.high == pytest.approx(one.high, rel=0.01)


def test_burst_length_that_follows_the_load_does_not_bias() -> None:
    """Bursts are weighted by the cycle they stand for: a short one in a busy moment counts as much as a long one."""
    window = Window()
    window.add(piece(START + 0.1, START + 0.14, counts(a=40), 0.5))  # 1,000 a second
    window.add(piece(START + 0.6, START + 0.61, counts(a=90), 0.5))  # 9,000 a second
    window.advance(START + 1)
    assert window.top(1)[0].rate == pytest.approx(5000.0, rel=1e-4)


def test_even_counts_still_have_poisson_error() -> None:
    """Bursts that happen to agree do not pretend to certainty."""
    window = Window()
    for second in range(START, START + 60):
        for at in range(10):
            window.add(piece(second + at / 10, second + at / 10 + 0.01, counts(a=1)))
    window.advance(START + 60)
    (one,) = window.top(1)
    assert one.rate == pytest.approx(100.0, rel=1e-3)
    spread = 1.96 * math.sqrt(0.9 * 600) / 6
    assert one.high - one.low == pytest.approx(2 * spread, rel=0.05)


def test_seconds_of_one_burst_take_their_spread_from_each_other() -> None:
    """A key that half of the one-burst seconds saw has an interval as wide as seconds differ."""
    window = Window()
    for second in range(START, START + 60):
        window.add(piece(second + 0.5, second + 0.51, counts(a=20, b=10) if second % 2 else counts(b=10), 1.0))
    window.advance(START + 60)
    found = by_key(window.top(2))
    assert found[b"a"].rate == pytest.approx(found[b"b"].rate, rel=1e-3)
    wide, narrow = (found[name].high - found[name].low for name in (b"a", b"b"))
    spread = 2.0 * 1000 * math.sqrt(0.99 / 60)
    assert wide == pytest.approx(2 * spread, rel=0.05)
    assert narrow < wide / 2


def test_a_single_burst_promises_little() -> None:
    """Before there is anything to compare, the interval is as wide as one degree of freedom makes it."""
    window = Window()
    window.add(piece(START + 0.5, START + 0.51, counts(a=10), 1.0))
    window.advance(START + 1)
    (one,) = window.top(1)
    assert 0.0 < one.low < one.rate / 5
    assert one.high > 5 * one.rate


def test_writes_keep_their_share() -> None:
    """Estimated writes follow the share that was seen; a key that was only written, or only read, stays so."""
    window = Window()
    seen = {(0, b"read"): (50, 0), (0, b"write"): (50, 50), (0, b"mixed"): (50, 10), (0, b"hardly"): (900, 1)}
    for at in range(10):
        window.add(piece(START + at / 10, START + at / 10 + 0.01, seen))
    window.advance(START + 1)
    found = by_key(window.top(4))
    assert found[b"read"].writes_rate == 0.0
    assert found[b"write"].writes_rate == found[b"write"].rate
    assert found[b"mixed"].writes_rate == pytest.approx(found[b"mixed"].rate / 5, rel=0.02)
    assert 0.0 < found[b"hardly"].writes_rate < 0.01 * found[b"hardly"].rate


def test_sampling_that_begins_late_does_not_speak_for_the_whole_second() -> None:
    """The end of a burst that crossed into a second weighs as much as the cycle share it carries."""
    window = Window()
    for second in range(START, START + 10):
        for at in range(10):
            window.add(piece(second + at / 10, second + at / 10 + 0.01, counts(a=1)))
    window.add(piece(START + 10, START + 10.001, counts(b=1), 0.0625))
    window.advance(START + 11)
    assert by_key(window.top(2))[b"b"].rate == pytest.approx(62.5 / 10.0625, rel=0.01)  # not 1,000 / 11


def test_an_outage_is_a_gap() -> None:
    """The second after nothing was observed for a while speaks for itself, and not for the time before."""
    window = Window()
    for second in (START, START + 1, START + 30):
        for at in range(10):
            window.add(
                piece(second + at / 10, second + at / 10 + 0.01, counts(**{"b" if second > START + 1 else "a": 1}))
            )
    window.advance(START + 31)
    rates = by_key(window.top(2))
    assert rates[b"b"].rate == pytest.approx(100.0 / 3.0, rel=0.01)


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_a_second_with_too_many_keys_keeps_its_largest() -> None:
    """Dropped keys are covered by the floor: the truth lies between low and high of every key that is known."""
    window, rng, truth = Window(10, 50), random.Random(3), {}
    for second in range(START, START + 10):
        seen = {(0, b"k%d" % n): (rng.randrange(1, 30), 0) for n in rng.sample(range(200), 80)}
        seen[0, b"hot"] = (500, 0)
        exact_second(window, second, seen)
        for key, (count, _) in seen.items():
            truth[key] = truth.get(key, 0) + count
    window.advance(START + 10)
    assert window.floor > 0.0
    hot, *rest = window.top(1000)
    assert (hot.key, hot.low, hot.rate, hot.high) == (b"hot", 500.0, 500.0, 500.0)
    assert all(one.low <= truth[0, one.key] / 10 <= one.high for one in rest)
    known = {one.key for one in rest}
    assert all(count / 10 <= window.floor for (_, key), count in truth.items() if key not in known | {b"hot"})
    assert window.total().rate == sum(truth.values()) / 10
    for second in range(START + 10, START + 20):
        exact_second(window, second, counts(a=1))
    window.advance(START + 20)
    assert window.floor == 0.0
    assert window.top(5) == [KeyEstimate(0, b"a", 1.0, 1.0, 1.0, 0.0)]


def test_a_flood_of_keys_is_bounded_and_does_not_blind() -> None:
    """However many distinct keys pass, the index keeps its bound, and a new hot key still gets in."""
    window, number = Window(60, 100), 0
    for second in range(START, START + 60):
        seen = {(0, b"flood%d" % n): (1, 0) for n in range(number, number + 100)}
        number += 100
        if second >= START + 50:
            seen[0, b"hot"] = (30, 0)
        exact_second(window, second, seen)
    window.advance(START + 60)
    assert window.keys_seen <= 1500
    assert window.top(1)[0].key == b"hot"
    assert window.recent(1)[0].key == b"hot"
    assert window.top(1)[0].low == 5.0
    assert window.floor > 0.0


@pytest.mark.slow
def test_memory_of_a_full_window() -> None:
    """A minute of 5,000 sampled events a second over 10,000 keys of 21 bytes takes at most 4.8 MB."""
    assert window_bytes() <= 4.8e6


# --- whatever comes --------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.floats(-3.0, 3.0).filter(lambda step: step > -3.0),  # since the last piece ended
        st.floats(0.0, 1.0),  # length
        st.floats(0.0, 2.0),  # cycle
        st.booleans(),  # joined
        st.dictionaries(
            st.tuples(st.integers(0, 1), st.sampled_from([b"a", b"b", b"c", b"d:1", b"d:2"])),
            st.tuples(st.integers(1, 10**6), st.floats(0.0, 1.0)),
            max_size=5,
        ),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(1, 5))
def test_any_sequence_of_pieces(
    steps: list[tuple[float, float, float, bool, dict[tuple[int, bytes], tuple[int, float]]]], most: int
) -> None:
    """Intervals keep their order and sign at every moment, and nothing is left when everything has left."""
    window, now = Window(5, most), 1000.0
    for step, length, cycle, joined, seen in steps:
        start = max(0.0, now + step)
        now = min(start + length, math.floor(start) + 1.0)
        accesses = {key: (count, int(count * share)) for key, (count, share) in seen.items()}
        window.add(Piece(start, now, cycle, 1, accesses, joined))
        window.advance(now)
        _check(window)
    window.advance(now + 10.0)
    window.advance(now + 20.0)
    _check(window)
    assert window.keys_seen == 0
    ledger = window._ledger
    for column in (ledger._amounts, ledger._variances, ledger._writes, ledger._fourths, ledger._group_sums):
        assert not any(column)
    assert not ledger._wide
    assert not any((*ledger._covered, *ledger._lone, *ledger._seen, *ledger._unseen))
    assert not ledger._slots


def _check(window: Window) -> None:
    every = window.top(100)
    assert len(every) == window.keys_seen
    for one in (*every, *window.recent(3), window.total()):
        assert 0.0 <= one.low <= one.rate <= one.high < math.inf
    assert all(0.0 <= one.writes_rate <= one.rate for one in every)
    assert [one.rate for one in every] == sorted((one.rate for one in every), reverse=True)
    if not window.floor:
        total = window.total().rate
        assert sum(one.rate for one in every) == pytest.approx(total, rel=1e-3, abs=0.1)
        assert sum(one.rate for one in window.groups(prefix, 2)) == pytest.approx(total, rel=1e-3, abs=0.1)


def test_huge_moments_are_subtracted_to_the_last_digit() -> None:
    """Fourth moments past 64 bits, and the key's return to quiet: no trace of the flood is left."""
    window = Window(5)
    flood = counts(a=10**7)
    for second in range(START, START + 5):
        for at in range(10):
            window.add(piece(second + at / 10, second + at / 10 + 0.001, flood if at == 3 else counts(a=1)))
    window.advance(START + 5)
    assert window._ledger._wide
    quiet = Window(5)
    for second in range(START + 5, START + 11):
        for at in range(10):
            for one in (window, quiet):
                one.add(piece(second + at / 10, second + at / 10 + 0.001, counts(a=1 + at % 2)))
    window.advance(START + 11)
    quiet.advance(START + 11)
    assert window.top(1) == quiet.top(1)
    assert not window._ledger._wide
