"""Bursts that a limit cuts short: what they see of a clump is worth what it takes for no key to come out too low."""

from __future__ import annotations

import random
from itertools import accumulate
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from exporter.monitor.session import Limits
from exporter.sampling.truncation import Step, factors, is_dense
from tests.sampling.simulation import Simulation, coverage
from tests.scenarios import Scenario, Stream, background, spikes, steady

if TYPE_CHECKING:
    from collections.abc import Sequence

PLANNED = 0.01
CELL = 2e-5
LIMITS = Limits(events=4000, bytes=400_000)


def traffic(kind: str, seed: int) -> list[float]:
    """Commands in each cell of time of one period, in which each moment is as likely a beginning as any other."""
    rng, cells = random.Random(seed), int(0.5 / CELL)
    if kind == "even":
        return [1e6 * CELL] * cells
    if kind == "one clump":
        return [(1.5e6 if n < 0.02 / CELL else 5e4) * CELL for n in range(cells)]
    rates = [rng.choice((2e4, 5e4, 2e5, 8e5)) for _ in range(60)]
    return [rates[n * 60 // cells] * CELL for n in range(cells)]


def burst(commands: Sequence[float], begin: int, size: int) -> list[Step]:
    """The steps of a burst that begins in one cell, as far as the limits let it come."""
    cells = int(PLANNED / CELL)
    seen = [commands[(begin + n) % len(commands)] for n in range(cells)]
    lines = list(accumulate(seen))
    last = next(
        (n for n, so_far in enumerate(lines) if so_far > LIMITS.events or so_far * size > LIMITS.bytes), cells - 1
    )
    return [Step((n + 1) * CELL, lines[n], lines[n] * size) for n in range(last + 1)]


@pytest.mark.parametrize("size", [75, 400])
@pytest.mark.parametrize("kind", ["even", "one clump", "steps"])
def test_every_command_is_counted_once(kind: str, size: int) -> None:
    """Over all moments at which a burst may begin, weights add up: for all commands, for clumps and for quiet times."""
    commands = traffic(kind, 3)
    worth = [0.0] * len(commands)
    for begin in range(0, len(commands), 4):
        for n, factor in enumerate(factors(burst(commands, begin, size), PLANNED, LIMITS)):
            worth[(begin + n) % len(commands)] += factor * 4 * CELL / PLANNED
    total = sum(share * count for share, count in zip(worth, commands, strict=True))
    assert total / sum(commands) == pytest.approx(1.0, abs=0.08)
    assert mean(worth) == pytest.approx(1.0, abs=0.08)
    busy = max(commands)
    dense = mean(share for share, count in zip(worth, commands, strict=True) if count == busy)
    assert dense == pytest.approx(1.0, abs=0.15)


def test_far_from_its_limits_all_of_a_burst_is_worth_the_same() -> None:
    """Nine bursts in ten are of that kind, and are counted in one go."""
    steps = [Step(n * 1e-3, 90.0 * n, 9000.0 * n) for n in range(1, 11)]
    assert not is_dense(steps[-1].lines, steps[-1].size, LIMITS)
    assert factors(steps, PLANNED, LIMITS) == [1.0] * 10


def test_what_comes_after_the_limit_is_not_counted() -> None:
    """The end of a burst takes its time, and more so when there is much to print."""
    steps = [Step(n * 1e-3, 1000.0 * n, 75_000.0 * n) for n in range(1, 9)]
    assert factors(steps, PLANNED, LIMITS)[4:] == [0.0] * 4


def test_a_beginning_without_time_is_no_error() -> None:
    """All of a script bears one stamp, and so may all of a burst."""
    steps = [Step(0.0, 3000.0, 300_000.0), Step(0.0, 4500.0, 450_000.0)]
    assert all(factor >= 0.0 for factor in factors(steps, PLANNED, LIMITS))


def test_a_clump_that_fills_the_limit_is_not_estimated_too_low() -> None:
    """Spikes of 1.5 million commands a second, which cut every burst short that meets one; steady keys stay right."""
    spiky = Stream("spiky", [b"spiky"], spikes(60_000.0, 0.02, 2), [1.0])
    hot = [Stream(f"hot{n}", [b"hot:%d" % n], steady(2000.0)) for n in range(8)]
    scenario = Scenario([background(30_000.0, 100), spiky, *hot])
    judgements = [one for seed in (3, 4, 5) for one in Simulation(scenario, seed).run(20)]
    clumps = [one for one in judgements if one.key == b"spiky"]
    said = [one.said.rate / one.truth for one in clumps if one.said is not None]
    assert mean(said) == pytest.approx(1.0, abs=0.2)  # one moment in a hundred decides
    assert coverage(clumps) >= 0.90
    assert coverage([one for one in judgements if one.key.startswith(b"hot")]) >= 0.90
