"""A server that exists on paper: scenarios on a simulated clock, watched by the real governor and the real window.

In: a scenario and a number of seconds. Out: for each minute and each judged key what it did and what was said of it.
Counts are Poisson inside the segments of a stream; a burst ends when its plan, or one of its limits, says so.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from operator import itemgetter
from statistics import mean
from types import MappingProxyType
from typing import TYPE_CHECKING

from exporter.config import Sampling
from exporter.monitor.governor import Governor, Plan
from exporter.monitor.session import Outcome, Slice
from exporter.sampling.pieces import Stretch, merged, stands_for, worths
from exporter.sampling.slowdown import Slowdown
from exporter.sampling.truncation import Step
from exporter.sampling.window import Window
from tests.monitor.states import STATUS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.sampling.window import KeyEstimate
    from tests.scenarios import Scenario, Stream

Seen = tuple[float, float, dict[tuple[int, bytes], int]]
"""From, to, and what each key did there."""
WINDOW = 60
LINE_BYTES = 75
OVERHEAD_SECONDS = 0.0005  # what opening and closing take
STEP_SECONDS = 0.001  # how often a burst looks at its limits
LIMITED = replace(STATUS, server_limit_bytes=32 << 20)


def poisson(rng: random.Random, mean: float) -> int:
    """Draw from Poisson: by multiplication, or rounded from the normal where that is as good."""
    if mean > 50.0:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        number += 1
    return number


class Arrivals:
    """What the keys of one stream really do; counted in intervals that follow each other."""

    def __init__(self, stream: Stream, share: float, seed: int) -> None:
        self._stream = stream
        self._share = share
        self._seed = seed
        self._rng = random.Random(f"{seed} {stream.name} {share}")
        self._second = -1
        self._segments: Sequence[tuple[float, float, float]] = ()

    def expected(self, start: float, end: float) -> float:
        """Mean number in [start, end), which lies in one second."""
        if (second := int(start)) != self._second:
            self._second = second
            self._segments = [one for one in self._stream.segments(self._seed, second) if one[2] > 0.0]
        total = 0.0
        for begin, finish, rate in self._segments:
            first = max(start, begin)
            last = min(end, finish)
            if last > first:
                total += (last - first) * rate
        return self._share * total

    def count(self, start: float, end: float, slowed: float = 1.0) -> int:
        """Draw the number in [start, end), where only the share `slowed` gets through."""
        mean = slowed * self.expected(start, end)
        return poisson(self._rng, mean) if mean else 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """One key in one window: what it did per second, and what was said (None: it was not named)."""

    key: bytes
    truth: float
    said: KeyEstimate | None

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.said is not None and self.said.low <= self.truth <= self.said.high


def coverage(judgements: Sequence[Judgement]) -> float:
    """The share of (key, window) pairs whose interval holds the truth; a key that was not named is not covered."""
    return mean(one.covered for one in judgements)


def bias(judgements: Sequence[Judgement]) -> float:
    """What was said of all these keys together, over what they did, less one."""
    return sum(one.said.rate for one in judgements if one.said) / sum(one.truth for one in judgements) - 1


class Simulation:
    """One scenario, sampled from second 0 on.

    `slowed`: while a burst is on, the streams of these names get only this share of their commands through.
    `plain`: as if every command of a burst were worth the same, and printing cost nothing.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        sampling: Sampling | None = None,
        slowed: Mapping[str, float] = MappingProxyType({}),
        *,
        plain: bool = False,
    ) -> None:
        self._plain = plain
        self.rng = random.Random(seed)
        self.window = Window(WINDOW)
        self.governor = Governor(sampling or Sampling())
        self.slowdown = Slowdown()
        self.outcomes: dict[Outcome, int] = {}
        self.events = 0
        self._slowed = {
            (0, key): slowed[stream.name]
            for stream in scenario.streams
            if stream.name in slowed
            for key in ([stream.name.encode()] if stream.weights else stream.keys)
        }
        self._served = 0
        self._keys = {
            (0, key): Arrivals(replace(stream, name=key.decode()), 1 / len(stream.keys), seed)
            for stream in scenario.streams
            if not stream.weights
            for key in stream.keys
        }
        # What the others do is one more key; nothing is asked about it.
        self._keys |= {(0, s.name.encode()): Arrivals(s, 1.0, seed) for s in scenario.streams if s.weights}
        self._truth: Counter[tuple[int, bytes]] = Counter()  # by number of the window and key
        self._judgements: list[Judgement] = []
        self.now = 0.0

    def run(self, windows: int) -> list[Judgement]:
        """Judge each judged key in each of so many whole windows that do not overlap; one goes before to warm up."""
        while self.now < (windows + 1) * WINDOW:
            plan = self.governor.plan(LIMITED)
            if not isinstance(plan, Plan):
                self._pass(self.now + plan.wait_seconds)
                continue
            if not plan.joined:
                self._pass(self.now + self.rng.expovariate(1 / plan.mean_gap))
            self._burst(plan)
        return [one for one in self._judgements if one.truth > 0 or one.said is not None]

    def _pass(self, until: float) -> None:
        """Let time pass unseen."""
        for start, end in _by_second(self.now, until):
            self._observe(start, end, {})
            self._judge(end)
        self.now = until

    def _observe(
        self, start: float, end: float, slowed: Mapping[tuple[int, bytes], float]
    ) -> dict[tuple[int, bytes], int]:
        """Count what happens in a part of one second."""
        counts = {key: arrivals.count(start, end, slowed.get(key, 1.0)) for key, arrivals in self._keys.items()}
        self._served += sum(counts.values())
        for (_, key), count in counts.items():
            self._truth[int(start) // WINDOW, key] += count
        return counts

    def _judge(self, end: float) -> None:
        """At the end of a window, compare what is said with what was done; the first window is to warm up."""
        number, rest = divmod(end, WINDOW)
        if rest or number < 2:
            return
        self.window.advance(end)
        said = {one.key: one for one in self.window.top(1000)}
        self._judgements += [
            Judgement(key, self._truth[int(number) - 1, key] / WINDOW, said.get(key)) for _, key in self._keys
        ]

    def _burst(self, plan: Plan) -> None:
        """Observe until the plan or a limit ends it, as the session does, and count it as the sampler does."""
        start, lines, outcome, before = self.now, 0, Outcome.COMPLETE, self._served
        until = start + plan.seconds + (0.0 if plan.joined else self.rng.uniform(0.5, 1.5) * OVERHEAD_SECONDS)
        seen: list[Seen] = []
        for begin, end in self._looks(start, until, plan.limits.events):
            counts = self._observe(begin, end, self._slowed)
            seen.append((begin, end, counts))
            lines += sum(counts.values())
            self.now = end
            if lines > plan.limits.events:
                outcome = Outcome.EVENTS
                break
        observed = self.now - start
        served = self.slowdown.learn(start, self.now, None if plan.joined else (before, self._served))
        worth = [1.0] * len(seen) if self._plain else worths(plan, list(_steps(start, seen)))
        for second in sorted({int(begin) for begin, _, _ in seen}):
            parts = [(*part, factor) for part, factor in zip(seen, worth, strict=True) if int(part[0]) == second]
            begin, end = parts[0][0], parts[-1][1]
            stretches = [stretch([part[:3] for part in of], factor) for factor, of in groupby(parts, itemgetter(3))]
            size = 0 if self._plain else LINE_BYTES * sum(one.commands for one in stretches)
            part = served.part((end - begin) / observed) if served else None
            piece = merged(begin, stretches, stands_for(plan, observed), part, self.rng)
            self.window.add(replace(piece, end=end, joined=plan.joined, size=size))
            self._judge(end)
        self.governor.learn(plan, Slice(b"", start, self.now, lines, lines * LINE_BYTES, 0.0, outcome))
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.events += lines

    def _looks(self, start: float, until: float, limit: int) -> Iterator[tuple[float, float]]:
        """The parts of a burst between looks at the limits: small ones where a limit is near."""
        for begin, end in _by_second(start, until):
            expected = sum(arrivals.expected(begin, end) for arrivals in self._keys.values())
            number = max(1, round((end - begin) / STEP_SECONDS)) if 2 * expected > limit else 1
            marks = [begin + (end - begin) * n / number for n in range(number)] + [end]
            yield from pairwise(marks)


def _steps(start: float, seen: Sequence[Seen]) -> Iterator[Step]:
    """How far a burst is after each of its parts."""
    lines = 0
    for _, end, counts in seen:
        lines += sum(counts.values())
        yield Step(end - start, lines, lines * LINE_BYTES)


def stretch(parts: Sequence[Seen], factor: float) -> Stretch:
    """Parts of a burst that follow each other and are worth the same."""
    counts: Counter[tuple[int, bytes]] = Counter()
    for _, _, more in parts:
        counts.update(more)
    accesses = {key: (count, 0) for key, count in counts.items() if count}
    return Stretch(parts[-1][1] - parts[0][0], counts.total(), accesses, factor)


def _by_second(start: float, end: float) -> Iterator[tuple[float, float]]:
    """Cut [start, end) at whole seconds."""
    while start < end:
        until = min(end, math.floor(start) + 1.0)
        yield start, until
        start = until
