"""Accesses per database and key, added up from what the patterns captured and from lines that were read exactly."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

from exporter.keynames import KEPT_BYTES, stored
from exporter.monitor.keys import Kind
from exporter.monitor.line import Line, arguments, unescape

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterable

    from exporter.monitor.keys import CommandTable, Plan

# Accesses and writes of a key are one number: the first below, the second above this many bits. A tuple would take
# four times the memory, and there may be hundreds of thousands.
_BITS = 48
_READ = 1
_WRITE = (1 << _BITS) + 1
_MOST_NAMES = 4096
_MOST_UNKNOWN = 16


def unpacked(packed: int) -> tuple[int, int]:
    """Give accesses and, of these, writes."""
    return packed & ((1 << _BITS) - 1), packed >> _BITS


class Tally:
    """Adds up; `keys` maps databases to keys to packed counts once `settle` was called."""

    def __init__(self, table: CommandTable, *, commands: bool) -> None:
        self.keys: dict[int, dict[bytes, int]] = {}
        self.commands = 0
        self.skipped = 0
        self.unknown: set[bytes] = set()
        self._table = table
        self._texts: dict[int, Counter[bytes | None]] = {}
        self._names: Counter[bytes] | None = Counter() if commands else None
        self._units: dict[bytes, int] = {}  # what one more of a command with a single key (0: with none) adds

    @property
    def held(self) -> int:
        """Distinct texts that `settle` would resolve."""
        return sum(map(len, self._texts.values()))

    @property
    def names(self) -> Counter[bytes]:
        """How often each command ran, in lower case, if that was asked for."""
        merged: Counter[bytes] = Counter()
        for name, times in (self._names or {}).items():
            merged[name.removesuffix(b'"').lower()] += times
        return merged

    def take(self, db: int, texts: Iterable[bytes | None]) -> None:
        """Take what a pattern captured (None where a match had fewer lines)."""
        counter = self._texts.get(db)
        if counter is None:
            counter = self._texts[db] = Counter()
        counter.update(texts)

    def add(self, line: Line, times: int = 1) -> None:
        """Count a line that was read exactly."""
        self.commands += times
        self._plan(line.argv[0])
        keys = self.keys.setdefault(line.db, {})
        for key, write in self._table.accesses(line.argv):
            held = stored(key)
            keys[held] = keys.get(held, 0) + times * (_WRITE if write else _READ)
        self._named(line.argv[0], times)

    def settle(self) -> None:
        """Resolve all texts to keys."""
        for db, texts in self._texts.items():
            texts.pop(None, None)
            self._settle(db, texts)
        self._texts.clear()

    def _settle(self, db: int, texts: Counter[bytes | None]) -> None:
        keys = self.keys.setdefault(db, {})
        get, unit_of, named = keys.get, self._units.get, self._names is not None
        commands = 0
        for text, times in cast("ItemsView[bytes, int]", texts.items()):  # `settle` took None out
            name, _, rest = text.partition(b'" "')
            unit = unit_of(name)
            if unit is None and (unit := self._unit(name)) is None:
                self._several(db, text, times)
                continue
            commands += times
            if named:
                self._named(name, times)
            if unit:
                key = rest[:-1]
                if b"\\" in key:
                    key = unescape(key)
                if len(key) > KEPT_BYTES:
                    key = stored(key)
                keys[key] = get(key, 0) + times * unit
        self.commands += commands

    def _unit(self, name: bytes) -> int | None:
        """Learn what `name` adds to its only key, 0 if it has none; None if more of the line is needed."""
        if b"\\" in name:
            return None
        plan = self._plan(name.removesuffix(b'"'))
        if plan.kind is Kind.REST or plan.kind is Kind.LINE:
            return None
        unit = 0 if plan.kind is Kind.NONE else _WRITE if plan.write else _READ
        if len(self._units) < _MOST_NAMES:
            self._units[name] = unit
        return unit

    def _plan(self, name: bytes) -> Plan:
        plan = self._table.plan(name)
        if not plan.known and len(self.unknown) < _MOST_UNKNOWN:
            self.unknown.add(name)
        return plan

    def _several(self, db: int, text: bytes, times: int) -> None:
        """Count a line whose keys may stand anywhere in it."""
        text = text.removesuffix(b"\r")
        argv: list[bytes] | None = text[:-1].split(b'" "')
        if b"\\" in text or text.count(b'"') != 2 * len(argv or ()) - 1:
            argv = arguments(text, self._table)
        if argv is None:
            self.skipped += times
            return
        plan = self._plan(argv[0])
        if plan.kind is not Kind.REST:
            self.add(Line(b"", db, b"", argv), times)
            return
        keys = self.keys[db]
        unit = times * (_WRITE if plan.write else _READ)
        for key in argv[1 :: plan.step]:
            held = key if len(key) <= KEPT_BYTES else stored(key)
            keys[held] = keys.get(held, 0) + unit
        self.commands += times
        self._named(argv[0], times)

    def _named(self, name: bytes, times: int) -> None:
        if self._names is not None and (name in self._names or len(self._names) < _MOST_NAMES):
            self._names[name] += times
