"""Accesses per database and key, added up from what the patterns captured and from lines that were read exactly."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

from exporter.keynames import KEPT_BYTES, stored
from exporter.monitor.keys import Kind
from exporter.monitor.line import Line, arguments, unescape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.monitor.keys import CommandTable, Plan

# Accesses and writes of a key are one number: the first below, the second above this many bits. A tuple would take
# four times the memory, and there may be hundreds of thousands.
_BITS = 48
_READ = 1
_WRITE = (1 << _BITS) + 1
_QUOTE, _SPACE, _BACKSLASH = b'" \\'  # numbers: `b"x" in text` is slow, it tries bytes as a number first
_MOST_NAMES = 4096
_FIRST, _REST, _LINE = Kind.FIRST, Kind.REST, Kind.LINE  # reading them off the class each time is slow
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

    @property
    def held(self) -> int:
        """Distinct texts that `settle` would resolve."""
        return sum(map(len, self._texts.values()))

    @property
    def names(self) -> Counter[bytes]:
        """How often each command ran, in lower case, if that was asked for."""
        merged: Counter[bytes] = Counter()
        for name, times in (self._names or {}).items():
            merged[name.lower()] += times
        return merged

    def take(self, db: int, texts: Iterable[bytes | None]) -> None:
        """Take what a pattern captured (None where a match had fewer lines)."""
        counter = self._texts.get(db)
        if counter is None:
            counter = self._texts[db] = Counter()
        counter.update(texts)

    def add(self, line: Line) -> None:
        """Count a line that was read exactly."""
        self._add(self.keys.setdefault(line.db, {}), line.argv, 1)

    def settle(self) -> None:
        """Resolve all texts to keys."""
        for db, texts in self._texts.items():
            texts.pop(None, None)
            self._settle(self.keys.setdefault(db, {}), cast("Counter[bytes]", texts))
        self._texts.clear()

    def _settle(self, keys: dict[bytes, int], texts: Counter[bytes]) -> None:
        get = keys.get
        commands = 0
        named: list[tuple[bytes, int]] = []
        for text, times in texts.items():
            first = text[0]
            if first == _QUOTE:
                key = text[3:-1]
                unit = times
            elif first == _SPACE:
                key = text[2:-1]
                unit = times * _WRITE
            else:
                named.append((text, times))
                continue
            commands += times
            if _BACKSLASH in key:
                key = unescape(key)
            if len(key) > KEPT_BYTES:
                key = stored(key)
            keys[key] = get(key, 0) + unit
        self.commands += commands
        self._settle_named(keys, named)

    def _settle_named(self, keys: dict[bytes, int], texts: list[tuple[bytes, int]]) -> None:
        """Resolve the texts that begin with a command's name."""
        together: dict[bool, list[bytes]] = {False: [], True: []}
        for text, times in texts:
            quoted, _, rest = text.partition(b'" "')
            name = quoted.removesuffix(b'"')
            plan = self._plan(name)
            if _QUOTE in name or _BACKSLASH in name or plan.kind is _LINE:
                self._exactly(keys, text, times)
            elif plan.kind is _REST and times == plan.step == 1 and rest.find(b'\\"') < 0:
                together[plan.write].append(text)
            elif plan.kind is _REST:
                self._exactly(keys, text, times)
            else:
                self.commands += times
                self._named(name, times)
                if plan.kind is _FIRST:
                    key = stored(unescape(rest[:-1]))
                    keys[key] = keys.get(key, 0) + times * (_WRITE if plan.write else _READ)
        for write, several in together.items():
            self._several(keys, several, _WRITE if write else _READ)

    def _several(self, keys: dict[bytes, int], texts: list[bytes], unit: int) -> None:
        """Count lines whose arguments are all keys and hold no quotes, all at once."""
        rests = [text[text.index(b'"') + 3 : -2 if text.endswith(b"\r") else -1] for text in texts]
        joined = b'" "'.join(rests)
        found = joined.split(b'" "')
        if joined.count(b'"') != 2 * (len(found) - 1):  # one of them is broken
            for text in texts:
                self._exactly(keys, text, 1)
            return
        self.commands += len(texts)
        if self._names is not None:
            for text in texts:
                self._named(text.partition(b'"')[0], 1)
        for text, times in Counter(found).items() if texts else ():
            key = stored(unescape(text))
            keys[key] = keys.get(key, 0) + times * unit

    def _exactly(self, keys: dict[bytes, int], text: bytes, times: int) -> None:
        """Count a line whose keys may stand anywhere in it."""
        text = text.removesuffix(b"\r")
        argv: list[bytes] | None = text[:-1].split(b'" "')
        if _BACKSLASH in text or text.count(b'"') != 2 * len(argv or ()) - 1:
            argv = arguments(text, self._table)
        if argv is None:
            self.skipped += times
        else:
            self._add(keys, argv, times)

    def _add(self, keys: dict[bytes, int], argv: list[bytes], times: int) -> None:
        self.commands += times
        self._plan(argv[0])
        self._named(argv[0], times)
        for place, write in self._table.positions(argv):
            key = stored(argv[place])
            keys[key] = keys.get(key, 0) + times * (_WRITE if write else _READ)

    def _plan(self, name: bytes) -> Plan:
        plan = self._table.plan(name)
        if not plan.known and len(self.unknown) < _MOST_UNKNOWN:
            self.unknown.add(name)
        return plan

    def _named(self, name: bytes, times: int) -> None:
        if self._names is not None and (name in self._names or len(self._names) < _MOST_NAMES):
            self._names[name] += times
