r"""The fast way through a stream: one compiled pattern per database, built from the commands that are really there.

A pattern matches up to UNROLL well-formed lines at once and captures of each the shortest text that tells its keys:

    GET" "user:1"            one key, always the first argument
    MGET" "a" "b"\r          several keys: the rest of the line
    PING"                    none

so that a chunk becomes counts in two calls, `split` and `Counter.update`, and each distinct text is looked at once.
What a pattern does not match (commands not learned yet, keys with quotes in them, broken lines) stays for the exact
reader; what it does match, the exact reader would read alike.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from exporter.monitor.keys import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.monitor.keys import CommandTable

UNROLL = 3  # lines per match: a match costs as much to begin and end as half a line
_PATIENCE = 2_000  # lines read exactly before patterns are built anew, which costs as much
_MOST_NAMES = 48
_MOST_CANDIDATES = 256

# The source has no spaces (else the line is left to the exact reader) and the key no quote at the very end.
_HEADER = rb"\n%s(?s:.{17}) \[%s [^ ]{0,1024}+(?<=\]) \""
_KEY = rb'[^"]*+" "[^"]{0,1000}+"(?<!\\")'
_LINE = rb'" [^\n]{0,1000}+(?![^\n])'
_NAME = re.compile(rb'\] "([A-Za-z][A-Za-z0-9._-]{0,40}+)"')


class Flavour(NamedTuple):
    """How a stream's lines look: raw (`+` first, CR LF at the end) or as redis-cli prints them; and their database."""

    plus: bytes
    end: bytes
    db: bytes


class Patterns:
    """Learns the names of commands from the lines that were missed, and compiles patterns for them.

    One instance belongs to one CommandTable. Threads may share it: at worst they compile the same pattern twice.
    """

    def __init__(self, table: CommandTable) -> None:
        self._table = table
        self._several = _Prefixes(name for name in table.names if table.plan(name).kind in {Kind.REST, Kind.LINE})
        self._names: Counter[bytes] = Counter()
        self._missed = 0
        self._alternatives: tuple[bytes, ...] = ()
        self._compiled: dict[Flavour, re.Pattern[bytes]] = {}

    def get(self, flavour: Flavour) -> re.Pattern[bytes] | None:
        """Return the pattern for one database, None before anything was learned; UNROLL groups, and splits cleanly."""
        if not self._alternatives:
            return None
        pattern = self._compiled.get(flavour)
        if pattern is None:
            line = _HEADER % (re.escape(flavour.plus), flavour.db) + b"(" + b"|".join(self._alternatives) + b")"
            line += rb'[^\n]*+(?<="%s)' % flavour.end
            whole = line
            for _ in range(UNROLL - 1):
                whole = line + b"(?:" + whole + b"|)"
            pattern = self._compiled[flavour] = re.compile(whole)
        return pattern

    def missed(self, lines: bytes) -> bool:
        """Learn from lines that no pattern matched; True if there are better patterns now."""
        names = _NAME.findall(lines)
        self._missed += len(names)
        if len(self._names) < _MOST_CANDIDATES:
            self._names.update(names)
        if self._missed < _PATIENCE:
            return False
        self._missed = 0
        common = [name for name, _ in self._names.most_common(_MOST_NAMES)]
        alternatives = tuple(dict.fromkeys(map(self._alternative, common)))
        if set(alternatives) <= set(self._alternatives):
            return False
        self._alternatives, self._compiled = alternatives, {}
        return True

    def _alternative(self, name: bytes) -> bytes:
        kind = self._table.plan(name).kind
        if kind is Kind.NONE:
            return re.escape(name) + b'"'
        if kind is not Kind.FIRST:
            return re.escape(name) + _LINE
        # As few letters as tell it from every command with more keys: fewer alternatives, fewer steps.
        prefix = self._several.shortest_other(name)
        return re.escape(prefix) + _KEY if prefix else re.escape(name) + _KEY.removeprefix(rb'[^"]*+')


class _Prefixes:
    """All beginnings of some names."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._all = {name[:length] for name in names for length in range(1, len(name) + 1)}

    def shortest_other(self, name: bytes) -> bytes:
        """Return the shortest beginning of `name` that none of the names has, in any case; empty if there is none."""
        lower = name.lower()
        return next((name[:length] for length in range(1, len(name) + 1) if lower[:length] not in self._all), b"")


@lru_cache(maxsize=256)
def patterns_for(table: CommandTable) -> Patterns:
    """Return the patterns that belong to a table; they are kept while the table is in use."""
    return Patterns(table)
