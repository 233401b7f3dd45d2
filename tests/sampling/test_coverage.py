"""Do the intervals cover? Simulated bursts over known traffic, through the window as the sampler uses it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import pytest

from exporter.sampling.window import Piece, Window
from tests.sampling.simulation import poisson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 60
BUDGET = 5000.0  # events per second
KEY = (0, b"key")
Segments = list[tuple[float, float, float]]  # start, end, accesses per second


class Traffic:
    """One key's intensity over a run, as segments of constant rate; counts are Poisson inside them."""

    def __init__(self, rng: random.Random, segments: Segments) -> None:
        self._rng = rng
        self._segments = sorted(segments)
        self._at = 0

    def count(self, start: float, end: float) -> int:
        """Draw the accesses in [start, end); calls go forward in time."""
        while self._at < len(self._segments) and self._segments[self._at][1] <= start:
            self._at += 1
        mean, at = 0.0, self._at
        while at < len(self._segments) and self._segments[at][0] < end:
            begin, finish, rate = self._segments[at]
            mean += rate * max(0.0, min(end, finish) - max(start, begin))
            at += 1
        return poisson(self._rng, mean) if mean else 0


def bursts(
    rng: random.Random, end: float, load: Callable[[float], float], cycle: float
) -> Iterator[tuple[float, float]]:
    """Plan bursts as the governor does: `cycle` * BUDGET events at the load of a moment ago, exponential gaps."""
    now = 0.0
    while now < end:
        length = min(0.9 * cycle, cycle * BUDGET / load(max(0.0, now - 0.2) % SECONDS))
        now += rng.expovariate(1.0 / (cycle - length))
        yield now, now + length
        now += length


def pieces(start: float, end: float, cycle: float) -> Iterator[tuple[float, float, float]]:
    """Cut a burst at whole seconds; each part stands for its share of the cycle."""
    at = start
    while at < end:
        until = min(end, math.floor(at) + 1.0)
        yield at, until, cycle * (until - at) / (end - start)
        at = until


@dataclass
class Verdict:
    """What many windows say about one key: (estimate - truth) / truth over all, share covered, median half-width."""

    bias: float
    coverage: float
    half_width: float


def simulate(
    seed: int,
    windows: int,
    traffic: Callable[[random.Random, float], Segments],
    load: Callable[[float], float],
    cycle: float = 0.1,
) -> Verdict:
    """Watch one key for `windows` whole windows; the truth is what it really did in each of them."""
    rng, window, last = random.Random(seed), Window(SECONDS), 0.0
    source = Traffic(rng, [part for number in range(windows) for part in traffic(rng, float(number * SECONDS))])
    truths, estimates = [0] * (windows + 1), []
    for start, end in bursts(rng, windows * SECONDS, load, cycle):
        for begin, until, share in (*pieces(last, start, 0.0), *pieces(start, end, cycle)):
            count = source.count(begin, until)
            number = int(begin) // SECONDS
            if number > len(estimates):
                window.advance(number * SECONDS)
                estimates.append(next(iter(window.top(1)), None))
            truths[min(number, windows)] += count
            if share:
                window.add(Piece(begin, until, share, count, {KEY: (count, 0)} if count else {}))
        last = end
    seen = [(one, truth / SECONDS) for one, truth in zip(estimates, truths, strict=False) if one is not None]
    return Verdict(
        bias=sum(one.rate - truth for one, truth in seen) / sum(truth for _, truth in seen),
        coverage=sum(one.low <= truth <= one.high for one, truth in seen) / len(seen),
        half_width=median((one.high - one.low) / 2 / max(truth, 1e-9) for one, truth in seen),
    )


def steady(rate: float, start: float = 0.0, end: float = SECONDS) -> Callable[[random.Random, float], Segments]:
    """Accesses at random, in a part of each window."""
    return lambda _, at: [(at + start, at + end, rate)]


def clumps(rate: float, length: float, per_second: float) -> Callable[[random.Random, float], Segments]:
    """Accesses in clumps of `length` seconds at random times, `rate` a second on average."""

    def segments(rng: random.Random, at: float) -> Segments:
        found, now = [], at
        while (now := now + rng.expovariate(per_second)) < at + SECONDS - length:
            found.append((now, now + length, rate / per_second / length))
            now += length
        return found

    return segments


def in_phase(rate: float) -> Callable[[random.Random, float], Segments]:
    """All accesses in the first 20 ms of each second."""
    return lambda _, at: [(at + second, at + second + 0.02, rate / 0.02) for second in range(SECONDS)]


def with_the_load(rate: float) -> Callable[[random.Random, float], Segments]:
    """A key whose rate doubles when the load does."""
    return lambda _, at: [(at, at + 15, rate), (at + 15, at + 45, 2 * rate), (at + 45, at + 60, rate)]


def constant(_: float) -> float:
    """Load of 55,000 commands per second."""
    return 55_000.0


def doubling(at: float) -> float:
    """Load that doubles in the middle of the window."""
    return 110_000.0 if 15 <= at < 45 else 55_000.0


ZIPF = 55_000.0 / sum(1 / rank for rank in range(1, 100_001))

SCENARIOS = {
    # name: traffic, load, largest bias, largest median half-width
    "zipf rank 1": (steady(ZIPF), constant, 0.01, 0.02),
    "zipf rank 10": (steady(ZIPF / 10), constant, 0.02, 0.05),
    "zipf rank 100": (steady(ZIPF / 100), constant, 0.05, 0.16),
    "zipf rank 1000": (steady(ZIPF / 1000), constant, 0.10, 0.55),
    "clumps of 200 ms": (clumps(500, 0.2, 1.0), constant, 0.05, 0.25),
    "few clumps": (clumps(500, 0.2, 0.1), constant, 0.15, 0.90),
    "packs of 20 ms": (clumps(100, 0.02, 2.0), constant, 0.10, 0.60),
    "in phase with the second": (in_phase(100), constant, 0.15, 0.90),
    "load doubles, key with it": (with_the_load(500), doubling, 0.02, 0.06),
    "alive while the load is doubled": (steady(1000, 15, 45), doubling, 0.02, 0.08),
    "hot set moves": (steady(1000, 0, 30), constant, 0.02, 0.06),
    "new key at 84/s": (steady(84), constant, 0.05, 0.14),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_intervals_cover_the_truth(name: str) -> None:
    """Whatever the traffic's shape, at least 90 % of the intervals hold the truth, and they are not idly wide."""
    _judge(name, 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_intervals_cover_the_truth_of_many_windows(name: str) -> None:
    """The same over a thousand windows, where chance no longer hides two per cent."""
    _judge(name, 1000)


def _judge(name: str, windows: int) -> None:
    traffic, load, bias, width = SCENARIOS[name]
    verdict = simulate(7, windows, traffic, load)
    assert verdict.coverage >= 0.90, verdict
    assert abs(verdict.bias) <= bias, verdict
    assert verdict.half_width <= width, verdict


@pytest.mark.parametrize("cycle", [0.3, 0.6, 1.5])
def test_sparse_bursts_are_covered_too(cycle: float) -> None:
    """Where a second has only a burst or two, or none, the spread between seconds takes over."""
    verdict = simulate(7, 40, steady(500), constant, cycle)
    assert verdict.coverage >= 0.90, verdict
    assert abs(verdict.bias) <= 0.02, verdict
    assert verdict.half_width <= 0.15, verdict
