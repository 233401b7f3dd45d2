"""Which keys a command touches, and whether it may write them: argument lists in, accesses out.

The server's own COMMAND reply says where the keys stand: key specifications since 7.0, first/last/step before that.
What neither can say (SORT, MIGRATE, …) is in `key_finders`; `commands.json` holds what current servers and modules
say, for servers that hide COMMAND and for gaps in old replies. Scripts (EVAL, FCALL) have no keys here: what they
touch shows in MONITOR as lines of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.monitor.key_finders import FINDERS, Position

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

_REMEMBERED_PLANS = 4096  # names come from the stream, so a hostile file could bring any number of them


class Access(NamedTuple):
    """One occurrence of a key in a command; `write` if the command may change it."""

    key: bytes
    write: bool


class Kind(Enum):
    """How much of a command's line is needed to know its keys."""

    NONE = "no keys"
    FIRST = "the first argument, always and only"
    REST = "every step-th argument from the first one on"
    LINE = "the whole line"


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read the keys of a command; `write` and `step` only mean something for FIRST and REST."""

    kind: Kind
    write: bool = False
    step: int = 1
    known: bool = True


class Spec(NamedTuple):
    """One key specification (redis.io/docs/reference/key-specs).

    The search begins at `begin`, or after the first `keyword` at or after it (from the end if negative). Then come
    keys in a range (`last` relative to the first, negative from the end; `limit` n > 1: in the first n-th of the rest),
    or, if `numkeys` is not negative, as many as the argument there says, starting `first` behind the beginning.
    """

    write: bool
    begin: int
    keyword: bytes = b""
    last: int = 0
    step: int = 1
    limit: int = 0
    numkeys: int = -1
    first: int = 0

    def positions(self, argv: Sequence[bytes]) -> range | None:
        """Where this specification finds keys in `argv`; None if the arguments contradict it."""
        begin = self._keyword(argv) if self.keyword else self.begin
        count = len(argv)
        if not begin:
            return range(0)
        if self.numkeys >= 0:
            number = _number(argv, begin + self.numkeys)
            begin += self.first
            last = begin + (number - 1) * self.step
            return range(begin, last + 1, self.step) if begin <= last < count else None
        if self.last >= 0:
            last = begin + self.last
        elif self.limit > 1:
            last = begin + (count - begin) // self.limit + self.last
        else:
            last = count + self.last
        if begin == count and self.last == -1 and not self.keyword:
            return range(0)  # PFMERGE with a destination only
        return range(begin, last + 1, self.step) if begin <= last < count else None

    def _keyword(self, argv: Sequence[bytes]) -> int:
        """The position behind the keyword, 0 if it is absent."""
        places = range(self.begin, len(argv)) if self.begin > 0 else range(len(argv) + self.begin, 1, -1)
        return next((place + 1 for place in places if argv[place].lower() == self.keyword), 0)


@dataclass(frozen=True, slots=True)
class Command:
    """What is known of one command, or of one subcommand of a container such as OBJECT."""

    specs: tuple[Spec, ...] = ()
    name: bytes = b""  # what the server calls it, whatever a configuration renamed it to
    script: bool = False
    subcommands: Mapping[bytes, Command] = field(default_factory=dict)

    def plan(self) -> Plan:
        """How much of a line is needed."""
        if self.script or not (self.specs or self.subcommands or self.name in FINDERS):
            return Plan(Kind.NONE)
        if self.subcommands or self.name in FINDERS or len(self.specs) > 1:
            return Plan(Kind.LINE)
        (spec,) = self.specs
        if spec.begin == 1 and not spec.keyword and spec.numkeys < 0:
            if spec.last == 0:
                return Plan(Kind.FIRST, spec.write)
            if spec.last == -1 and spec.limit <= 1:
                return Plan(Kind.REST, spec.write, spec.step)
        return Plan(Kind.LINE)

    def positions(self, argv: Sequence[bytes]) -> list[Position]:
        """Where the keys stand in `argv`; nothing if the arguments contradict what the command expects."""
        if self.script:
            return []
        if finder := FINDERS.get(self.name):
            found = finder(argv)
            if found or not self.specs:
                return found  # else the server trusts its specifications, and so do we
        result: list[Position] = []
        for spec in self.specs:
            places = spec.positions(argv)
            if places is None:
                return []
            result += [(place, spec.write) for place in places]
        return result


class CommandTable:
    """Knows the keys of commands. Names match in any case; what is unknown has no keys."""

    def __init__(self, commands: Mapping[bytes, Command]) -> None:
        self._commands = commands
        self._plans: dict[bytes, Plan] = {}
        self.memory: dict[Hashable, Any] = {}
        """What readers of lines have learned that holds for this table; it goes with the table."""

    @classmethod
    def builtin(cls) -> CommandTable:
        """What current Redis, Valkey and their usual modules know."""
        return cls(_builtin())

    @classmethod
    def from_reply(cls, reply: Iterable[Sequence[Any]]) -> CommandTable:
        """What one server says in its reply to COMMAND (nested lists as in RESP2), completed by what we know.

        COMMAND lists renamed commands under their old name: see `extended`. Entries that make no sense are left out.
        """
        commands = dict(_builtin())
        for entry in reply if isinstance(reply, list | tuple) else ():
            if command := _readable(entry):
                commands[command.name] = command
        return cls(commands)

    def extended(self, names: Sequence[bytes], reply: Sequence[Sequence[Any] | None]) -> CommandTable:
        """Return a table that also knows `names`, from the reply to `COMMAND INFO name…` (nil: still unknown).

        For commands that were renamed (`rename-command`) or loaded after COMMAND was read.
        """
        commands = dict(self._commands)
        for name, entry in zip(names, reply, strict=False):
            commands[name.lower()] = (_readable(entry) if entry else None) or Command(name=name.lower())
        return CommandTable(commands)

    def knows_the_same(self, other: CommandTable) -> bool:
        """Whether both find the same keys in every command."""
        return self._commands == other._commands

    @property
    def names(self) -> Iterable[bytes]:
        """All names that are known, in lower case."""
        return self._commands.keys()

    def name_of(self, name: bytes) -> bytes:
        """What the server calls the command that clients call `name`, in lower case."""
        command = self._commands.get(name.lower())
        return command.name if command and command.name else name.lower()

    def title(self, argv: Sequence[bytes]) -> bytes:
        """What the server calls the command `argv`, in lower case, with its subcommand where it has any."""
        command = self._commands.get(argv[0].lower())
        below = argv[1].lower() if command and len(argv) > 1 else b""
        name = self.name_of(argv[0])
        return b"%s %s" % (name, below) if command and below in command.subcommands else name

    def plan(self, name: bytes) -> Plan:
        """How to read the keys of the command that a client calls `name`."""
        plan = self._plans.get(name)
        if plan is None:
            command = self._commands.get(name.lower())
            plan = command.plan() if command else Plan(Kind.NONE, known=False)
            if len(self._plans) < _REMEMBERED_PLANS:
                self._plans[name] = plan
        return plan

    def accesses(self, argv: Sequence[bytes]) -> list[Access]:
        """Return every occurrence of a key in the command `argv`, in the server's order."""
        return [Access(argv[place], write) for place, write in self.positions(argv)]

    def positions(self, argv: Sequence[bytes]) -> list[Position]:
        """Return where the keys stand in the command `argv`, each with whether it may be written."""
        command = self._commands.get(argv[0].lower()) if argv else None
        if command is None:
            return []
        if command.subcommands and len(argv) > 1:
            command = command.subcommands.get(argv[1].lower(), command)
        return command.positions(argv)


def _number(argv: Sequence[bytes], place: int) -> int:
    """Return the whole number at `place` as the server reads it, 0 if there is none."""
    text = argv[place] if place < len(argv) else b""
    return int(text) if text.isdigit() and len(text) < 10 and text[:1] != b"0" else 0


# --- the built-in table --------------------------------------------------------------------------------------------


@cache
def _builtin() -> Mapping[bytes, Command]:
    """`commands.json` maps the specifications of a command (or `script`) to the names that share them.

    `python -m tests.data.commands` writes it, from real servers; `_read_spec` says how a specification is written.
    """
    text = files("exporter.monitor").joinpath("commands.json").read_text("utf-8")
    flat: dict[bytes, Command] = {}
    for specs, names in json.loads(text).items():
        script = specs == "script"
        parsed = () if script else tuple(map(_read_spec, specs.split()))
        for name in names.encode().split():
            flat[name] = Command(parsed, name, script)
    return _nested(flat)


def _nested(flat: Mapping[bytes, Command]) -> Mapping[bytes, Command]:
    """Put `object|freq` under `object`."""
    commands = {name: command for name, command in flat.items() if b"|" not in name}
    below: dict[bytes, dict[bytes, Command]] = {}
    for name, command in flat.items():
        container, bar, word = name.partition(b"|")
        if bar:
            below.setdefault(container, {})[word] = command
    for name, subcommands in below.items():
        commands[name] = replace(commands.get(name, Command(name=name)), subcommands=subcommands)
    return commands


def _read_spec(text: str) -> Spec:
    """Read `r1:0/1` (begin:last/step), `r1@streams:-1/1/2` (keyword, limit), `w2:#0/1/1` (numkeys/first/step)."""
    begin, _, find = text[1:].partition(":")
    start, _, keyword = begin.partition("@")
    spec = Spec(text[0] == "w", int(start), keyword.encode())
    if find.startswith("#"):
        numkeys, first, step = map(int, find[1:].split("/"))
        return spec._replace(numkeys=numkeys, first=first, step=step)
    last, step, limit = map(int, [*find.split("/"), "0"][:3])
    return spec._replace(last=last, step=step, limit=limit)


# --- the server's own table ----------------------------------------------------------------------------------------


def _readable(entry: Any) -> Command | None:
    """Read one entry of COMMAND; None if it is none, because a proxy or a module may say anything."""
    try:
        return _command(entry)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def _command(entry: Sequence[Any]) -> Command:
    """Read one entry of COMMAND: name, arity, flags, first, last, step, categories, tips, specs, subcommands."""
    name = _bytes(entry[0]).lower()
    flags = _words(entry[2])
    known = _builtin().get(name)
    script = (known is not None and known.script) or (len(entry) > 6 and b"@scripting" in _words(entry[6]))
    if len(entry) > 9:
        specs = _specs(entry[8], name, flags)
        subcommands = {_bytes(sub[0]).lower().rpartition(b"|")[2]: _command(sub) for sub in entry[9] or ()}
        if not specs and not subcommands and b"movablekeys" in flags and known:
            return known  # it finds its keys by code
        if not entry[8] and name not in FINDERS:
            specs = _legacy(entry, flags)
        return Command(specs, name, script, subcommands)
    if known is None:
        return Command(_legacy(entry, flags), name, script)
    specs = known.specs or (_legacy(entry, flags) if known.subcommands else ())
    if b"readonly" in flags:
        specs = tuple(spec._replace(write=False) for spec in specs)
    return Command(specs, name, script, known.subcommands)


def _legacy(entry: Sequence[Any], flags: set[bytes]) -> tuple[Spec, ...]:
    """First, last and step, the way of servers before 7.0 and of some modules."""
    first, last, step = (int(item) for item in entry[3:6])
    if first <= 0 or 0 <= last < first:
        return ()
    return (Spec(b"readonly" not in flags, first, last=last if last < 0 else last - first, step=max(step, 1)),)


def _specs(items: Iterable[Any], name: bytes, command_flags: set[bytes]) -> tuple[Spec, ...]:
    """Read the key specifications of 7.0 and later that are about keys and tell where they are."""
    specs = []
    for item in map(_mapping, items):
        begin, find, flags = _mapping(item[b"begin_search"]), _mapping(item[b"find_keys"]), _words(item[b"flags"])
        unknown = b"unknown" in {_bytes(begin[b"type"]), _bytes(find[b"type"])}
        if name in FINDERS and (unknown or b"incomplete" in flags):
            return ()
        if not unknown and b"not_key" not in flags:
            write = b"RO" not in flags if flags & _ACCESS_FLAGS else b"readonly" not in command_flags
            specs.append(_spec(begin, find, write))
    return tuple(specs)


def _spec(begin: Mapping[bytes, Any], find: Mapping[bytes, Any], write: bool) -> Spec:
    where, how = _mapping(begin[b"spec"]), _mapping(find[b"spec"])
    if _bytes(begin[b"type"]) == b"keyword":
        spec = Spec(write, int(where[b"startfrom"]), _bytes(where[b"keyword"]).lower())
    else:
        spec = Spec(write, int(where[b"index"]))
    if spec.begin == 0 or (spec.begin < 0 and not spec.keyword):
        raise ValueError(spec)  # the name itself, or before it
    step = max(int(how[b"keystep"]), 1)
    if _bytes(find[b"type"]) == b"keynum":
        numkeys, first = int(how[b"keynumidx"]), int(how[b"firstkey"])
        if min(numkeys, first) < 0:
            raise ValueError(how)
        return spec._replace(numkeys=numkeys, first=first, step=step)
    return spec._replace(last=int(how[b"lastkey"]), step=step, limit=int(how[b"limit"]))


_ACCESS_FLAGS = {b"RO", b"RW", b"OW", b"RM"}


def _bytes(item: bytes | str) -> bytes:
    return item.encode() if isinstance(item, str) else item


def _words(items: Iterable[bytes | str]) -> set[bytes]:
    return set(map(_bytes, items))


def _mapping(item: Any) -> dict[bytes, Any]:
    """Read a map, which RESP2 writes as a flat list."""
    pairs = item.items() if isinstance(item, dict) else zip(item[::2], item[1::2], strict=False)
    return {_bytes(name): value for name, value in pairs}
