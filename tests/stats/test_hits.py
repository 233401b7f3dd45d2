"""The hit ratio is the application's, over the last minutes, whatever happens to the counters."""

from __future__ import annotations

import pytest

from exporter.stats.hits import HitRatio, Reading


def test_growth_counts_and_not_history() -> None:
    """A ratio is about its window: what was counted before is not in it."""
    ratio = HitRatio()
    ratio.add(Reading(0, 1_000_000, 0, 0, 0), "a")
    ratio.add(Reading(30, 1_000_090, 10, 0, 0), "a")
    assert ratio.ratios() == {"1m": 0.9, "5m": 0.9}
    ratio.add(Reading(90, 1_000_090, 110, 0, 0), "a")
    assert ratio.ratios() == {"1m": 0.0, "5m": pytest.approx(90 / 200)}


def test_our_probes_are_taken_away() -> None:
    """Hits and misses that we caused ourselves are not in the ratio, not even if counted a moment too early."""
    ratio = HitRatio()
    ratio.add(Reading(0, 0, 0, 0, 0), "a")
    ratio.add(Reading(10, 80, 50, 30, 0), "a")
    assert ratio.ratios()["1m"] == 0.5
    ratio.add(Reading(20, 80, 50, 90, 0), "a")
    assert ratio.ratios()["1m"] == 0.0


@pytest.mark.parametrize("run_id", ["a", "b"])
def test_a_reset_starts_anew(run_id: str) -> None:
    """CONFIG RESETSTAT or a restart give no negative and no absurd ratio."""
    ratio = HitRatio()
    ratio.add(Reading(0, 500, 500, 0, 0), "a")
    ratio.add(Reading(1, 600, 500, 0, 0), "a")
    ratio.add(Reading(2, 3, 0, 0, 0), run_id)
    assert ratio.ratios() == {}
    ratio.add(Reading(3, 4, 1, 0, 0), run_id)
    assert ratio.ratios()["1m"] == 0.5


def test_nothing_read_is_no_ratio() -> None:
    """Without reads there is no ratio; zero would be a lie."""
    ratio = HitRatio()
    assert ratio.ratios() == {}
    ratio.add(Reading(0, 5, 5, 0, 0), "a")
    ratio.add(Reading(1, 5, 5, 0, 0), "a")
    assert ratio.ratios() == {}
