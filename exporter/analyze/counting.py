"""Hot keys of a saved MONITOR stream: bytes in, a report out, in memory that does not grow with the file.

Keys are counted exactly up to 50,000 distinct ones. Beyond that, unless all were asked for, the least accessed half
is dropped now and then (Manku and Motwani's lossy counting, with the counts themselves as the measure); the report says
by how much a key may have been counted too low because of that. Groups and totals stay exact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING, BinaryIO

from exporter.analyze.lines import Lines, Rate, Weight
from exporter.keynames import group, write
from exporter.monitor.keys import CommandTable
from exporter.monitor.parse import Stream
from exporter.monitor.tally import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Progress = Callable[[int | None], None]

_READ_BYTES = 98_304  # more would be fetched from the system, and given back, again and again
_REMEMBER = 16_384
_MOST_KEYS = 50_000
_MOST_GROUPS = 10_000
_LISTED_GROUPS = 1_000
_HEAVIEST = 20
_REMEMBERED_SHAPES = 20_000
_PROGRESS_BYTES = 8 << 20
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_OTHER = "other"


@dataclass(frozen=True, slots=True)
class KeyCount:
    """One key of one database; `writes` are those among its accesses by commands that may change it."""

    db: int
    key: bytes
    accesses: int
    writes: int

    @property
    def reads(self) -> int:
        """Accesses that are no writes."""
        return self.accesses - self.writes


@dataclass(frozen=True, slots=True)
class Report:
    """What a stream holds.

    `keys` are the most accessed first, ties by name; `groups` likewise, with the rest in `other`. `seconds` lie between
    the first and the last line. `skipped_lines` are the numbers of the first few of the `skipped` lines that are none
    of MONITOR's. `distinct_keys` are those that were kept; each may have been counted too low by up to `undercount`.
    """

    commands: int
    skipped: int
    skipped_lines: tuple[int, ...]
    seconds: float
    accesses: int
    distinct_keys: int
    undercount: int
    keys: tuple[KeyCount, ...]
    groups: tuple[tuple[str, int], ...]
    command_counts: Mapping[str, int]
    clients: tuple[tuple[str, int], ...]
    heaviest: tuple[Weight, ...]
    rate: Rate | None


def analyze(stream: BinaryIO, top: int, progress: Progress | None = None) -> Report:
    """Read `stream` to its end: the `top` keys of a saved MONITOR stream, raw or as redis-cli prints it (0: all keys).

    `progress` is told the bytes read so far, now and then, and None at the end. Raises nothing for bad lines.
    """
    counted = Stream(CommandTable.builtin(), commands=True, remember=_REMEMBER)
    lines = Lines(CommandTable.builtin())
    groups = _Groups()
    most = max(_MOST_KEYS, 4 * top)
    done = told = undercount = 0
    while chunk := stream.read(_READ_BYTES):
        counted.feed(chunk)
        lines.feed(chunk)
        done += len(chunk)
        if top and sum(map(len, counted.tally.keys.values())) > most:
            undercount += _prune(counted.tally.keys, most // 2, groups)
        if progress and done - told >= _PROGRESS_BYTES:
            told = done
            progress(done)
    counted.close()
    lines.close()
    counted.tally.settle()
    if progress:
        progress(None)
    return _report(counted, top, undercount, groups, lines)


def _report(counted: Stream, top: int, undercount: int, groups: _Groups, lines: Lines) -> Report:
    tally = counted.tally
    for db in tally.keys:
        groups.add(tally.keys[db].items())
    names = sorted(tally.names.items(), key=lambda item: (-item[1], item[0]))
    if unnamed := tally.commands - sum(times for _, times in names):
        names.append((_OTHER.encode(), unnamed))  # of names there are too many only where somebody made them up
    return Report(
        commands=tally.commands,
        skipped=tally.skipped,
        skipped_lines=tuple(counted.skipped_lines),
        seconds=max(0.0, (counted.last_stamp or 0.0) - (counted.first_stamp or 0.0)),
        accesses=groups.accesses,
        distinct_keys=sum(map(len, tally.keys.values())),
        undercount=undercount,
        keys=tuple(_most_accessed(tally.keys, top)),
        groups=tuple(groups.largest()),
        command_counts={write(name): times for name, times in names},
        clients=tuple((write(host), times) for host, times in lines.clients()),
        heaviest=lines.heaviest(_HEAVIEST),
        rate=lines.rate(),
    )


def _most_accessed(keys: Mapping[int, Mapping[bytes, int]], top: int) -> Iterable[KeyCount]:
    """Pick the `top` keys (0: all), most accessed first, ties by name and then database."""
    items = ((-unpacked(packed)[0], key, db, packed) for db, table in keys.items() for key, packed in table.items())
    for _, key, db, packed in nsmallest(top, items) if top else sorted(items):
        accesses, writes = unpacked(packed)
        yield KeyCount(db, key, accesses, writes)


def _prune(keys: Mapping[int, dict[bytes, int]], keep: int, groups: _Groups) -> int:
    """Keep the `keep` most accessed keys, give the others to their groups; returns the most accesses dropped."""
    counts = ((unpacked(packed)[0], db, key) for db, table in keys.items() for key, packed in table.items())
    kept = {(db, key) for _, db, key in nlargest(keep, counts)}
    dropped = 0
    for db, table in keys.items():
        leaving = [item for item in table.items() if (db, item[0]) not in kept]
        groups.add(leaving)
        for key, packed in leaving:
            dropped = max(dropped, unpacked(packed)[0])
            del table[key]
    return dropped


class _Groups:
    """Accesses per group of keys. Numbers in names are folded before anything is looked up, for speed."""

    def __init__(self) -> None:
        self.accesses = 0
        self._totals: Counter[str] = Counter()
        self._names: dict[bytes, str] = {}

    def add(self, items: Iterable[tuple[bytes, int]]) -> None:
        """Add keys with their packed counts."""
        for key, packed in items:
            accesses, _ = unpacked(packed)
            self.accesses += accesses
            self._totals[self._name(key)] += accesses
        if len(self._totals) > _MOST_GROUPS:
            self._totals = Counter(dict(self._cut(_MOST_GROUPS // 2)))

    def largest(self) -> list[tuple[str, int]]:
        """List the largest groups, the rest in `other`."""
        return self._cut(_LISTED_GROUPS)

    def _cut(self, keep: int) -> list[tuple[str, int]]:
        other = self._totals.pop(_OTHER, 0)
        ordered = sorted(self._totals.items(), key=lambda item: (-item[1], item[0]))
        other += sum(accesses for _, accesses in ordered[keep:])
        return ordered[:keep] + ([(_OTHER, other)] if other else [])

    def _name(self, key: bytes) -> str:
        # All digits are alike to `group`, except for those that it keeps.
        shape = key.translate(_DIGITS)
        name = self._names.get(shape)
        if name is None:
            name = group(shape)
            if "0" in name:
                return group(key)
            if len(self._names) >= _REMEMBERED_SHAPES:
                self._names.clear()
            self._names[shape] = name
        return name
