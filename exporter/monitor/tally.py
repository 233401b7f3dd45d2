"""Accesses per database and key, added up from what the patterns captured and from lines that were read exactly."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from exporter.keynames import KEPT_BYTES, stored
from exporter.monitor.keys import Kind, Plan
from exporter.monitor.line import Line, arguments, unescape

if TYPE_CHECKING:
    from exporter.monitor.keys import CommandTable

# Accesses and writes of a key are one number: the first below, the second above this many bits. A tuple would take
# four times the memory, and there may be hundreds of thousands.
WRITES = 48
ACCESSES = (1 << WRITES) - 1
_READ = 1
_WRITE = (1 << WRITES) + 1
_QUOTE, _SPACE, _BACKSLASH = b'" \\'  # numbers: `b"x" in text` is slow, it tries bytes as a number first
_MOST_NAMES = 4096
_FIRST, _REST, _LINE = Kind.FIRST, Kind.REST, Kind.LINE  # reading them off the class each time is slow
_EXACT = Plan(Kind.LINE)
_MOST_UNKNOWN = 16


def unpacked(packed: int) -> tuple[int, int]:
    """Give accesses and, of these, writes."""
    return packed & ACCESSES, packed >> WRITES


class Tally:
    """Adds up; `keys` maps databases to keys to packed counts once `settle` was called."""

    def __init__(self, table: CommandTable, *, commands: bool) -> None:
        self.keys: dict[int, dict[bytes, int]] = {}
        self.commands = 0
        self.skipped = 0
        self.unknown: set[bytes] = set()
        self._table = table
        self._texts: dict[int, Counter[bytes]] = {}
        self._plans: dict[bytes, Plan] = {}
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
            merged[name.removesuffix(b'"').lower()] += times
        return merged

    def take(self, db: int, texts: list[bytes]) -> None:
        """Take what a pattern captured."""
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
            self._settle(self.keys.setdefault(db, {}), texts)
        self._texts.clear()

    def _settle(self, keys: dict[bytes, int], texts: Counter[bytes]) -> None:
        get = keys.get
        commands = 0
        named: list[bytes] = []
        for text, times in texts.items():
            first = text[0]
            if first == _QUOTE:
                key = text[3:-1]
                packed = times
            elif first == _SPACE:
                key = text[2:-1]
                packed = times * _WRITE
            else:
                named.append(text)
                continue
            commands += times
            if _BACKSLASH in key:
                key = unescape(key)
            if len(key) > KEPT_BYTES:
                key = stored(key)
            keys[key] = get(key, 0) + packed
        self.commands += commands
        self._settle_named(keys, named, texts)

    def _settle_named(self, keys: dict[bytes, int], texts: list[bytes], times_of: Counter[bytes]) -> None:
        """Resolve the texts that begin with a command's name."""
        plan_of, all_keys = self._plans.get, defaultdict[bytes, list[bytes]](list)
        single: dict[bool, Counter[bytes]] = {False: Counter(), True: Counter()}
        for text in texts:
            name, _, rest = text.partition(b'" "')
            plan = plan_of(name) or self._plan(name)
            times = times_of[text]
            if plan.kind is _REST and times == plan.step == 1:
                all_keys[name].append(rest)
            elif plan.kind is _REST or plan.kind is _LINE:
                self._exactly(keys, text, times)
            else:
                self.commands += times
                self._named(name, times)
                if plan.kind is _FIRST:
                    single[plan.write][rest[:-1]] += times
        for name, rests in all_keys.items():
            single[self._plan(name).write].update(self._all_keys(keys, name, rests))
        for write, counted in single.items():
            unit = _WRITE if write else _READ
            for key, times in counted.items():
                held = stored(unescape(key)) if _BACKSLASH in key or len(key) > KEPT_BYTES else key
                keys[held] = keys.get(held, 0) + times * unit

    def _all_keys(self, keys: dict[bytes, int], name: bytes, rests: list[bytes]) -> list[bytes]:
        """Split lines of one command whose arguments are all keys, together; odd ones are counted one by one."""
        joined = b' "'.join(rests)
        if joined.find(b'\\"') >= 0:
            for rest in rests:
                if rest.find(b'\\"') >= 0:
                    self._exactly(keys, name + b'" "' + rest, 1)
            rests = [rest for rest in rests if rest.find(b'\\"') < 0]
            joined = b' "'.join(rests)
        if not rests:
            return []
        if joined.count(b"\r") == len(rests):
            joined = joined.removesuffix(b"\r").replace(b'"\r "', b'" "')
        found = joined[:-1].split(b'" "')
        if joined.count(b'"') != 2 * len(found) - 1 or joined.find(b"\r") >= 0:
            for rest in rests:
                self._exactly(keys, name + b'" "' + rest, 1)
            return []
        self.commands += len(rests)
        self._named(name, len(rests))
        return found

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
        name = argv[0]
        self._named(name, times)
        if not self._table.plan(name).known:
            self._strange(name)
        for place, write in self._table.positions(argv):
            key = stored(argv[place])
            keys[key] = keys.get(key, 0) + times * (_WRITE if write else _READ)

    def _plan(self, name: bytes) -> Plan:
        """Say how to read the texts of a command, whose name ends in a quote where there is nothing behind it."""
        if _BACKSLASH in name or _QUOTE in name[:-1]:
            return _EXACT
        plan = self._table.plan(name.removesuffix(b'"'))
        if not plan.known:
            self._strange(name.removesuffix(b'"'))
        if len(self._plans) < _MOST_NAMES:
            self._plans[name] = plan
        return plan

    def _strange(self, name: bytes) -> None:
        if len(self.unknown) < _MOST_UNKNOWN:
            self.unknown.add(name)

    def _named(self, name: bytes, times: int) -> None:
        if self._names is not None and (name in self._names or len(self._names) < _MOST_NAMES):
            self._names[name] += times
