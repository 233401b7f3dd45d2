"""Our own lines in a stream: found by the address they come from, or by a secret word, and taken out.

Over TCP each of our sockets has an address of its own. Over a unix socket all clients look alike, so our commands go
in transactions whose first command is `PING TOKEN`; from there to EXEC nobody else's can come between. What our scripts
do shows as lines of `lua` right behind their EVAL, for a script runs alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.monitor.line import HEADER

if TYPE_CHECKING:
    from exporter.monitor.line import Line

_LONGEST_TRANSACTION = 10_000  # lines; if the EXEC of one was lost, the others' lines must come back some day
LUA = re.compile(rb"\+?(?:[^\n]{17}|\d{1,12}\.\d{1,6}) \[\d{1,9} lua\] ")
_SCRIPT = re.compile(rb'eval(?:sha)?"', re.IGNORECASE)
_MULTI = re.compile(rb'multi"\r?', re.IGNORECASE)
_EXEC = re.compile(rb'exec"\r?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Own:
    """What is ours: source addresses as MONITOR writes them, and the word that marks our transactions."""

    addresses: frozenset[bytes] = frozenset()
    token: bytes | None = None


class Filter:
    """Takes our lines out of a stream's chunks and counts them."""

    def __init__(self, own: Own) -> None:
        self.lines = 0
        self.passed = 0  # of these, MULTIs that were taken for another's until their transaction came
        self._addresses = own.addresses
        self._token = own.token
        self._ping = re.compile(rb'ping" "%s"\r?' % re.escape(own.token or b""), re.IGNORECASE)
        self._source: bytes | None = None  # where the transaction that we are in comes from
        self._inside = 0
        self._multi: bytes | None = None  # where the last MULTI of the chunks before came from
        self._scripting = False  # the last line was our script's, or what it did

    def takes(self, line: Line) -> bool:
        """Whether a single line, the next of the stream, is ours; if it is, it is counted."""
        if line.source == b"lua" and self._scripting:
            ours = True
        else:
            ours = line.source in self._addresses or (self._source is not None and line.source == self._source)
            self._scripting = ours and line.argv[0].lower() in {b"eval", b"evalsha"}
        self.lines += ours
        return ours

    def strip(self, lines: bytes) -> bytes:
        """Take our lines out of `lines` (each stands behind its newline) and count them; returns the others."""
        if self._scripting:
            # What ends with our script, or in the middle of what it does, goes on in the next chunk.
            end = self._behind_script(lines, 0)
            lines, self._scripting = lines[end:], end == len(lines)
        for address in self._addresses:
            needle = b" %s] " % address
            if needle in lines:
                lines = self._without(lines, needle, address)
        if self._token and (self._source is not None or self._token in lines):
            lines = self._without_transactions(lines)
        if self._token and (place := lines.rfind(b'] "MULTI"')) >= 0:
            header = HEADER.match(lines, lines.rfind(b"\n", 0, place) + 1)
            self._multi = header[3] if header else None
        return lines

    def _without(self, lines: bytes, needle: bytes, address: bytes) -> bytes:
        kept: list[bytes] = []
        start, place = 0, lines.find(needle)
        while place >= 0:
            newline = lines.rfind(b"\n", 0, place)
            end = lines.find(b"\n", place)
            end = len(lines) if end < 0 else end
            header = HEADER.match(lines, newline + 1)
            if header and header[3] == address:
                self.lines += 1
                kept.append(lines[start:newline])
                if _SCRIPT.match(lines, header.end()):
                    end = self._behind_script(lines, end)
                    self._scripting = self._scripting or end == len(lines)
                start = end
            place = lines.find(needle, end)
        kept.append(lines[start:])
        return b"".join(kept)

    def _behind_script(self, lines: bytes, start: int) -> int:
        """Count the lines of `lua` that stand at `start`; returns where they end."""
        while start < len(lines) and LUA.match(lines, start + 1):
            self.lines += 1
            end = lines.find(b"\n", start + 1)
            start = len(lines) if end < 0 else end
        return start

    def _without_transactions(self, lines: bytes) -> bytes:
        kept: list[bytes] = []
        for line in lines[1:].split(b"\n"):
            header = HEADER.match(line)
            if header is None:
                kept.append(line)
            elif self._source is not None:
                self._inside += 1
                self.lines += 1
                if _EXEC.fullmatch(line, header.end()) or self._inside > _LONGEST_TRANSACTION:
                    self._source = None
            elif self._ping.fullmatch(line, header.end()):
                self._source, self._inside = header[3], 0
                self.lines += 1
                if _drop_multi(kept, header[3]):
                    self.lines += 1
                elif self._multi == header[3]:
                    self._multi = None
                    self.lines += 1
                    self.passed += 1
            else:
                kept.append(line)
        return b"".join(b"\n" + line for line in kept)


def _drop_multi(kept: list[bytes], source: bytes) -> bool:
    """Drop the MULTI that began our transaction: the last one of this source. False if there is none."""
    for place in range(len(kept) - 1, -1, -1):
        header = HEADER.match(kept[place])
        if header and header[3] == source and _MULTI.fullmatch(kept[place], header.end()):
            del kept[place]
            return True
    return False
