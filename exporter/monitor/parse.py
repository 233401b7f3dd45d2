"""From the bytes of MONITOR to accesses per key: any split of a stream in, counts out; values are dropped on the way.

Chunks of whole lines go through `patterns`, which is fast, and what is left of them through `line`, which is exact.
Both agree, so that it never matters how a stream was cut into reads.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.monitor import own as own_traffic
from exporter.monitor.line import HEADER, LONG, LongLine, read
from exporter.monitor.own import Own
from exporter.monitor.patterns import LINES, Style, patterns_for
from exporter.monitor.tally import ACCESSES, WRITES, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.monitor.keys import CommandTable

__all__ = ["Counts", "Own", "Stream", "count", "marks", "split_at"]

_CHUNK = 49_152  # bytes that are matched at once: they and all that comes of them fit a core's cache
_LEFT_BYTES = 131_072
_MOST_PLACES = 16
_NAMED_SKIPS = 5
_BULK = re.compile(rb"\n[$=!](\d{1,8})\r(?=\n|\Z)")
_STAMP = re.compile(rb"\+?(\d{1,12})(\.\d{1,6}) \[\d")
_SECONDS = re.compile(rb"\d+\.\d+")
_GREETING = re.compile(rb"(?:\+?(?:OK|PONG|RESET|QUEUED))?\r?")
_BOUND = re.compile(rb'\] "(?:(EXEC|exec)|MULTI|multi)"')
_REPLY = re.compile(rb"(?:\+[^0-9\r\n]|[-:*%~>|_#,($=!])[^\r\n]*\r")


@dataclass(frozen=True, slots=True)
class Counts:
    """What a piece of a stream holds.

    `commands` are lines of others (each inner command of a script is one), `own` our lines, `skipped` lines that are
    none of MONITOR's. `accesses` maps (db, stored key) to (accesses, of which writes). `unknown` are commands that the
    table does not know: renamed, of a module, or newer than we are; some of them.
    """

    commands: int = 0
    own: int = 0
    skipped: int = 0
    accesses: Mapping[tuple[int, bytes], tuple[int, int]] = field(default_factory=dict)
    unknown: frozenset[bytes] = frozenset()


def count(data: bytes, table: CommandTable, own: Own = Own()) -> Counts:  # noqa: B008 - immutable
    """Count one slice of a session: whole lines with in-band replies between them.

    A last line that is cut counts if its keys are complete, else it is dropped.
    """
    stream = Stream(table, own, replies=True)
    stream.feed(data)
    stream.close(cut=True)
    return stream.counts()


def split_at(data: bytes, second: int) -> tuple[bytes, bytes]:
    """Cut a slice in two: lines stamped before `second` (whole seconds on the server's clock), and the rest.

    Lines without a stamp stay with the stamped line before them, and what a script does stays with the script: whose
    it is shows there only. The stamps must ascend, as the server's do.
    """
    low, high = 0, len(data)
    while low < high:
        start = max(low, data.rfind(b"\n", low, (low + high) // 2) + 1)
        stamped = _stamped(data, start, high)
        if stamped is None:
            high = start
        elif int(stamped[1]) < second:
            low = data.find(b"\n", stamped.end()) + 1 or len(data)
        elif (high := start) == low or stamped.start() == low:
            break
    cut = _behind_script(data, low)
    return (data, b"") if cut is None else (data[: cut.start()], data[cut.start() :])


def marks(data: bytes, number: int) -> list[tuple[int, float]]:
    """Up to `number` evenly spread places in a slice where a stamped line begins, each with its stamp (seconds).

    None is between a script's line and what the script does, or inside a transaction.
    """
    found, at, bound = [], 0, _BOUND.search(data)
    for n in range(1, number):
        start = data.rfind(b"\n", at, len(data) * n // number) + 1 or at
        stamped = _behind_script(data, start)
        if stamped is not None and stamped.start() > at:
            while bound is not None and bound.end() <= stamped.start():
                bound = _BOUND.search(data, stamped.start())
            if bound is not None and bound[1] and _in_one_go(data, stamped.start(), bound.start()):
                stamped = _behind_script(data, data.find(b"\n", bound.end()) + 1 or len(data))
        if stamped is None:
            break
        if stamped.start() > at:
            at = stamped.start()
            found.append((at, int(stamped[1]) + float(stamped[2])))
    return found


def _behind_script(data: bytes, start: int) -> re.Match[bytes] | None:
    """Find the first stamped line from the line at `start` on that no script has made."""
    stamped = _stamped(data, start, len(data))
    while stamped is not None and own_traffic.LUA.match(data, stamped.start()):
        stamped = _stamped(data, data.find(b"\n", stamped.end()) + 1 or len(data), len(data))
    return stamped


def _in_one_go(data: bytes, start: int, end: int) -> bool:
    """Whether all lines from `start` to the EXEC at `end` are its client's, or its scripts'."""
    source = data[data.rfind(b" ", 0, end) + 1 : end]
    header = HEADER.match(data, start)
    if header is None or header[3] != source:
        return False
    lines = data.count(b"\n", start, end)
    theirs = data.count(b" %s] " % source, start, end)
    return theirs >= lines or theirs + data.count(b" lua] ", start, end) >= lines


def _stamped(data: bytes, start: int, end: int) -> re.Match[bytes] | None:
    """Find the first stamped line from the line at `start` on, if it begins before `end`."""
    while start < end:
        if match := _STAMP.match(data, start):
            return match
        start = data.find(b"\n", start) + 1 or end
    return None


class Stream:
    """Counts a stream that arrives in pieces of any size, in constant memory per line.

    With `commands` the names of commands are counted too, and the first and last stamp and the places of what was
    skipped are kept. With `replies` answers to in-band commands may stand between the lines (and are ignored).
    `remember` bounds the distinct texts that are held before they are resolved to keys.
    """

    def __init__(
        self,
        table: CommandTable,
        own: Own = Own(),  # noqa: B008 - immutable
        *,
        commands: bool = False,
        replies: bool = False,
        remember: int = 65_536,
    ) -> None:
        self.tally = Tally(table, commands=commands)
        self.skipped_lines: list[int] = []
        self.first_stamp: float | None = None
        self.last_stamp: float | None = None
        self._table = table
        self._patterns = patterns_for(table, commands=commands)
        self._own = own_traffic.Filter(own)
        self._detailed = commands
        self._replies = replies
        self._remember = remember
        self._held = b""  # the beginning of a line
        self._long: LongLine | None = None
        self._left: list[bytes] = []  # lines that the first pattern has left
        self._left_bytes = 0
        self._places: list[tuple[int, bytes]] = []  # chunks they are from, each with the number of lines before it
        self._payload = 0  # bytes of a bulk reply that are still to come
        self._lines = 0

    def counts(self) -> Counts:
        """What has been counted so far; a line that has not ended yet is not in it."""
        tally = self.tally
        self._finish()
        tally.settle()
        accesses = {
            (db, key): (packed & ACCESSES, packed >> WRITES)
            for db, keys in tally.keys.items()
            for key, packed in keys.items()
        }
        return Counts(
            tally.commands - self._own.passed, self._own.lines, tally.skipped, accesses, frozenset(tally.unknown)
        )

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        data = self._held + chunk
        self._held = b""
        at = 0
        while at < len(data):
            if self._payload:
                skipped = min(self._payload, len(data) - at)
                self._payload -= skipped
                at += skipped
            elif self._long:
                at = self._continue_long(self._long, data, at)
            elif cut := _cut(data, at):
                at = self._whole_lines(data, at, cut)
            else:
                self._hold(data[at:])
                break
        if self.tally.held > self._remember:
            self.tally.settle()

    def close(self, *, cut: bool = False) -> None:
        """The stream has ended. A last line without a newline counts if it is whole (`cut`: if its keys are)."""
        self._finish()
        line = self._long.end(cut=cut) if self._long else read(self._held, self._table, cut=cut)
        if line and self._own.takes(line):
            pass  # counted there
        elif line:
            self.last_stamp = _seconds(line.stamp) or self.last_stamp
            self.first_stamp = self.first_stamp or self.last_stamp
            self.tally.add(line)
        elif not cut and (self._long or not self._ignorable(self._held)):
            self._skip()
        self._held, self._long = b"", None

    def _hold(self, rest: bytes) -> None:
        if len(rest) < LONG:
            self._held = rest
        else:
            self._long = LongLine(rest, self._table)

    def _continue_long(self, long: LongLine, data: bytes, at: int) -> int:
        """Feed a long line up to its end, if that is there; returns where to go on."""
        end = data.find(b"\n", at)
        long.feed(data[at : end if end >= 0 else len(data)])
        if end < 0:
            return len(data)
        self.close()
        self._lines += 1
        return end + 1

    def _whole_lines(self, data: bytes, at: int, cut: int) -> int:
        """Count the lines of `data[at:cut]`, up to the first bulk reply; returns where to go on."""
        # Each line is taken with the newline before it and without its own: patterns find a newline fast.
        behind_newline = data.startswith(b"\n", at - 1) if at else False  # but it may be a bulk reply
        lines = data[at - 1 : cut - 1] if behind_newline else b"\n" + data[at : cut - 1]
        if self._replies and (bulk := _BULK.search(lines)):
            if bulk.start():
                return self._whole_lines(data, at, at + bulk.start())
            self._payload = int(bulk[1]) + len(b"\r\n")
            return at + bulk.end()
        if self._detailed:
            self._details(lines)
        rest = self._usual(self._own.strip(lines))
        if rest:
            self._left.append(rest)
            self._left_bytes += len(rest)
        if self._left_bytes > _LEFT_BYTES or not self._patterns.learned or len(self._places) > _MOST_PLACES:
            self._finish()
        return cut

    def _usual(self, lines: bytes) -> bytes:
        """Count what the first pattern matches; returns the lines that are left."""
        style = Style(b"+" if lines.startswith(b"\n+") else b"", b"\r" if lines.endswith(b"\r") else b"")
        usual = self._patterns.usual(style)
        if usual is None:
            return lines
        parts: list[bytes | None] = usual.pattern.split(lines)
        step = 1 + usual.pattern.groups
        rest = b"".join(filter(None, parts[::step]))
        matched = len(parts) // step
        if lines.count(b"\n") != matched + rest.count(b"\n"):
            return lines  # a line without its closing quote has run into the next one
        self.tally.commands += matched
        for db, group in usual.keys:
            self.tally.take(db, filter(None, parts[group::step]))
        for group in usual.names:
            self.tally.take_names(filter(None, parts[group::step]))
        return rest

    def _finish(self) -> None:
        """Count what the first pattern has left; lines of many chunks at once, which is faster."""
        lines, skipped = b"".join(self._left), self.tally.skipped
        self._left, self._left_bytes = [], 0
        if lines:
            for line in self._others(lines)[1:].split(b"\n"):
                self._exactly(line)
        if self.tally.skipped > skipped:
            self._name_skipped()
        self._places = []

    def _others(self, lines: bytes) -> bytes:
        """Count what the second pattern matches, by database and command; returns the lines that are left."""
        parts = LINES.split(lines)
        commands: defaultdict[tuple[bytes, bytes], list[bytes]] = defaultdict(list)
        for place, arguments in zip(zip(parts[1::4], parts[2::4], strict=True), parts[3::4], strict=True):
            commands[place].append(arguments)
        for (db, name), found in commands.items():
            self.tally.take_all(int(db), name, found)
        self._patterns.missed((db, name, len(found)) for (db, name), found in commands.items())
        return b"".join(parts[::4])

    def _exactly(self, line: bytes) -> None:
        if parsed := read(line, self._table):
            self.tally.add(parsed)
        elif not self._ignorable(line):
            self.tally.skipped += 1

    def _ignorable(self, line: bytes) -> bool:
        """Whether a line that is none of MONITOR's may stand in its stream all the same."""
        return bool(_GREETING.fullmatch(line) or (self._replies and _REPLY.fullmatch(line)))

    def _skip(self) -> None:
        self.tally.skipped += 1
        if len(self.skipped_lines) < _NAMED_SKIPS:
            self.skipped_lines.append(self._lines + 1)

    def _name_skipped(self) -> None:
        """Find the places of skipped lines in the chunks that were just counted, while few are known."""
        for before, lines in self._places:
            for number, line in enumerate(lines[1:].split(b"\n"), before + 1):
                if len(self.skipped_lines) == _NAMED_SKIPS:
                    return
                if not (self._ignorable(line) or read(line, self._table)):
                    self.skipped_lines.append(number)

    def _details(self, lines: bytes) -> None:
        """Keep the stamps of a chunk and, while few places of skipped lines are known, the chunk."""
        if len(self.skipped_lines) < _NAMED_SKIPS:
            self._places.append((self._lines, lines))
        self._lines += lines.count(b"\n")
        if self.first_stamp is None:
            headers = map(HEADER.match, lines[1:].split(b"\n"))
            self.first_stamp = next((stamp for header in headers if header and (stamp := _seconds(header[1]))), None)
        end = len(lines)
        while end > 0:
            start = lines.rfind(b"\n", 0, end)
            header = HEADER.match(lines, start + 1)
            if header and (stamp := _seconds(header[1])):
                self.last_stamp = stamp
                break
            end = start


def _cut(data: bytes, at: int) -> int:
    """Say where a chunk that begins at `at` ends, behind a line; 0 if no line ends. None is small if more follows."""
    end = at + _CHUNK if len(data) - at > 2 * _CHUNK else len(data)
    return data.rfind(b"\n", at, end) + 1 or data.find(b"\n", end) + 1


def _seconds(stamp: bytes) -> float | None:
    return float(stamp) if _SECONDS.fullmatch(stamp) else None
