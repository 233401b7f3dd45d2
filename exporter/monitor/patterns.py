r"""The fast way through a stream: two regular expressions, the first built from what the stream is really made of.

The first, `Patterns.usual`, takes lines of the usual databases and commands that have one key, as the first argument,
or none. It has one group per database, which captures the shortest text that tells the key and how it was used:

    " "user:1              read
     "user:1               written

so that a chunk becomes counts in two calls, `split` and `Counter.update`, and each distinct text is looked at once.
Where commands are to be counted too, more groups capture their names (with a quote behind those that write).
The second, `LINES`, splits what the first left into database, command and arguments: commands with several keys, rare
databases and commands, keys with quotes. What neither matches (broken lines, odd sources) stays for the exact reader.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from exporter.monitor.keys import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.monitor.keys import CommandTable

_MOST_DATABASES = 4  # each costs every line a little, as it is a group more
_MOST_NAMES = 48
_MOST_CANDIDATES = 256
_PATIENCE = 500  # lines that the first pattern could have taken before it is built: that costs as much as they do
_MOST_PATIENCE = 32_000

# The source has no spaces, else the line is left to the exact reader. Possessive quantifiers: nothing is tried twice.
_SOURCE = rb' [^ ]{0,1024}+(?<=\]) "'
# Nearly all keys end at the first quote.
_KEY = rb' "[^"]{0,512}+(?<!\\)'
_NAME = rb"[A-Za-z][A-Za-z0-9._-]{0,40}+"

# Groups: database, command, and all behind the command from its closing quote on.
LINES = re.compile(rb'\n\+?\d[^\n]{16}+ \[(\d{1,9}) [^ \n]{0,1024}+(?<=\]) "(%s)("[^\n]*+)(?:(?<=")|(?<="\r))' % _NAME)


class Style(NamedTuple):
    """How lines begin and end: `+` and CR as they leave the server, or neither as redis-cli prints them."""

    plus: bytes
    end: bytes


class Usual(NamedTuple):
    """The first pattern; `keys` says which group captures the keys of a database, `names` which capture commands."""

    pattern: re.Pattern[bytes]
    keys: tuple[tuple[int, int], ...]  # database, group
    names: tuple[int, ...]


class Patterns:
    """Learns usual databases and commands from the lines that the first pattern missed.

    One instance belongs to one CommandTable. Threads may share it: at worst they compile the same pattern twice.
    """

    def __init__(self, table: CommandTable, *, commands: bool) -> None:
        self._table = table
        self._commands = commands
        self._names: Counter[bytes] = Counter()
        self._databases: Counter[bytes] = Counter()
        self._missed = 0
        self._patience = _PATIENCE
        self._learned: tuple[tuple[bytes, ...], tuple[bytes, ...]] = (), ()
        self._compiled: dict[Style, Usual] = {}

    @property
    def learned(self) -> bool:
        """Whether there is a first pattern."""
        return bool(self._learned[0])

    def usual(self, style: Style) -> Usual | None:
        """Return the first pattern for lines of a style, if there is one yet."""
        usual = self._compiled.get(style)
        if usual is None and self.learned:
            usual = self._compiled[style] = self._compile(style)
        return usual

    def missed(self, lines: Iterable[tuple[bytes, bytes, int]]) -> None:
        """Learn from lines that the first pattern did not match: their database, command and how many they are."""
        databases, names = self._learned
        for db, name, times in lines:
            if (name in names and db in databases) or self._table.plan(name).kind not in {Kind.FIRST, Kind.NONE}:
                continue
            self._missed += times
            self._names[name] += times
            self._databases[db] += times
        if self._missed >= self._patience:
            self._learn()

    def _learn(self) -> None:
        """Take up what is most frequent; the more was learned, the longer it takes to the next time."""
        self._missed = 0
        self._patience = min(2 * self._patience, _MOST_PATIENCE)
        for counter in (self._names, self._databases):
            if len(counter) > _MOST_CANDIDATES:
                rare = counter.most_common()[_MOST_CANDIDATES // 2 :]
                for name, _ in rare:
                    del counter[name]
        databases = tuple(db for db, _ in self._databases.most_common(_MOST_DATABASES))
        names = tuple(name for name, _ in self._names.most_common(_MOST_NAMES))
        if (set(databases), set(names)) != tuple(map(set, self._learned)):
            self._learned, self._compiled = (databases, names), {}

    def _compile(self, style: Style) -> Usual:
        databases, names = self._learned
        command = self._command(names)
        places = b"|".join([db + _SOURCE + command for db in databases])
        line = rb"\n%s(?s:.{17}+) \[(?:%s)[^\n]*+(?<=\"%s)" % (re.escape(style.plus), places, style.end)
        width = 3 if self._commands else 1  # groups per database
        keys = tuple((int(db), width * place + (width + 1) // 2) for place, db in enumerate(databases))
        named = tuple(group for _, key in keys for group in (key - 1, key + 1)) if self._commands else ()
        return Usual(re.compile(line), keys, named)

    def _command(self, names: Iterable[bytes]) -> bytes:
        """Build what matches a command from its name on, with the group that captures."""
        keyed, keyless = [], []
        for name in names:
            plan, word = self._table.plan(name), re.escape(name)
            if plan.kind is Kind.NONE:
                keyless.append(word)
            else:
                keyed.append(word + (b'"' if plan.write else b'(?=")'))
        name = rb"(%s)" if self._commands else rb"%s"
        return rb'(?:%s("?+%s)|%s)"' % (name % _any(keyed), _KEY, name % _any(keyless))


def _any(words: list[bytes]) -> bytes:
    return b"(?:%s)" % (b"|".join(words) or b"(?!)")


def patterns_for(table: CommandTable, *, commands: bool) -> Patterns:
    """Return the patterns of a table; they outlive a slice, so that each is learned once."""
    found: Patterns | None = table.memory.get((Patterns, commands))
    if found is None:
        found = table.memory[Patterns, commands] = Patterns(table, commands=commands)
    return found
