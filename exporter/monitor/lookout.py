"""The few lines of a stream that touch certain keys, read exactly: bytes in, who did what with each key out.

Only lines in which a key's name stands between quotes are read, and of those no more than a given number, chosen at
random: so the cost is bounded however hot a key is, and what is counted of a key keeps its expectation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from exporter.keynames import KEPT_BYTES, LongKey, stored
from exporter.monitor import own as own_traffic
from exporter.monitor.line import HEADER, LONG, LongLine, escape, read

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Mapping

    from exporter.monitor.keys import CommandTable
    from exporter.monitor.own import Own

DbKey = tuple[int, bytes]
SCRIPT = b"lua"
_LONGEST_SCRIPT_BYTES = 1 << 16  # of what a script does, before the line that says whose it is


class Call(NamedTuple):
    """One line that touches a key: by which command, from which address as MONITOR writes it, and how many times."""

    command: bytes
    client: bytes
    accesses: int


@dataclass(frozen=True, slots=True)
class Sightings:
    """What was read of one key; each line that was read stands for `weight` lines (1: all were read)."""

    calls: tuple[Call, ...] = ()
    weight: float = 1.0


NOTHING = Sightings()


def look_out(
    data: bytes, keys: Collection[DbKey], table: CommandTable, own: Own, most: int, chance: random.Random
) -> Mapping[DbKey, Sightings]:
    """Find the calls to `keys` (as they are stored) in a slice; `most` lines are read, over all keys.

    What scripts do counts for the client that called the script, as far as its line is in the slice.
    """
    needles = {key: _needle(key[1]) for key in keys}
    present = {key: needle for key, needle in needles.items() if needle in data}
    if not present:
        return {}
    lines = own_traffic.Filter(own).strip(b"\n" + data)
    room = max(1, most // len(present))
    return {key: _read(lines, key, needle, table, room, chance) for key, needle in present.items()}


def _read(
    lines: bytes, wanted: DbKey, needle: bytes, table: CommandTable, most: int, chance: random.Random
) -> Sightings:
    found = [(match.start(), match.end()) for match in _lines_with(needle).finditer(lines)]
    weight = 1.0
    if len(found) > most:
        weight, found = len(found) / most, chance.sample(found, most)
    calls = []
    for at, end in found:
        start = lines.rfind(b"\n", 0, at) + 1
        # A line that the slice cuts counts if its keys are whole, as everywhere.
        cut = end == len(lines)
        if end - start < LONG:
            line = read(lines[start:end], table, cut=cut)
        else:
            line = LongLine(lines[start:end], table).end(cut=cut)
        if line is None or line.db != wanted[0]:
            continue
        accesses = sum(stored(line.argv[place]) == wanted[1] for place, _ in table.positions(line.argv))
        if accesses:
            client = _caller(lines, start) if line.source == SCRIPT else line.source
            calls.append(Call(table.title(line.argv), client, accesses))
    return Sightings(tuple(calls), weight)


def _needle(key: bytes) -> bytes:
    """What stands in a line that touches `key`, and in few others."""
    if isinstance(key, LongKey):
        return b'"' + escape(key[:KEPT_BYTES])
    return b'"%s"' % escape(key)


@lru_cache(maxsize=64)
def _lines_with(needle: bytes) -> re.Pattern[bytes]:
    """Match from the needle to the end of its line, so that each line is found once."""
    return re.compile(re.escape(needle) + rb"[^\n]*+")


def _caller(lines: bytes, start: int) -> bytes:
    """Say who called the script that did what stands in the line at `start`; its own source where that is not seen."""
    first = max(0, start - _LONGEST_SCRIPT_BYTES)
    while start > first:
        start = lines.rfind(b"\n", 0, start - 1) + 1
        header = HEADER.match(lines, start)
        if header is not None and header[3] != SCRIPT:
            return header[3]
        if header is None or start == 0:
            break
    return SCRIPT
