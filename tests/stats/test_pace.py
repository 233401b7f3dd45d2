"""Readings keep a phase that does not bend rates, and cost the server no more than they may."""

from __future__ import annotations

import random

import pytest

from exporter.serverstats import CommandStats
from exporter.stats.collector import Costs
from exporter.stats.pace import OWN_SHARE, SERVER_SHARE, STEPS, Phase, interval


@pytest.mark.parametrize(
    ("cost", "own", "nodes", "every"),
    [
        (0.0, 0.0, 1, 1.0), (0.0002, 0.001, 1, 1.0), (0.001, 0.001, 1, 1.0), (0.0011, 0.001, 1, 2.5),
        (0.012, 0.001, 1, 15.0), (10.0, 0.001, 1, 60.0), (0.0002, 0.0008, 50, 1.0), (0.0002, 0.002, 50, 2.5),
        (0.0002, 0.0026, 100, 7.5),
    ],
)  # fmt: skip
def test_the_interval_follows_the_cost(cost: float, own: float, nodes: int, every: float) -> None:
    """A second while that is cheap; else the next step at which server and this process bear it."""
    assert interval(1.0, cost, own, nodes) == every
    if every < STEPS[-1]:
        assert cost / every <= SERVER_SHARE
        assert nodes * own / every <= OWN_SHARE


def test_a_setting_is_never_undercut() -> None:
    """`stats.interval` is the shortest interval, whatever the server could bear."""
    assert interval(10.0, 0.0001, 0.0, 1) == 10.0
    assert interval(10.0, 0.0101, 0.0, 1) == 15.0
    assert interval(0.2, 0.0001, 0.0, 1) == 0.2


def test_readings_keep_their_phase() -> None:
    """However long a reading took, the next one is due at a whole interval after the first."""
    phase = Phase(100.25)
    for took in (0.001, 0.3, 0.9, 1.7):
        now = 110.25 + took
        assert (now + phase.wait(now, 1.0, None) - 100.25) % 1.0 == pytest.approx(0.0, abs=1e-9)


def age_after(phase: Phase, now: float, scraped: float) -> float:
    """How old a reading is at scrapes like this one, from now on."""
    return (scraped - (now + phase.wait(now, 1.0, scraped))) % 1.0


def test_the_phase_moves_before_the_scrapes() -> None:
    """A scrape that falls on a reading, or far behind it, moves the readings to a moment before it."""
    for seconds in (0.02, 0.7, 0.98):
        assert age_after(Phase(100.0), 115.99, 115 + seconds) == pytest.approx(0.2)
    assert age_after(Phase(100.0), 115.99, 115.3) == pytest.approx(0.3)


def test_two_scrapers_do_not_drive_it_to_and_fro() -> None:
    """While one scraper is well served one further away does not move the readings; one that hits them does."""
    phase = Phase(100.0)
    for second in range(110, 400, 10):
        assert age_after(phase, second + 0.6, second + 0.2) == pytest.approx(0.2)
        assert age_after(phase, second + 1.0, second + 0.8) == pytest.approx(0.8)
    assert age_after(phase, 410.6, 410.01) == pytest.approx(0.2)
    assert age_after(phase, 411.6, 411.81) == pytest.approx(0.0, abs=1e-9)


def counted(at: float) -> float:
    """What a server has counted whose load doubles and halves every 30 s: 1,000 and 2,000 commands a second."""
    minutes, rest = divmod(at, 60)
    return minutes * 90_000 + rest * 1000 + max(0.0, rest - 30) * 1000


def rate(first: tuple[float, float], last: tuple[float, float]) -> float:
    """Growth per second between two samples of (time, counter)."""
    return (last[1] - first[1]) / (last[0] - first[0])


@pytest.mark.parametrize("every", STEPS[:5])
@pytest.mark.parametrize("seed", range(10))
def test_rates_over_a_minute_are_true(every: float, seed: int) -> None:
    """`rate()` over 1 m of scrapes at 15 s is within 2 % of what it would be if each scrape asked the server itself.

    The load doubles and halves, scrapes jitter by 20 ms, the scraper's clock drifts, readings take up to 50 ms.
    """
    rng = random.Random(seed)
    offset, drift = rng.random() * 15, rng.uniform(-1e-4, 1e-4)
    phase, now, value, scraped = Phase(0.0), 0.0, 0.0, None
    samples: list[tuple[float, float]] = []
    for number in range(1, 100):
        scrape = offset + 15 * number * (1 + drift) + rng.uniform(-0.02, 0.02)
        while (due := now + phase.wait(now, every, scraped)) + 0.05 < scrape:
            now = due + rng.uniform(0.001, 0.05)
            value = counted(now)
        scraped = scrape
        samples.append((scrape, value))
    settled = samples[5:]
    for first, last in zip(settled, settled[3:], strict=False):
        true = rate((first[0], counted(first[0])), (last[0], counted(last[0])))
        assert rate(first, last) == pytest.approx(true, rel=0.02)


def readings(*usec: float) -> Costs:
    """What is known of INFO after calls that took so long."""
    costs, total = Costs(), 0.0
    costs.learn({"info": CommandStats(1, total)})
    for calls, one in enumerate(usec, start=2):
        total += one
        costs.learn({"info": CommandStats(calls, total)})
    return costs


def test_one_call_that_was_interrupted_is_not_expensive() -> None:
    """A host that is busy for 50 ms in the middle of an INFO does not stretch the readings; costs that stay do."""
    for usec in ((50_000, 100), (100, 50_000), (100, 100, 100, 50_000)):
        assert interval(1.0, readings(*usec).seconds(("info",)), 0.001, 1) == 1.0
    assert interval(1.0, readings(*[2000] * 5).seconds(("info",)), 0.001, 1) == 2.5
    assert interval(1.0, readings(*[50_000] * 8).seconds(("info",)), 0.001, 1) >= 30
    assert readings().seconds(("info",)) == 0
