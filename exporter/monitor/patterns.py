r"""The fast way through a stream: two patterns per database, built from the commands that are really there.

A pattern matches up to UNROLL well-formed lines at once and captures of each the shortest text that tells its keys:

    " "user:1"               read: one key, always the first argument
     "user:1"                written: likewise
    MGET" "a" "b"\r          several keys: the rest of the line
    PING"                    none

so that a chunk becomes counts in two calls, `split` and `Counter.update`, and each distinct text is looked at once.
Where the commands are to be counted too, single keys come with their command: `GET" "user:1"`.
The first pattern takes single keys only if they hold no quotes, the second takes those too. What neither matches
(commands not learned yet, long keys, broken lines) stays for the exact reader; what they do match, it would read alike.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from exporter.monitor.keys import Kind

if TYPE_CHECKING:
    from exporter.monitor.keys import CommandTable

UNROLL = 3  # lines per match: a match costs as much to begin and end as half a line
_PATIENCE = 2_000  # lines read exactly before patterns are built anew, which costs as much
_MOST_NAMES = 48
_MOST_CANDIDATES = 256

# The source has no spaces (else the line is left to the exact reader).
_HEADER = rb"\n%s(?s:.{17}) \[%s [^ ]{0,1024}+(?<=\]) \""
# Nearly all keys end at the first quote.
_PLAIN_KEY = rb' "[^"]{0,1000}+"(?<!\\")'
_QUOTED_KEY = rb' "[^"\\]{0,250}+(?:\\.[^"\\]{0,250}+){0,40}+"'
_LINE = rb'" [^\n]{0,1000}+(?![^\n])'
_NAME = re.compile(rb'\] "([A-Za-z][A-Za-z0-9._-]{0,40}+)"')


class Flavour(NamedTuple):
    """How lines look, raw (`+` first, CR LF at the end) or as redis-cli prints them; their database; which pattern."""

    plus: bytes
    end: bytes
    db: bytes
    quoted: bool = False


class Patterns:
    """Learns the names of commands from the lines that were missed, and compiles patterns for them.

    One instance belongs to one CommandTable. Threads may share it: at worst they compile the same pattern twice.
    """

    def __init__(self, table: CommandTable, *, commands: bool) -> None:
        self._table = table
        self._commands = commands
        self._names: Counter[bytes] = Counter()
        self._missed = 0
        self._learned: tuple[bytes, ...] = ()
        self._compiled: dict[Flavour, re.Pattern[bytes]] = {}

    @property
    def learned(self) -> bool:
        """Whether there are any patterns."""
        return bool(self._learned)

    def get(self, flavour: Flavour) -> re.Pattern[bytes]:
        """Return the pattern for one flavour; it has UNROLL groups."""
        pattern = self._compiled.get(flavour)
        if pattern is None:
            line = _HEADER % (re.escape(flavour.plus), flavour.db) + self._command(quoted=flavour.quoted)
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
        learned = tuple(name for name, _ in self._names.most_common(_MOST_NAMES))
        if set(learned) <= set(self._learned):
            return False
        self._learned, self._compiled = learned, {}
        return True

    def _command(self, *, quoted: bool) -> bytes:
        """Build what matches a command from its name on, with the group that captures."""
        single, others = [], []
        for name in self._learned:
            plan, word = self._table.plan(name), re.escape(name)
            if plan.kind is Kind.FIRST:
                single.append(word + (b'"(?= )' if plan.write or self._commands else b'(?=")'))
            else:
                others.append(word + b'"' if plan.kind is Kind.NONE else word + _LINE)
        key = _QUOTED_KEY if quoted else _PLAIN_KEY
        names = b"|".join(single) or rb"(?!)"
        if self._commands:
            return b"(%s)" % b"|".join([b"(?:%s)" % names + key, *others])
        return b'(?:%s|(?![ "]))(%s)' % (names, b"|".join([b'"?+' + key, *others]))


@lru_cache(maxsize=256)
def patterns_for(table: CommandTable, *, commands: bool) -> Patterns:
    """Return the patterns of a table; they outlive a slice, so that each is learned once."""
    return Patterns(table, commands=commands)
