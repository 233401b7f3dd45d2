"""Do the intervals cover where traffic is at its worst? Five scenarios through the governor's plans and the window."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import pytest

from exporter.config import Sampling
from tests.sampling.simulation import Simulation, bias, coverage
from tests.scenarios import Scenario, Stream, background, named, once_in, scenarios, steady

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.sampling.simulation import Judgement

SCENARIOS = scenarios()


def half_width(judgements: Sequence[Judgement]) -> float:
    """The median of half the interval over the truth."""
    return median((one.said.high - one.said.low) / 2 / one.truth for one in judgements if one.said and one.truth)


def watch(scenario: Scenario, windows: int, seed: int = 7) -> list[Judgement]:
    """Judge the keys with a shape of their own; the events stay within the budget."""
    simulation = Simulation(scenario, seed)
    judgements = simulation.run(windows)
    assert simulation.events <= 1.05 * Sampling().events_per_second * simulation.now
    return [one for one in judgements if one.key in scenario.judged]


@pytest.mark.parametrize("name", SCENARIOS)
def test_intervals_cover(name: str) -> None:
    """In each of the five scenarios at least 90 % of the intervals hold what the key really did."""
    assert coverage(watch(SCENARIOS[name], 12)) >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_intervals_cover_over_many_windows(name: str) -> None:
    """The same over five hours of traffic, for every group of keys by itself, and nothing is biased."""
    judgements = watch(SCENARIOS[name], 300)
    groups = {one.key.rstrip(b"0123456789") for one in judgements}
    for group in groups:
        those = [one for one in judgements if one.key.startswith(group)]
        assert coverage(those) >= 0.90, group
        assert abs(bias(those)) <= max(0.01, 0.1 * half_width(those)), group


def test_bursts_that_follow_the_load_do_not_bias() -> None:
    """Burst lengths shrink when the load grows; keys that live only then, or never then, are estimated alike."""
    judgements = watch(SCENARIOS["swinging load"], 12)
    for group in (b"always", b"high", b"low"):
        those = [one for one in judgements if one.key.startswith(group)]
        assert abs(bias(those)) <= 0.015, group
        assert half_width(those) <= 0.08, group


@pytest.mark.parametrize("length", [0.02, 0.1, 0.2])
def test_a_clump_that_was_seen_is_not_believed_too_much(length: float) -> None:
    """A key whose minute is one clump, in which one burst fell by luck: its interval knows that this may be luck."""
    clumps = [once_in(60, 5 * n + 1, 25_000, length) for n in range(10)]
    streams = [Stream(f"h{n}", [b"h:%d" % n], clump) for n, clump in enumerate(clumps)]
    judgements = watch(Scenario([background(45_000, 100), *streams]), 10)
    assert coverage([one for one in judgements if one.said is not None]) >= 0.90


def test_small_traffic_is_exact_through_the_governor() -> None:
    """Below the budget the governor joins its slices, and low == rate == high == what was done, in every window."""
    few, some = Stream("few", [b"few"], steady(3.0)), Stream("some", [b"some"], steady(90.0))
    calm = Scenario([background(2000.0, 100), few, some])
    judgements = watch(calm, 3)
    assert len(judgements) == 6
    for one in judgements:
        assert one.said is not None
        assert one.said.low == one.said.rate == one.said.high == one.truth


def test_a_key_seen_once_is_covered() -> None:
    """Rare keys, most of them seen once in a minute or not at all: those that are named have an interval that holds."""
    rare = Scenario([background(50_000, 100), Stream("rare", named("rare", 40), steady(4.0))])
    judgements = [one for one in watch(rare, 6) if one.said is not None]
    assert len(judgements) > 50
    assert coverage(judgements) >= 0.90
