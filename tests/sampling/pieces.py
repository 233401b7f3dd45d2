"""Pieces as a session hands them to a window, made by hand for the tests."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from exporter.sampling.window import KeyEstimate, Piece, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

START = 1_700_000_000  # a real clock: its floats have 2^-22 s
Counts = dict[tuple[int, bytes], tuple[int, int]]


def counts(**keys: int) -> Counts:
    """Make accesses of db 0 without writes."""
    return {(0, name.encode()): (count, 0) for name, count in keys.items()}


def piece(start: float, end: float, accesses: Mapping[tuple[int, bytes], tuple[int, int]], cycle: float = 0.1) -> Piece:
    """Make one burst."""
    return Piece(start, end, cycle, sum(n for n, _ in accesses.values()), accesses)


def slices(start: float, end: float, accesses: Counts, marks: Iterable[float] = ()) -> list[Piece]:
    """Make a joined run that is cut at `marks`; all accesses come in its first slice."""
    cuts = [start, *(mark for mark in marks if start < mark < end), end]
    return [Piece(a, b, b - a, 7, accesses if a == start else {}, joined=True) for a, b in pairwise(cuts)]


def feed(window: Window, pieces: Iterable[Piece]) -> None:
    """Add pieces in order."""
    for one in pieces:
        window.add(one)


def exact_second(window: Window, second: int, accesses: Counts) -> None:
    """Observe one second in full, in slices that end anywhere."""
    feed(window, slices(second, second + 1, accesses, [second + 0.123457, second + 0.270001, second + 0.999999]))


def by_key(estimates: list[KeyEstimate]) -> dict[bytes, KeyEstimate]:
    """Index estimates of one db."""
    return {one.key: one for one in estimates}


def prefix(key: bytes) -> str:
    """Name the group of a test key."""
    return key.split(b":")[0].decode()
