"""Argument lists in, accesses out: the built-in table, servers' own tables, and replies that make no sense."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.monitor.keys import Access, CommandTable, Kind

BUILTIN = CommandTable.builtin()


def keys(line: str, table: CommandTable = BUILTIN) -> str:
    """The accesses of a command as words: `r:key` or `w:key` each; `""` in `line` is an empty argument."""
    argv = [b"" if word == '""' else word.encode() for word in line.split()]
    return " ".join(f"{'w' if write else 'r'}:{key.decode()}" for key, write in table.accesses(argv))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET a", "r:a"),
        ("SET a v", "w:a"),
        ("SET a v EX 5 GET", "w:a"),
        ("GETEX a PERSIST", "w:a"),
        ("MGET a b a", "r:a r:b r:a"),
        ("MSET a 1 b 2", "w:a w:b"),
        ("MSETEX 2 a 1 b 2 EX 5", "w:a w:b"),
        ("COPY a b DB 3", "r:a w:b"),
        ("RENAME a b", "w:a w:b"),
        ("BLPOP a b 0", "w:a w:b"),
        ("BLMOVE a b LEFT RIGHT 0", "w:a w:b"),
        ("LMPOP 2 a b LEFT COUNT 3", "w:a w:b"),
        ("BLMPOP 0.5 1 a LEFT", "w:a"),
        ("LMPOP 3 a b LEFT", "w:a w:b w:LEFT"),
        ("LMPOP 9 a b LEFT", ""),
        ("BITOP AND d a b", "w:d r:a r:b"),
        ("BITFIELD a GET u8 0", "r:a"),
        ("BITFIELD a OVERFLOW SAT GET u8 0", "r:a"),
        ("BITFIELD a GET u8 0 INCRBY u8 0 1", "w:a"),
        ("BITFIELD_RO a GET u8 0", "r:a"),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "w:d r:a r:b"),
        ("ZUNIONSTORE d 1 a b", "w:d r:a"),
        ("ZUNIONSTORE d 9 a b", ""),
        ("ZUNIONSTORE d 0 a b", ""),
        ("ZUNIONSTORE d -1 a b", ""),
        ("ZUNIONSTORE d x a b", ""),
        ("ZUNION +2 a b", ""),
        ("ZUNION 99999999999999999999 a b", ""),
        ("PFMERGE d", "w:d"),
        ("SORT a BY w_* LIMIT 0 5 GET # STORE d", "r:a w:d"),
        ("SORT a STORE d STORE e", "r:a w:e"),
        ("SORT a BY STORE", "r:a"),
        ("SORT a GET STORE STORE d", "r:a w:d"),
        ("SORT a STORE", "r:a"),
        ("SORT_RO a BY w_*", "r:a"),
        ("GEORADIUS a 1 2 3 km STORE d", "r:a w:d"),
        ("GEORADIUS a 1 2 3 km STORE d STOREDIST e", "r:a w:e"),
        ("GEORADIUS a 1 2 3 STORE d", "r:a"),
        ("GEORADIUSBYMEMBER a STORE 3 km STOREDIST d", "r:a w:d"),
        ("GEORADIUS_RO a 1 2 3 km", "r:a"),
        ("GEOSEARCHSTORE d a FROMMEMBER m BYRADIUS 3 km", "w:d r:a"),
        ("XREAD COUNT 2 BLOCK 5 STREAMS a b 0 0", "r:a r:b"),
        ("XREAD STREAMS STREAMS 0", "r:STREAMS"),
        ("XREADGROUP GROUP STREAMS c STREAMS k >", "r:k"),
        ("XREADGROUP GROUP g STREAMS NOACK STREAMS k >", "r:k"),
        ("XREADGROUP GROUP g c CLAIM 5 STREAMS k >", "r:k"),
        ("XGROUP CREATE a g $", "w:a"),
        ("XGROUP HELP", ""),
        ("XINFO STREAM a FULL", "r:a"),
        ("XINFO HELP", ""),
        ("MIGRATE h 1 a 0 5", "w:a"),
        ('MIGRATE h 1 "" 0 5 COPY KEYS a b', "w:a w:b"),
        ('MIGRATE h 1 "" 0 5 AUTH KEYS KEYS a', "w:a"),
        ('MIGRATE h 1 "" 0 5 AUTH2 u KEYS KEYS a', "w:a"),
        ("MIGRATE h 1 a 0 5 KEYS b", ""),
        ('MIGRATE h 1 "" 0 5 KEYS', ""),
        ("OBJECT FREQ a", "r:a"),
        ("OBJECT HELP", ""),
        ("MEMORY USAGE a SAMPLES 0", "r:a"),
        ("MEMORY DOCTOR", ""),
        ("LCS a b LEN", "r:a r:b"),
        ("STRALGO LCS KEYS a b", "r:a r:b"),
        ("STRALGO LCS STRINGS KEYS b", ""),
        ("PUBLISH c v", ""),
        ("SPUBLISH c v", ""),
        ("SSUBSCRIBE c", ""),
        ("KEYS a*", ""),
        ("SCAN 0 MATCH a*", ""),
        ("PING a", ""),
    ],
)
def test_known_commands(line: str, expected: str) -> None:
    """The built-in table finds each key and whether it may be written, in any spelling of the names."""
    name, _, rest = line.partition(" ")
    for spelling in (name, name.lower(), name.title()):
        assert keys(f"{spelling} {rest}") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("JSON.GET a $.x", "r:a"),
        ("JSON.SET a $ 1", "w:a"),
        ("JSON.MGET a b $", "r:a r:b"),
        ("JSON.MSET a $ 1 b $ 2", "w:a w:b"),
        ("JSON.DEBUG MEMORY a", "r:a"),
        ("BF.ADD a x", "w:a"),
        ("BF.EXISTS a x", "r:a"),
        ("CMS.MERGE d 2 a b WEIGHTS 1 2", "w:d r:a r:b"),
        ("TS.ADD a * 5", "w:a"),
        ("TS.MADD a 1 5 b 1 6", "w:a w:b"),
        ("TS.CREATERULE a b AGGREGATION avg 5", "r:a w:b"),
        ("TS.MRANGE - + FILTER l=1", ""),
        ("FT.SEARCH idx *", ""),
        ("FT.AGGREGATE idx *", ""),
        ("FT.SUGADD a s 1", "w:a"),
        ("GRAPH.QUERY g q", "w:g"),
    ],
)
def test_modules(line: str, expected: str) -> None:
    """The usual modules' commands are known without a server; the names of search indexes are no keys."""
    assert keys(line) == expected


@pytest.mark.parametrize("line", ["EVAL s 1 a", "EVALSHA_RO s 1 a", "FCALL f 1 a", "FCALL_RO f 1 a"])
def test_scripts_have_no_keys(line: str) -> None:
    """What a script touches is counted in the lines of its own commands, not twice."""
    assert keys(line) == ""
    assert BUILTIN.plan(line.split(maxsplit=1)[0].encode()).kind is Kind.NONE


def test_containers_are_read_in_any_case() -> None:
    """Both words of `OBJECT FREQ` match in any case; a word that is none has no keys."""
    for line in ("object freq a", "OBJECT FREQ a", "oBjEcT fReQ a"):
        assert keys(line) == "r:a"
    assert keys("OBJECT NONESUCH a") == ""
    assert keys("OBJECT") == ""


def test_what_is_unknown_has_no_keys() -> None:
    """An unknown command yields nothing, and says that it is unknown; no command yields nothing too."""
    assert keys("NONESUCH a b") == ""
    assert not BUILTIN.plan(b"NONESUCH").known
    assert BUILTIN.plan(b"PING").known
    assert BUILTIN.accesses([]) == []
    assert BUILTIN.accesses([b"GET"]) == []


# --- servers' own tables -------------------------------------------------------------------------------------------


def old(name: str, *flags: str, place: tuple[int, int, int] = (0, 0, 0)) -> list[Any]:
    """An entry of COMMAND as Redis 6.2 writes it."""
    return [name.encode(), -2, [flag.encode() for flag in flags], *place, [b"@slow"]]


def spec(*flags: str, index: int = 1, last: int = 0, step: int = 1) -> list[Any]:
    """A key specification as RESP2 has it."""
    return [
        b"flags", [flag.encode() for flag in flags],
        b"begin_search", [b"type", b"index", b"spec", [b"index", index]],
        b"find_keys", [b"type", b"range", b"spec", [b"lastkey", last, b"keystep", step, b"limit", 0]],
    ]  # fmt: skip


def new(name: str, *specs: list[Any], subcommands: tuple[Any, ...] = (), flags: tuple[bytes, ...] = ()) -> list[Any]:
    """An entry of COMMAND as Redis 7.0 and later write it."""
    return [name.encode(), -2, [*flags], 0, 0, 0, [], [], [*specs], [*subcommands]]


def test_tables_before_key_specifications() -> None:
    """A 6.2 reply lists no subcommands and says no more than first, last and step: the rest is ours."""
    table = CommandTable.from_reply(
        [
            old("get", "readonly", place=(1, 1, 1)),
            old("object", "readonly", place=(2, 2, 1)),
            old("memory", "readonly", "movablekeys"),
            old("xgroup", "write", place=(2, 2, 1)),
            old("xreadgroup", "write", "movablekeys"),
            old("zunionstore", "write", "movablekeys", place=(1, 1, 1)),
            old("custom.read", "readonly", place=(1, -2, 1)),
            old("custom.write", "write", place=(2, 4, 2)),
            old("custom.none", "write"),
        ]
    )
    assert keys("GET a", table) == "r:a"
    assert keys("OBJECT FREQ a", table) == "r:a"
    assert keys("OBJECT HELP", table) == ""
    assert keys("MEMORY USAGE a", table) == "r:a"
    assert keys("MEMORY STATS", table) == ""
    assert keys("XGROUP CREATE a g $", table) == "w:a"
    assert keys("XREADGROUP GROUP STREAMS c STREAMS k >", table) == "r:k"
    assert keys("ZUNIONSTORE d 2 a b", table) == "w:d r:a r:b"
    assert keys("CUSTOM.READ a b 0", table) == "r:a r:b"
    assert keys("CUSTOM.WRITE x a 1 b 2", table) == "w:a w:b"
    assert keys("CUSTOM.NONE a", table) == ""


def test_a_servers_word_goes_before_ours() -> None:
    """What a server says of its commands replaces what we know of them; what it leaves out stays ours."""
    table = CommandTable.from_reply([new("get", spec("RW", "update", index=2)), new("json.get", spec("RO", last=-1))])
    assert keys("GET a b", table) == "w:b"
    assert keys("JSON.GET a b", table) == "r:a r:b"
    assert keys("SET a v", table) == "w:a"


def test_channels_in_specifications_are_no_keys() -> None:
    """A specification that is marked as not a key names none."""
    assert keys("SPUBLISH c v", CommandTable.from_reply([new("spublish", spec("not_key"))])) == ""


def test_subcommands_bring_their_own_keys() -> None:
    """A container's subcommands come under `container|word`, each with its own keys."""
    read, written = new("box|peek", spec("RO", index=2)), new("box|fill", spec("OW", index=2))
    table = CommandTable.from_reply([new("box", subcommands=(read, written, new("box|help")))])
    assert [keys(f"BOX {line}", table) for line in ("Peek a", "FILL a", "help", "other a")] == ["r:a", "w:a", "", ""]


def test_renamed_commands_are_learned() -> None:
    """`extended` reads a renamed command as what it was, and remembers what even the server does not know."""
    entries = [new("sort", spec("RO")), None, b"nonsense"]
    table = BUILTIN.extended([b"Arrange", b"gone", b"odd"], entries)
    assert not BUILTIN.plan(b"arrange").known
    assert keys("ARRANGE a BY x STORE d", table) == "r:a w:d"
    assert keys("SORT a STORE d", table) == "r:a w:d"
    assert table.plan(b"GONE").known
    assert table.plan(b"odd").known
    assert keys("GONE a", table) == keys("ODD a", table) == ""


def test_plans_of_a_hostile_stream_stay_bounded() -> None:
    """Any number of names that the stream makes up costs a bounded amount of memory."""
    table = CommandTable.builtin()
    for number in range(10_000):
        assert not table.plan(b"made up %d" % number).known
    assert len(table._plans) <= 4096
    assert table.plan(b"get").kind is Kind.FIRST


# --- replies that make no sense ------------------------------------------------------------------------------------

ENTRIES = [
    old("get", "readonly", place=(1, 1, 1)),
    new("set", spec("OW")),
    new("box", subcommands=(new("box|peek", spec("RO", index=2)),)),
    new("many", [*spec("RO")[:4], b"find_keys", [b"type", b"keynum", b"spec", [b"keynumidx", 0, b"firstkey", 1, b"keystep", 1]]]),  # noqa: E501
    new("after", [*spec("RO")[:2], b"begin_search", [b"type", b"keyword", b"spec", [b"keyword", b"K", b"startfrom", -1]], *spec()[4:]]),  # noqa: E501
]  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.integers(-5, 5), st.just(10**15), st.binary(max_size=5), st.text(max_size=5), st.floats()
)
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=10), max_leaves=10)
ARGUMENTS = st.lists(st.sampled_from([b"k", b"K", b"1", b"2", b"", b"peek", b"\xff"]), max_size=6)


def paths(item: Any) -> list[tuple[int, ...]]:
    """The way to each part of a reply, itself included."""
    parts = enumerate(item) if isinstance(item, list) else ()
    return [(), *((place, *path) for place, part in parts for path in paths(part))]


def damaged(item: Any, path: tuple[int, ...], other: Any) -> Any:
    """A copy of a reply with another part at `path`."""
    if not path:
        return other
    if not isinstance(item, list) or path[0] >= len(item):
        return item
    return [damaged(part, path[1:], other) if place == path[0] else part for place, part in enumerate(item)]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(paths(ENTRIES)), ANYTHING), max_size=4), ARGUMENTS)
def test_damaged_replies_never_raise(damage: list[tuple[tuple[int, ...], Any]], arguments: list[bytes]) -> None:
    """Whatever a proxy or a module answers to COMMAND, a table comes of it, and reading with it raises nothing."""
    reply: Any = ENTRIES
    for path, other in damage:
        reply = damaged(reply, path, other)
    table = CommandTable.from_reply(reply)
    table = table.extended([b"x", b"y"], reply if isinstance(reply, list) else [])
    for name in (b"get", b"set", b"box", b"many", b"after", b"x", b"y"):
        assert all(access.key in arguments for access in table.accesses([name, *arguments]))
        assert table.plan(name).step > 0


@pytest.mark.parametrize(
    "reply", [None, 5, b"garbage", "garbage", [], [None], [[]], [[b"get"]], [5], [[5, 5, 5, 5, 5, 5, 5]]]
)
def test_nonsense_leaves_the_builtin_table(reply: Any) -> None:
    """A reply without one readable entry leaves what we know."""
    table = CommandTable.from_reply(reply)
    assert table.names == BUILTIN.names
    assert table.accesses([b"get", b"a"]) == [Access(b"a", False)]


@pytest.mark.parametrize("place", [(1, 0, 1), (-1, 2, 1), (3, 2, 1), (0, 0, 0), (1, 1, 0)])
def test_impossible_ranges_find_nothing_wrong(place: tuple[int, int, int]) -> None:
    """First, last and step that contradict themselves mean no keys; a step of 0 is one of 1."""
    table = CommandTable.from_reply([old("odd", "write", place=place)])
    assert keys("ODD a b c", table) == ("w:a" if place == (1, 1, 0) else "")


@given(st.lists(st.binary(max_size=8), max_size=12))
def test_any_arguments_are_read(arguments: list[bytes]) -> None:
    """No argument list raises, whatever the command."""
    for name in BUILTIN.names:
        assert all(access.key in arguments for access in BUILTIN.accesses([name, *arguments]))
