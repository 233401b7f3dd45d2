"""A server that works through pipelines, on paper, and takes longer over each command while it has to print it.

It runs one chunk of commands after the other, watched by the real governor and the real window.

In: chunks in the order of their times. Out: for each window and each key what it did per second, and what was said.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from exporter.config import Sampling
from exporter.monitor.governor import Governor, Plan
from exporter.monitor.session import Outcome, Slice
from exporter.sampling.pieces import Stretch, merged, stands_for, worths
from exporter.sampling.slowdown import Slowdown
from exporter.sampling.truncation import Step
from exporter.sampling.window import Window
from tests.sampling.simulation import LIMITED, OVERHEAD_SECONDS, Judgement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HEADER_BYTES = 75
READ_COMMANDS = 740  # what a server reads of a pipeline at once


@dataclass(frozen=True, slots=True)
class Chunk:
    """Commands that the server runs without looking up, from `time` (seconds) on; `value_bytes` is of each command."""

    time: float
    counts: Mapping[bytes, int]
    value_bytes: int = 0

    @property
    def commands(self) -> int:
        """How many."""
        return sum(self.counts.values())


NOTHING = Chunk(0.0, {})


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that a command takes, that printing it adds, and that printing a byte of its value adds."""

    command: float
    printed: float
    value_byte: float = 0.0


class BusyServer:
    """The chunks, and who watches them; `run` judges window by window.

    `plain`: as if every command were worth the same, and printing cost nothing.
    """

    def __init__(
        self, chunks: Iterator[Chunk], costs: Costs, window: int = 60, seed: int = 7, *, plain: bool = False
    ) -> None:
        self._chunks, self._costs, self._seconds = chunks, costs, window
        self._next = next(chunks)
        self._plain = plain
        self._rng = random.Random(seed)
        self._governor, self._window, self._slowdown = Governor(Sampling()), Window(window), Slowdown()
        self._truth: Counter[tuple[int, bytes]] = Counter()
        self._served = 0
        self._now = 0.0

    def run(self, windows: int) -> list[Judgement]:
        """Judge every key in so many windows that do not overlap; one goes before to warm up."""
        judgements: list[Judgement] = []
        number = 0
        while number <= windows:
            plan = self._governor.plan(LIMITED)
            if not isinstance(plan, Plan):
                self._work(self._now + plan.wait_seconds, watched=False)
                continue
            if not plan.joined:
                self._work(self._now + self._rng.expovariate(1 / plan.mean_gap), watched=False)
            self._burst(plan)
            if int(self._now) // self._seconds > number:
                number = int(self._now) // self._seconds
                self._window.advance(number * self._seconds)
                said = {one.key: one for one in self._window.top(1000)}
                keys = [key for of, key in self._truth if of == number - 1] if number > 1 else []
                judgements += [
                    Judgement(key, self._truth[number - 1, key] / self._seconds, said.get(key)) for key in keys
                ]
        return judgements

    def _work(self, until: float, *, watched: bool) -> list[tuple[float, float, Chunk]]:
        """Work until the first moment after `until` that is no part of a chunk: when each began and ended."""
        done = []
        while self._now < until:
            chunk = self._next
            if chunk.time > until:
                self._now = until
                break
            start = max(self._now, chunk.time)
            each = self._costs.command
            if watched:
                each += self._costs.printed + chunk.value_bytes * self._costs.value_byte
            self._now = start + each * chunk.commands
            for key, count in chunk.counts.items():
                self._truth[int(start) // self._seconds, key] += count
            self._served += chunk.commands
            done.append((start, self._now, chunk))
            self._next = next(self._chunks)
        return done

    def _burst(self, plan: Plan) -> None:
        """Watch as the session and the sampler do; a limit is looked at every millisecond."""
        start, before, seen, outcome = self._now, self._served, [], Outcome.COMPLETE
        until = start + plan.seconds + (0.0 if plan.joined else self._rng.uniform(0.5, 1.5) * OVERHEAD_SECONDS)
        lines = size = 0
        while self._now < until and outcome is Outcome.COMPLETE:
            seen += (new := self._work(min(until, self._now + 0.001), watched=True))
            lines += sum(chunk.commands for _, _, chunk in new)
            size += sum(chunk.commands * (chunk.value_bytes + HEADER_BYTES) for _, _, chunk in new)
            outcome = Outcome.EVENTS if lines > plan.limits.events else outcome
            outcome = Outcome.BYTES if size > plan.limits.bytes else outcome
        observed, began = self._now - start, start
        served = self._slowdown.learn(start, self._now, None if plan.joined else (before, self._served))
        ends = [(ended, chunk) for _, ended, chunk in seen]
        steps = list(_steps(start, [*ends, (self._now, NOTHING)]))
        worth = [1.0] * len(steps) if self._plain else worths(plan, steps)
        while start < self._now:
            end = min(self._now, math.floor(start) + 1.0)
            stretches = list(self._stretches([*seen, (self._now, self._now, NOTHING)], worth, start, end))
            part = served.part((end - start) / observed) if served else None
            piece = merged(start, stretches, stands_for(plan, observed), part, self._rng)
            shown = 0 if self._plain else int(size * (end - start) / observed)
            self._window.add(replace(piece, end=end, joined=plan.joined, size=shown))
            start = end
        self._governor.learn(plan, Slice(b"", began, self._now, lines, size, 0.0, outcome))

    def _stretches(
        self, seen: list[tuple[float, float, Chunk]], worth: list[float], start: float, end: float
    ) -> Iterator[Stretch]:
        """What was seen in a part of a burst, by what it is worth; of a chunk that goes on later its share."""
        before = start
        for factor, alike in groupby(zip(seen, worth, strict=True), itemgetter(1)):
            counts: Counter[tuple[int, bytes]] = Counter()
            until = before
            for (begun, ended, chunk), _ in alike:
                until = max(start, min(end, ended))
                inside = max(0.0, min(ended, end) - max(begun, start)) / (ended - begun) if ended > begun else 0.0
                for key, count in chunk.counts.items():
                    counts[0, key] += int(count * inside + (0.0 if inside == 1.0 else self._rng.random()))
            if until > before:
                accesses = {key: (count, 0) for key, count in counts.items() if count}
                yield Stretch(until - before, counts.total(), accesses, factor)
            before = until


def _steps(start: float, ends: list[tuple[float, Chunk]]) -> Iterator[Step]:
    """How far a burst is at the end of each chunk."""
    lines = size = 0
    for ended, chunk in ends:
        lines += chunk.commands
        size += chunk.commands * (chunk.value_bytes + HEADER_BYTES)
        yield Step(ended - start, lines, size)


def pipelines(size: int, every: float, seed: int = 1) -> Iterator[Chunk]:
    """Pipelines of `size` commands on twenty keys, at random moments; the server reads them piece by piece."""
    rng, now = random.Random(seed), 0.0
    while True:
        for begin in range(0, size, READ_COMMANDS):
            each, more = divmod(min(READ_COMMANDS, size - begin), 20)
            yield Chunk(now, {b"key:%d" % n: each + (n < more) for n in range(20)})
        now += 0.06 + rng.expovariate(1 / every)


def wide_values(every: float, seed: int = 1) -> Iterator[Chunk]:
    """Sixty commands at once with 20 kB each, on fifteen keys, again and again."""
    rng, now = random.Random(seed), 0.0
    while True:
        yield Chunk(now, {b"key:%d" % n: 4 for n in range(15)}, value_bytes=20_000)
        now += every + rng.uniform(0.0, 0.02 * every)


def even(rate: float, seed: int = 1) -> Iterator[Chunk]:
    """Small chunks at random moments, which keep the server busy for a tenth of the time."""
    rng, now = random.Random(seed), 0.0
    while True:
        yield Chunk(now, {b"key:%d" % rng.randrange(5): 20})
        now += rng.expovariate(rate / 20)


TRAFFIC: Mapping[str, tuple[Callable[[int], Iterator[Chunk]], Costs]] = {
    "pipelines": (lambda seed: pipelines(20_000, 1.0, seed), Costs(3e-6, 2e-6)),
    "wide values": (lambda seed: wide_values(0.11, seed), Costs(4e-6, 2e-6, 1e-8)),
    "even": (lambda seed: even(20_000, seed), Costs(5e-6, 5e-6)),
}


def watch(name: str, windows: int, window: int, seed: int, *, plain: bool = False) -> list[Judgement]:
    """Judge all keys of one kind of traffic."""
    chunks, costs = TRAFFIC[name]
    return BusyServer(chunks(seed), costs, window, seed, plain=plain).run(windows)
