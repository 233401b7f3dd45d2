"""From the keys that a scan has seen to figures for all keys: counts, memory and lives of key groups (pure).

In: steps of a scan, each some keys of one database with their sizes. Out: `KeyGroup`s with a 95 % interval, and the
largest keys. A scan walks the buckets of a hash table whose seed is random, so what it has seen of a database is a
random sample of it; what it has seen to the end is the database itself.

Keys of a group:  D * n_g / n      D: keys that the database has, n: keys seen, n_g: seen of the group
Its memory:       D * b_g / n      b_g: bytes seen of the group

The variance is the larger one of two, times 1 - n / D for what is seen already: the delete-one jackknife over 20 to 40
consecutive pieces of the scan (Wolter, Introduction to Variance Estimation, chapter 4), which also sees that keys of
one group lie together (cluster slots), and that of a simple random sample, which a few pieces may hit too low.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.keynames import LongKey, stored
from exporter.sampling.interval import Estimate, interval
from exporter.snapshot import GroupLife, KeyGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    DbKey = tuple[int, bytes]

OTHER = "other"
MOST_PIECES = 40
HELD_FACTOR = 4
"""How many times more groups are held than shown: a large group that comes late must still find its place."""
CANDIDATES_FACTOR = 5


class _Sum:
    """Keys of one group, their bytes, and the sum of the squares of these."""

    __slots__ = ("bytes", "keys", "squares")

    def __init__(self) -> None:
        self.keys = self.bytes = self.squares = 0

    def add(self, size: int) -> None:
        self.keys += 1
        self.bytes += size
        self.squares += size * size

    def merge(self, other: _Sum) -> None:
        self.keys += other.keys
        self.bytes += other.bytes
        self.squares += other.squares


class _Piece:
    """Consecutive steps of a scan."""

    __slots__ = ("groups", "keys", "steps")

    def __init__(self) -> None:
        self.groups: dict[str, _Sum] = {}
        self.keys = 0
        self.steps = 0

    def merge(self, other: _Piece) -> None:
        _merge(self.groups, other.groups.items())
        self.keys += other.keys
        self.steps += other.steps


class _Database:
    """What was seen of one database."""

    def __init__(self) -> None:
        self.keys = 0
        self.groups: dict[str, _Sum] = {}
        self.lives: dict[str, list[float | None]] = {}
        self.pieces: list[_Piece] = []
        self._steps = 1  # of a full piece

    def piece(self) -> _Piece:
        """The piece that the next step belongs to. Pieces double in length before there are too many of them."""
        if not self.pieces or self.pieces[-1].steps >= self._steps:
            if len(self.pieces) == MOST_PIECES:
                for one, other in zip(self.pieces[::2], self.pieces[1::2], strict=True):
                    one.merge(other)
                del self.pieces[1::2]
                self._steps *= 2
            self.pieces.append(_Piece())
        self.pieces[-1].steps += 1
        return self.pieces[-1]


class Look:
    """One look over the databases of a node. `name_of` names a key's group; memory is bounded by `max_groups`."""

    def __init__(self, name_of: Callable[[bytes], str], max_groups: int, lives_per_group: int) -> None:
        self._name_of = name_of
        self._max_groups = max_groups
        self._lives = lives_per_group
        self._held = 0
        self._databases: dict[int, _Database] = {}
        self._sized = True

    @property
    def keys(self) -> int:
        """How many keys were seen."""
        return sum(one.keys for one in self._databases.values())

    def seen(self, db: int) -> int:
        """How many keys of one database were seen."""
        return self._databases[db].keys if db in self._databases else 0

    def add(self, db: int, keys: Sequence[bytes], sizes: Sequence[int | None] | None) -> None:
        """Take in one step: keys and their bytes, None for a key that is gone; `sizes` None where nobody may ask."""
        database = self._databases.setdefault(db, _Database())
        piece = database.piece()
        if sizes is None:
            self._sized, sizes = False, [0] * len(keys)
        for key, size in zip(keys, sizes, strict=True):
            if size is None:
                continue
            name = self._name(database, key)
            database.groups[name].add(size)
            if (part := piece.groups.get(name)) is None:
                part = piece.groups[name] = _Sum()
            part.add(size)
            piece.keys += 1
            database.keys += 1

    def without_life(self, db: int, keys: Sequence[bytes]) -> list[bytes]:
        """Those of `keys` whose groups lack remaining lives, at most as many as are lacking."""
        if not self._lives:
            return []
        database = self._databases.setdefault(db, _Database())
        lacking: dict[str, int] = {}
        chosen = []
        for key in keys:
            name = self._name(database, key)
            left = lacking.get(name, self._lives - len(database.lives.get(name, ())))
            if left > 0:
                chosen.append(key)
            lacking[name] = left - 1
        return chosen

    def add_life(self, db: int, key: bytes, seconds: float | None) -> None:
        """Take in the remaining life of one key, None if it never expires."""
        database = self._databases[db]
        database.lives.setdefault(self._name(database, key), []).append(seconds)

    def groups(self, totals: Mapping[int, int], *, whole: bool) -> tuple[KeyGroup, ...]:
        """The figures for all keys of the databases, of which there are `totals` now; `whole`: all of them were seen.

        The `max_groups` largest by keys are named, largest first; the rest of each database is the group `other`.
        """
        found = [(db, name, one) for db, base in self._databases.items() for name, one in base.groups.items()]
        found.sort(key=lambda item: (item[1] == OTHER, -item[2].keys, item[0], item[1]))
        shown = {(db, name) for db, name, _ in found[: self._max_groups]}
        figures: list[KeyGroup] = []
        for db, database in self._databases.items():
            named = {name: name if (db, name) in shown else OTHER for name in database.groups}
            total = None if whole else max(totals.get(db, 0), database.keys)
            figures += self._database(db, database, named, total)
        return tuple(sorted(figures, key=lambda one: (-one.keys, one.db, one.group)))

    def _name(self, database: _Database, key: bytes) -> str:
        """The group of a key; past what is held, `other`."""
        name = self._name_of(key)
        if name not in database.groups:
            if self._held >= HELD_FACTOR * self._max_groups:
                name = OTHER
            if name not in database.groups:
                database.groups[name] = _Sum()
                self._held += 1
        return name

    def _database(
        self, db: int, database: _Database, named: Mapping[str, str], total: int | None
    ) -> Iterable[KeyGroup]:
        whole = _renamed(database.groups, named)
        pieces = [(piece.keys, _renamed(piece.groups, named)) for piece in database.pieces if piece.keys]
        lives: dict[str, list[float | None]] = {}
        for name, some in database.lives.items():
            lives.setdefault(named[name], []).extend(some)
        for name, seen in whole.items():
            if not seen.keys:
                continue
            parts = [(n, one.get(name)) for n, one in pieces]
            keys = _extrapolated(
                seen.keys, seen.keys, database.keys, total, [(n, one.keys if one else 0) for n, one in parts]
            )
            memory = None
            if self._sized:
                memory = _extrapolated(
                    seen.bytes, seen.squares, database.keys, total, [(n, one.bytes if one else 0) for n, one in parts]
                )
            most = keys.high if total is None else min(keys.high, total - database.keys + seen.keys)
            yield KeyGroup(
                db, name, keys.rate, keys.low, most,
                memory.rate if memory else None, memory.low if memory else None, memory.high if memory else None,
                _life(lives.get(name, [])),
            )  # fmt: skip


def _merge(into: dict[str, _Sum], groups: Iterable[tuple[str, _Sum]]) -> None:
    for name, one in groups:
        if name not in into:
            into[name] = _Sum()
        into[name].merge(one)


def _renamed(groups: Mapping[str, _Sum], named: Mapping[str, str]) -> dict[str, _Sum]:
    merged: dict[str, _Sum] = {}
    _merge(merged, ((named[name], one) for name, one in groups.items()))
    return merged


def _extrapolated(
    amount: int, squares: int, seen: int, total: int | None, pieces: Sequence[tuple[int, int]]
) -> Estimate:
    """Scale `amount` of `seen` keys up to `total` keys (None: all were seen).

    `squares` is the sum of the keys' squared amounts, `pieces` are keys and amount of each piece.
    """
    if total is None or total <= seen:
        return Estimate(amount, amount, amount)
    estimate = total * amount / seen
    mean = amount / seen
    variance = total**2 * max(0.0, squares / seen - mean**2) / seen
    count = len(pieces)
    if count > 1:
        others = [total * (amount - part) / (seen - n) for n, part in pieces if n < seen]
        center = sum(others) / len(others)
        spread = (count - 1) / count * sum((one - center) ** 2 for one in others)
        variance = max(variance, spread)
    found = interval(estimate, variance * (1 - seen / total), max(1, count - 1))
    # What was seen is there, whatever the formula says.
    return Estimate(estimate, max(found.low, amount), found.high)


def _life(lives: Sequence[float | None]) -> GroupLife | None:
    if not lives:
        return None
    some = sorted(one for one in lives if one is not None)
    ranks = [some[min(len(some) - 1, int(share * len(some)))] for share in (0.1, 0.5, 0.9)] if some else [None] * 3
    return GroupLife(len(lives), len(some) / len(lives), *ranks)


class Largest:
    """The largest keys: holds `CANDIDATES_FACTOR * top` of them, so that one that shrinks or goes has successors."""

    def __init__(self, top: int) -> None:
        self._limit = CANDIDATES_FACTOR * top
        self._sizes: dict[DbKey, int] = {}
        self._least = 0

    def add(self, db: int, keys: Sequence[bytes], sizes: Sequence[int | None]) -> None:
        """Take in keys and their bytes; None for a key that is gone."""
        for key, size in zip(keys, sizes, strict=True):
            if size is None:
                self._sizes.pop((db, stored(key)), None)
            elif size > self._least:
                self._sizes[db, stored(key)] = size
                if len(self._sizes) >= 2 * self._limit:
                    self._cut()

    def ranked(self) -> list[tuple[DbKey, int]]:
        """The candidates, largest first."""
        self._cut()
        return sorted(self._sizes.items(), key=lambda item: (-item[1], item[0]))

    def askable(self) -> dict[int, list[bytes]]:
        """The candidates whose whole names are held, by database."""
        databases: dict[int, list[bytes]] = {}
        for db, key in self._sizes:
            if not isinstance(key, LongKey):
                databases.setdefault(db, []).append(key)
        return databases

    def renew(self, db: int, keys: Sequence[bytes], sizes: Sequence[int | None]) -> None:
        """Take in what the candidates measure now."""
        for key, size in zip(keys, sizes, strict=True):
            if size is None:
                self._sizes.pop((db, key), None)
            else:
                self._sizes[db, key] = size
        if len(self._sizes) < self._limit:
            self._least = 0

    def _cut(self) -> None:
        if len(self._sizes) < self._limit:
            self._least = 0
            return
        kept = sorted(self._sizes.items(), key=lambda item: -item[1])[: self._limit]
        self._sizes = dict(kept)
        self._least = kept[-1][1]
