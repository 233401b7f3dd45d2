"""Do the intervals cover? Simulated bursts over known traffic, through the window as the sampler uses it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from exporter.sampling.window import Piece, Window

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60
BUDGET = 5000.0
CYCLE = 0.1
Segments = list[tuple[float, float, float]]  # start, end, accesses per second


class Traffic:
    """One key's true intensity over a run, as segments of constant rate; counts are Poisson inside them."""

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
            mean += rate * (min(end, finish) - max(start, begin))
            at += 1
        return poisson(self._rng, mean)


def poisson(rng: random.Random, mean: float) -> int:
    """Draw from Poisson: by multiplication, or rounded from the normal where that is as good."""
    if mean > 60.0:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        number += 1
    return number


@dataclass
class Verdict:
    """What many windows say about one key."""

    bias: float
    coverage: float
    half_width: float


def simulate(
    seed: int, windows: int, traffic: Callable[[random.Random, float], Segments], load: Callable[[float], float],
    cycle: float = CYCLE,
) -> Verdict:  # fmt: skip
    """Watch one key for `windows` whole windows; the truth is what it really did in each.

    Bursts take `cycle` * BUDGET events at the load of a moment ago, gaps are exponential.
    """
    rng, window, key = random.Random(seed), Window(SECONDS), (0, b"key")
    errors, covered, widths = [], 0, []
    source = Traffic(rng, [part for w in range(windows) for part in traffic(rng, 1000.0 + w * SECONDS)])
    now, end, truth = 1000.0, 1000.0 + SECONDS, 0
    while now < 1000.0 + windows * SECONDS:
        length = min(0.9 * cycle, cycle * BUDGET / load((now - 1000.0) % SECONDS - 0.2))
        start = now + rng.expovariate(1.0 / (cycle - length))
        marks = sorted({start, start + length, *(float(s) for s in range(math.ceil(start), math.ceil(start + length)))})
        if start >= end:
            truth += source.count(now, end)
            errors.append(_check(window, end, key, truth))
            now, end, truth = end, end + SECONDS, 0
            continue
        truth += source.count(now, start)
        for a, b in zip(marks, marks[1:], strict=False):
            if a >= end:
                break
            count = source.count(a, b)
            truth += count
            window.add(Piece(a, b, cycle * (b - a) / length, count, {key: (count, 0)} if count else {}))
        now = min(end, start + length)
        if now >= end:
            errors.append(_check(window, end, key, truth))
            end, truth = end + SECONDS, 0
    estimates = [(rate - true, low <= true <= high, (high - low) / 2 / true, true) for rate, low, high, true in errors if rate]
    bias = sum(e[0] for e in estimates) / sum(e[3] for e in estimates)
    return Verdict(bias, sum(e[1] for e in estimates) / len(estimates), median(e[2] for e in estimates))


def _check(window: Window, end: float, key: tuple[int, bytes], truth: int) -> tuple[float, float, float, float]:
    window.advance(end)
    true = truth / SECONDS
    for one in window.top(1):
        assert (one.db, one.key) == key
        return one.rate, one.low, one.high, true
    return 0.0, 0.0, math.inf, true
