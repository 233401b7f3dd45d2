"""Accesses per database and key, added up from what the patterns captured and from lines that were read exactly."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from exporter.keynames import KEPT_BYTES, stored
from exporter.monitor.keys import Kind
from exporter.monitor.line import TEXT, Line, arguments, unescape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.monitor.keys import CommandTable, Plan

# Accesses and writes of a key are one number: the first below, the second above this many bits. A tuple would take
# four times the memory, and there may be hundreds of thousands.
WRITES = 48
ACCESSES = (1 << WRITES) - 1
_READ = 1
_WRITE = (1 << WRITES) + 1
_QUOTE, _BACKSLASH = b'"\\'  # numbers: `b"\\" in text` is slow, it tries bytes as a number first
_MOST_NAMES = 4096
_MOST_UNKNOWN = 16
_FIRST_KEYS = re.compile(rb'" "(' + TEXT + rb')"[^\n]*+\n')


def unpacked(packed: int) -> tuple[int, int]:
    """Give accesses and, of these, writes."""
    return packed & ACCESSES, packed >> WRITES


class Tally:
    """Adds up; `keys` maps databases to keys to packed counts once `settle` was called, `names` likewise.

    Keys are added up as they stand in the stream and brought to their own form, with its escapes undone, once each.
    """

    def __init__(self, table: CommandTable, *, commands: bool) -> None:
        self.keys: dict[int, dict[bytes, int]] = {}
        self.commands = 0
        self.skipped = 0
        self.unknown: set[bytes] = set()
        self._table = table
        self._texts: dict[int, Counter[bytes]] = {}
        self._escaped: dict[tuple[int, bool], Counter[bytes]] = {}
        self._names: Counter[bytes] | None = Counter() if commands else None

    @property
    def held(self) -> int:
        """Distinct texts that `settle` would resolve."""
        return sum(map(len, self._texts.values())) + sum(map(len, self._escaped.values()))

    @property
    def names(self) -> Counter[bytes]:
        """How often each command ran, in lower case, if that was asked for."""
        merged: Counter[bytes] = Counter()
        for name, times in (self._names or {}).items():
            merged[name.removesuffix(b'"').lower()] += times
        return merged

    def take(self, db: int, texts: Iterable[bytes]) -> None:
        """Take what the first pattern captured; the caller adds the lines to `commands`."""
        counter = self._texts.get(db)
        if counter is None:
            counter = self._texts[db] = Counter()
        counter.update(texts)

    def take_names(self, names: Iterable[bytes]) -> None:
        """Take the names of commands that the first pattern captured."""
        if self._names is not None:
            self._names.update(names)

    def take_all(self, db: int, name: bytes, rests: list[bytes]) -> None:
        """Take lines of one command; of each there is what stands behind the command's name from its quote on."""
        plan = self._table.plan(name)
        keys: list[bytes] | None = []
        if plan.kind is Kind.FIRST:
            keys = _first_keys(rests)
        elif plan.kind is Kind.REST:
            keys = _all_keys(rests, plan.step)
        elif plan.kind is Kind.LINE:
            keys = None
        if keys is None:
            for rest in rests:
                self._exactly(db, name, rest)
            return
        self._named(name, plan, len(rests))
        if keys:
            counter = self._escaped.get((db, plan.write))
            if counter is None:
                counter = self._escaped[db, plan.write] = Counter()
            counter.update(keys)

    def add(self, line: Line) -> None:
        """Count a line that was read exactly."""
        self._add(line.db, line.argv)

    def settle(self) -> None:
        """Resolve all texts to keys."""
        for db, texts in self._texts.items():
            self._settle(self.keys.setdefault(db, {}), texts)
        for (db, write), escaped in self._escaped.items():
            keys, unit = self.keys.setdefault(db, {}), _WRITE if write else _READ
            get = keys.get
            for key, times in escaped.items():
                if _BACKSLASH in key or len(key) > KEPT_BYTES:
                    key = stored(unescape(key))  # noqa: PLW2901
                keys[key] = get(key, 0) + times * unit
        self._texts.clear()
        self._escaped.clear()

    def _settle(self, keys: dict[bytes, int], texts: Counter[bytes]) -> None:
        get = keys.get
        for text, times in texts.items():
            if text[0] == _QUOTE:
                key, packed = text[3:], times
            else:
                key, packed = text[2:], times * _WRITE
            if _BACKSLASH in key:
                key = unescape(key)
            keys[key] = get(key, 0) + packed

    def _exactly(self, db: int, name: bytes, rest: bytes) -> None:
        """Count a line whose keys may stand anywhere in it."""
        text = name + rest.removesuffix(b"\r")
        argv: list[bytes] | None = text[:-1].split(b'" "')
        if _BACKSLASH in text or text.count(b'"') != 2 * len(argv or ()) - 1:
            argv = arguments(text, self._table)
        if argv is None:
            self.skipped += 1
        else:
            self._add(db, argv)

    def _add(self, db: int, argv: Sequence[bytes]) -> None:
        name = argv[0]
        self._named(name, self._table.plan(name), 1)
        keys = self.keys.setdefault(db, {})
        for place, write in self._table.positions(argv):
            key = stored(argv[place])
            keys[key] = keys.get(key, 0) + (_WRITE if write else _READ)

    def _named(self, name: bytes, plan: Plan, times: int) -> None:
        self.commands += times
        if not plan.known and len(self.unknown) < _MOST_UNKNOWN:
            self.unknown.add(name)
        if self._names is not None and (name in self._names or len(self._names) < _MOST_NAMES):
            self._names[name] += times


# --- keys of many lines at once ------------------------------------------------------------------------------------
# Lines are what stands behind the name of one and the same command: `" "key" "more"`, with CR or not. Keys come as they
# are written, with escapes. None: not all lines are well-formed or have keys, they must be read one by one.


def _first_keys(rests: list[bytes]) -> list[bytes] | None:
    """The first argument of each line."""
    parts: list[bytes] = _FIRST_KEYS.split(b"\n".join([*rests, b""]))
    keys = parts[1::2]
    return keys if len(keys) == len(rests) and not any(parts[::2]) else None


def _all_keys(rests: list[bytes], step: int) -> list[bytes] | None:
    """Every step-th argument of all lines, from the first one on."""
    text = b"\n".join(rests)
    if step == 1 and text.find(b'\\"') < 0:
        end = b'"\r' if text.endswith(b"\r") else b'"'
        joined = text.removesuffix(end).replace(end + b'\n" "', b'" "')
        keys = joined[len(b'" "') :].split(b'" "')
        if joined.startswith(b'" "') and joined.count(b'"') == 2 * len(keys) and joined.find(b"\n") < 0:
            return keys
    parts: list[bytes] = _every(step).split(text)
    gaps = parts[::2]
    between = list(filter(None, gaps[1:-1]))
    well_formed = gaps[0] == b'"' and gaps[-1] in {b"", b"\r"} and set(between) <= {b'\n"', b'\r\n"'}
    return parts[1::2] if well_formed and len(between) == len(rests) - 1 else None


@cache
def _every(step: int) -> re.Pattern[bytes]:
    return re.compile(rb' "(' + TEXT + rb')"' + (rb' "' + TEXT + rb'"') * (step - 1))
