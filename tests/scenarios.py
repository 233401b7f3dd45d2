"""Traffic with a known shape: the same definitions drive the simulated clock and the load generator.

A `Scenario` is a set of streams. A `Stream` draws its keys by fixed weights and has a rate for every moment of a clock:
segments of constant rate, second by second, reproducible from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Segment = tuple[float, float, float]  # start, end, commands per second
Shape = Callable[[random.Random, int], Sequence[Segment]]


@dataclass(frozen=True, slots=True)
class Stream:
    """Commands on `keys`, drawn by `weights` (all alike without them), at the rates that `shape` gives for a second."""

    name: str
    keys: Sequence[bytes]
    shape: Shape
    weights: Sequence[float] = ()

    def segments(self, seed: int, second: int) -> Sequence[Segment]:
        """The rates inside one second of the clock; the same for the same seed."""
        return self.shape(random.Random(f"{seed} {self.name} {second}"), second)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Streams that run together. `judged` are the keys whose figures are asked for."""

    streams: Sequence[Stream]

    @property
    def judged(self) -> Sequence[bytes]:
        """Every key of the small streams: the ones with a shape of their own."""
        return [key for stream in self.streams if not stream.weights for key in stream.keys]


def zipf(keys: int, prefix: str = "z") -> tuple[list[bytes], list[float]]:
    """Keys of Zipf's law with exponent 1: the n-th is asked for 1/n as often as the first."""
    return [b"%s:%06d" % (prefix.encode(), n) for n in range(1, keys + 1)], [1 / n for n in range(1, keys + 1)]


def steady(rate: float) -> Shape:
    """The same rate all the time."""
    return lambda _, second: [(second, second + 1.0, rate)]


def clumped(rate: float, length: float, chance: float = 1.0) -> Shape:
    """In each second, with this chance, one clump of `length` seconds at a random place; `rate` on average."""

    def shape(rng: random.Random, second: int) -> Sequence[Segment]:
        start = second + rng.uniform(0.0, 1.0 - length)
        return [(start, start + length, rate / chance / length)] if rng.random() < chance else []

    return shape


def in_phase(rate: float, length: float = 0.02) -> Shape:
    """Everything in the first `length` seconds of each second."""
    return lambda _, second: [(second, second + length, rate / length)]


def spikes(rate: float, length: float, each: int) -> Shape:
    """Short spikes, so many in a second and evenly spaced."""

    def shape(_: random.Random, second: int) -> Sequence[Segment]:
        starts = [second + n / each for n in range(each)]
        return [(start, start + length, rate / each / length) for start in starts]

    return shape


def steps(rates: Sequence[float], length: int = 15) -> Shape:
    """One rate after the other, each for `length` seconds, over and over."""
    return lambda _, second: [(second, second + 1.0, rates[second // length % len(rates)])]


def once_in(seconds: int, offset: int, accesses: float, length: float) -> Shape:
    """One huge clump every so many seconds, at a random place in its second."""

    def shape(rng: random.Random, second: int) -> Sequence[Segment]:
        if second % seconds != offset:
            return []
        start = second + rng.uniform(0.0, 1.0 - length)
        return [(start, start + length, accesses / length)]

    return shape


def named(prefix: str, count: int) -> list[bytes]:
    """Names of keys with a shape of their own."""
    return [b"%s:%d" % (prefix.encode(), n) for n in range(count)]


def background(rate: float, keys: int) -> Stream:
    """Steady traffic by Zipf's law."""
    names, weights = zipf(keys)
    return Stream("background", names, steady(rate), weights)


def scenarios(load: float = 50_000.0, keys: int = 10_000) -> dict[str, Scenario]:
    """The five that error bars must survive, at `load` commands per second or around it."""
    names, weights = zipf(keys)
    calm = background(0.9 * load, keys)
    swinging = Stream("background", names, steps([0.5 * load, load, 2 * load, load]), weights)
    return {
        "clumped": Scenario([calm, *(Stream(f"clump{n}", [key], clumped(0.01 * load, 0.2))
                                     for n, key in enumerate(named("clump", 10)))]),
        "in phase": Scenario([calm, *(Stream(f"phase{n}", [key], in_phase(0.01 * load * (n + 1) / 10))
                                      for n, key in enumerate(named("phase", 10)))]),
        "swinging load": Scenario([
            swinging,
            Stream("always", named("always", 4), steps([0.02 * load, 0.04 * load, 0.08 * load, 0.04 * load])),
            Stream("high", named("high", 4), steps([0.0, 0.0, 0.2 * load, 0.0])),
            Stream("low", named("low", 4), steps([0.1 * load, 0.0, 0.0, 0.0])),
        ]),
        "moving hot set": Scenario([calm, *(
            Stream(f"set{n}", named(f"set{n}", 4), steps([0.1 * load if m == n else 0.0 for m in range(6)], 10))
            for n in range(6)
        )]),
        "huge clumps": Scenario([calm, *(Stream(f"huge{n}", [key], once_in(20, 2 * n + 1, 0.5 * load, 0.3))
                                         for n, key in enumerate(named("huge", 10)))]),
    }  # fmt: skip


def scenario(name: str) -> Scenario:
    """One of the five, by name."""
    return scenarios()[name]


def zipf_only(load: float, keys: int) -> Scenario:
    """Nothing but Zipf's law."""
    return Scenario([background(load, keys)])
