"""The parser gives exactly the accesses that a stream's argument lists have, however it is cut, whatever is in it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.monitor import parse
from exporter.monitor.keys import CommandTable
from exporter.monitor.parse import Own, Stream, count, split_at
from tests.lines import LOCAL, line, words
from tests.monitor.seen import (
    COMMON,
    UNIX,
    Seen,
    fast,
    fed,
    learned,
    pieces_of,
    table,
    truth,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# --- what hypothesis draws -----------------------------------------------------------------------------------------

awkward = st.sampled_from(
    [b"", b" ", b"\\", b'"', b"a\\", b'a\\"', b'" "', b'"\r\n', b'] "GET" "k"', b"\\x41", b"\xff\x00", b"2", b"streams",
     b"STORE", b"k", b"user:1", b"user:2", b"x" * 511, b"x" * 512, b"x" * 513, b'"' * 600, b"\x00" * 1100]
)  # fmt: skip
arguments = st.binary(max_size=12) | awkward
names = st.sampled_from(COMMON) | st.sampled_from(COMMON).map(bytes.swapcase) | st.binary(min_size=1, max_size=8)
argvs = st.builds(lambda name, rest: [name, *rest], names, st.lists(arguments, max_size=6))
paths = st.lists(st.sampled_from([b"/run", b"/", b" ", b"] ", b"]", b"[0 lua", b'"', b"\xff", b"s"]), max_size=6).map(
    lambda parts: re.sub(rb' +"', b'"', b"unix:" + b"".join(parts))  # what ends an address is in none
)
sources = st.sampled_from([LOCAL, b"10.1.2.3:1", b"[::1]:48692", b"[fe80::1%eth0]:1", b"lua", b"", UNIX]) | paths
stamps = st.sampled_from([b"1795397124.911000", b"1000000000.000001", b"9999999999.999999"])
seens = st.builds(Seen, argvs, st.sampled_from([0, 0, 0, 1, 15, 123456]), sources, stamps)
slices = st.lists(seens, max_size=25)
tables = st.sampled_from([table, learned])


@given(slices, tables, st.booleans())
@settings(fast, max_examples=100)
def test_every_argument_list_comes_back(seen: list[Seen], known: Callable[[], CommandTable], raw: bool) -> None:
    """Whatever the arguments, databases and sources: a slice holds exactly the accesses of its argument lists."""
    counts = count(written(seen, raw=raw), known())
    assert counts.accesses == truth(seen)
    assert (counts.commands, counts.own, counts.skipped) == (len(seen), 0, 0)


@given(slices, st.integers(1, 300))
@settings(fast, max_examples=20)
def test_slices_of_many_lines(seen: list[Seen], times: int) -> None:
    """The same lines many times over, in several chunks and databases: everything counts that many times."""
    counts = count(written(seen) * times, learned())
    assert counts.accesses == {place: (times * all_, times * wrote) for place, (all_, wrote) in truth(seen).items()}
    assert counts.commands == times * len(seen)


def test_patterns_are_learned_on_the_way() -> None:
    """A table that begins to read exactly and then learns counts each line once, in 20 databases at a time."""
    seen = [Seen([name, b"k%d" % (number % 7), b"v"], number % 20) for number in range(600) for name in COMMON]
    assert count(written(seen), CommandTable.builtin()).accesses == truth(seen)


@given(slices, st.lists(st.integers(0), max_size=12), tables, st.booleans(), st.sampled_from([64, 160, 65_536]))
@settings(fast, max_examples=100)
def test_any_split_gives_the_same(
    seen: list[Seen], cuts: list[int], known: Callable[[], CommandTable], raw: bool, long: int
) -> None:
    """However a stream is cut into reads, and however short the lines are that count as long: the same counts."""
    data = written(seen, raw=raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "LONG", max(long, max((data.find(b'] "') for data in data.split(b"\n")), default=0) + 4))
        counts = fed(pieces_of(data, cuts), known())
    assert counts.accesses == truth(seen)
    assert (counts.commands, counts.skipped) == (len(seen), 0)


def test_stamps_of_any_length() -> None:
    """Clocks before 2001 and after 2286 have stamps of other lengths; their lines count like others."""
    seen = [
        Seen(words("GET a"), 3, UNIX, stamp) for stamp in (b"1.0", b"0.000000", b"999999999.5", b"10000000000.000001")
    ]
    for known in (table(), learned()):
        assert count(written(seen), known).accesses == {(3, b"a"): (4, 0)}


def test_every_single_split() -> None:
    """A stream that is cut at any one place, or arrives byte by byte, gives the counts of the whole."""
    seen = [Seen(words("GET user:1")), Seen([b"MSET", b'a"\\', b"v", b"\xff", b""], 3, UNIX), Seen(words("PING"))]
    for raw in (True, False):
        data = (b"+OK\r\n" if raw else b"OK\n") + written(seen, raw=raw) + b"not of MONITOR\n"
        whole = fed([data], learned())
        assert (whole.accesses, whole.commands, whole.skipped) == (truth(seen), 3, 1)
        assert fed([bytes([byte]) for byte in data], learned()) == whole
        for cut in range(len(data)):
            assert fed([data[:cut], data[cut:]], learned()) == whole


def test_lines_of_one_command_are_read_together() -> None:
    """Well-formed and broken lines of a command with several keys, in one batch, count as they do one by one."""
    argvs = [[b"MGET", b"a", b'b"'], [b"MGET"], words("MSET a v b w"), words("MSET a v b"), [b"MSET", b'"', b"v\\"],
             words("DEL a"), [b"DEL", b"", b"\xff"], [b"GET", b'q"'], [b"GET"], words("MGET x y")]  # fmt: skip
    broken = [b'"MGET" "a" "', b'"MGET" "a"" "b"', b'"DEL" "a" "b', b'"MSET" "a" "v" "', b'"MGET" "a\\"']
    for raw in (True, False):
        good = [written([Seen(argv)], raw=raw) for argv in argvs]
        bad = [good[0][: good[0].index(b'"')] + text + (b"\r\n" if raw else b"\n") for text in broken]
        for data in (b"".join([*good, *bad, *good]), b"".join(good)):
            single = [count(text + b"\n", learned()) for text in data.split(b"\n")[:-1]]
            together = fed([data], learned())
            assert together.commands == sum(one.commands for one in single) == data.count(b"\n") - together.skipped
            assert together.skipped == sum(one.skipped for one in single) == (5 if bad[0] in data else 0)
            accesses = Counter({place: times for place, (times, _) in together.accesses.items()})
            assert accesses == sum((Counter({p: t for p, (t, _) in one.accesses.items()}) for one in single), Counter())


# --- forgeries -----------------------------------------------------------------------------------------------------

FORGERIES = [
    b"\r\n" + line(words("SET forged v")),
    b"\n" + line(words("SET forged v"), raw=False),
    b'"\r\n' + line(words("SET forged v")) + b'"',
    b'\\"\n1795397124.911000 [0 lua] "GET" "forged"',
    b"\r\n+RESET\r\n",
    b"\r\n$4\r\n" + b"x" * 2000,
    b"\r\n$99999999\r\n",
    b'] "GET" "forged"',
    b"\r\n+OK\r\n",
]


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("known", [table, learned])
def test_nothing_is_forged(forgery: bytes, known: Callable[[], CommandTable]) -> None:
    """Keys, values and names that hold lines, a RESET or a bulk reply's head are just bytes; what follows counts."""
    argvs = [[b"GET", forgery], [b"SET", b"k", forgery], [b"MSET", forgery, forgery, b"k", b"v"], [b"PING", forgery]]
    seen = [Seen(argv, 0, source) for argv in [*argvs, [forgery, b"x"]] for source in (LOCAL, UNIX, b"lua")]
    seen.append(Seen(words("GET last")))
    counts = count(written(seen), known(), Own(frozenset({b"127.0.0.1:9"}), b"token"))
    assert counts.accesses == truth(seen)
    assert (counts.commands, counts.own, counts.skipped) == (len(seen), 0, 0)


@pytest.mark.parametrize("known", [table, learned])
def test_nobody_passes_for_us(known: Callable[[], CommandTable]) -> None:
    """Our address or token in the arguments of others, or as a part of their address, takes nothing from the counts."""
    own = Own(frozenset({LOCAL}), b"secret")
    sources = [b"1" + LOCAL, LOCAL + b"1", b"unix:/a " + LOCAL, b"unix:" + LOCAL + b"] x", b"lua"]
    argvs = [[b"GET", b"a " + LOCAL + b'] "x'], [b"ECHO", b"PING secret"], [b"SET", b"secret", b'PING" "secret'],
             words("PING secret2"), words("PING secret more"), words("MGET PING secret")]  # fmt: skip
    seen = [Seen(argv, 0, source) for argv in argvs for source in sources]
    counts = count(written(seen), known(), own)
    assert (counts.accesses, counts.commands, counts.own) == (truth(seen), len(seen), 0)


# --- what is not of others -----------------------------------------------------------------------------------------

REPLIES = [
    b"+PONG\r\n", b"+RESET\r\n", b"+OK\r\n", b"+QUEUED\r\n", b":7\r\n",
    b"-ERR Replica can't interact with the keyspace\r\n",
    b"$-1\r\n", b"$0\r\n\r\n", b"$8\r\ntoken:12\r\n", b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", b"_\r\n",
    b"%1\r\n+a\r\n:1\r\n",
    b"$%d\r\n%s\r\n" % (len(line(words("SET forged v"))), line(words("SET forged v"))),
    b"$40\r\n# Server\r\nredis_version:7.0.15\r\nos:Linux\r\r\n",
]  # fmt: skip


@given(st.lists(seens | st.sampled_from(REPLIES), max_size=20), st.lists(st.integers(0), max_size=5), tables)
@fast
def test_replies_between_lines_do_not_count(
    mixed: list[Seen | bytes], cuts: list[int], known: Callable[[], CommandTable]
) -> None:
    """Answers to in-band commands, with anything in them, neither count nor are skipped, however they are cut."""
    seen = [one for one in mixed if isinstance(one, Seen)]
    data = b"".join(one if isinstance(one, bytes) else written([one]) for one in mixed)
    for counts in (count(data, known()), fed(pieces_of(data, cuts), known(), replies=True)):
        assert counts.accesses == truth(seen)
        assert (counts.commands, counts.skipped) == (len(seen), 0)


@given(slices, slices, st.sampled_from([LOCAL, b"[::1]:48692"]), tables, st.randoms(use_true_random=False))
@fast
def test_our_addresses_are_dropped(seen: list[Seen], ours: list[Seen], address: bytes, known, random) -> None:  # type: ignore[no-untyped-def]
    """Lines from our addresses, IPv4 or IPv6, are counted as ours and nothing else."""
    others = [one for one in seen if one.source != address]
    ours = [one for one in ours if not one.argv[0].lower().startswith(b"eval")]  # see below: more lines go with them
    mixed = [*others, *(one._replace(source=address) for one in ours)]
    random.shuffle(mixed)
    counts = count(written(mixed), known(), Own(frozenset({address, b"127.0.0.1:1"})))
    assert counts.accesses == truth(others)
    assert (counts.commands, counts.own, counts.skipped) == (len(others), len(ours), 0)


@pytest.mark.parametrize("known", [table, learned])
@pytest.mark.parametrize("wide", [1, 70_000])
def test_what_our_scripts_do_is_ours(known: Callable[[], CommandTable], wide: int) -> None:
    """Lines of `lua` right behind an EVAL of ours go with it, wherever the stream is cut; all others' stay."""
    address, lua = b"127.0.0.1:9", b"lua"
    value = b"v" * wide
    theirs = [Seen(words("EVAL x 1 k"), 0), Seen(words("DEL k"), 0, lua), Seen(words("SET k v"), 0, lua)]
    ours = [
        Seen([*words("EVAL x 1 k"), value], 0, address), Seen(words("GET k"), 0, lua),
        Seen([*words("HSET k f"), value], 0, lua), Seen(words("evalsha y 1 k"), 0, address),
        Seen(words("DEL k"), 0, lua), Seen(words("GET a"), 0, address),
    ]  # fmt: skip
    seen = [*ours, *theirs, *ours[:-1], Seen(words("GET k")), *theirs, *ours]
    others = [*theirs, Seen(words("GET k")), *theirs]
    own = Own(frozenset({address, b"127.0.0.1:8"}))
    data = written(seen)
    for cut in range(0, len(data), 1 if wide == 1 else 16_001):
        counts = fed([data[:cut], data[cut:]], known(), own)
        assert (counts.accesses, counts.commands, counts.skipped) == (truth(others), len(others), 0)
        assert counts.own == len(seen) - len(others)


def transaction(token: bytes, *bodies: str, between: Sequence[Seen] = ()) -> list[Seen]:
    """Our transaction on a unix socket; MULTI shows when it is sent, the rest when EXEC runs."""
    inner = [Seen([b"PING", token], 2, UNIX), *(Seen(words(body), 2, UNIX) for body in bodies)]
    return [Seen(words("MULTI"), 2, UNIX), *between, *inner, Seen(words("EXEC"), 2, UNIX)]


@pytest.mark.parametrize("known", [table, learned])
@pytest.mark.parametrize("between", [0, 1, 40])
def test_our_transactions_are_dropped(known: Callable[[], CommandTable], between: int) -> None:
    """MULTI..EXEC with our PING goes, also when others' lines stand behind MULTI; theirs stay, transactions too."""
    others = [Seen(words("GET a"), 2, UNIX), Seen(words("MULTI"), 0, LOCAL)] * between
    theirs = [Seen(words(text), 2, UNIX) for text in ("MULTI", "INCR a", "PING other", "EXEC")]
    ours = transaction(b"t0ken", "TYPE a", "TTL a", between=others)
    counts = count(written([*theirs, *ours, *theirs, *ours]), known(), Own(frozenset(), b"t0ken"))
    assert counts.accesses == truth(theirs * 2 + others * 2)
    assert counts.commands == len(theirs * 2 + others * 2)
    assert counts.own == 2 * (len(ours) - len(others))


def test_our_transactions_in_pieces() -> None:
    """A transaction of ours that is cut anywhere, between MULTI and PING too, is dropped all the same."""
    others = [Seen(words("GET a"), 2, UNIX)]
    data = written([*others, *transaction(b"t0ken", "TYPE a", between=others), *others])
    own = Own(frozenset(), b"t0ken")
    for cut in range(len(data)):
        counts = fed([data[:cut], data[cut:]], learned(), own)
        assert (counts.commands, counts.own, counts.accesses) == (3, 4, truth(others * 3))


# --- scripts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [table, learned])
def test_scripts_count_by_what_they_do(known: Callable[[], CommandTable]) -> None:
    """The lines of a script's commands count; the keys that EVAL, EVALSHA and FCALL declare do not."""
    calls = [Seen(words(f"{name} body 2 declared other")) for name in ("EVAL", "evalsha", "FCALL", "EVAL_RO")]
    calls += [Seen(words("FCALL_RO body 1 declared")), Seen(words("EVALSHA_RO body 1 declared"))]
    inner = [Seen(words("GET touched"), source=b"lua"), Seen(words("SET touched v"), source=b"lua")]
    counts = count(written([*calls, *inner]), known())
    assert counts.accesses == {(0, b"touched"): (2, 1)}
    assert counts.commands == 8


def test_servers_before_6_2_4() -> None:
    """Lines that come before execution: EVAL unredacted with its script, SELECT in the database it leaves, no AUTH."""
    script = b'redis.call("SET", KEYS[1], "v")\nreturn redis.call(\'INCR\', ARGV[1])'
    data = (
        b"+OK\r\n"
        + line([b"SELECT", b"3"], 0)
        + line([b"EVAL", script, b"1", b"declared", b"counter"], 3)
        + line([b"SET", b"declared", b"v"], 3, b"lua")
        + line([b"INCR", b"counter"], 3, b"lua")
        + line([b"MULTI"], 3)
        + line([b"LPUSH", b"list", b"x"], 3)
        + line([b"EXEC"], 3)
        + line([b"GET", b"zero"], 0, b"[::1]:5000")
    )
    keys = {(3, b"declared"): (1, 1), (3, b"counter"): (1, 1), (3, b"list"): (1, 1), (0, b"zero"): (1, 0)}
    for known in (table(), learned()):
        counts = count(data, known)
        assert (counts.accesses, counts.commands, counts.skipped) == (keys, 8, 0)


# --- garbage -------------------------------------------------------------------------------------------------------

GREETING = re.compile(rb"(\+?(OK|PONG|RESET|QUEUED))?\r?")
REAL = [*(line(words(text), raw=raw)
          for text in ("GET a", "SET b v", "MGET a b", "PING", "MSET a v b w", "SORT a STORE b")
          for raw in (True, False)),
        line([b"SET", b'q"\\', b"v"], 3, UNIX),
        line([b"GET", b"\xff\n"], 1, b"[::1]:1"),
        b"+OK\r\n"]  # fmt: skip
SCRAPS = [b'"', b"\\", b" ", b"\n", b"\r", b"\r\n", b"[", b"] ", b'" "', b"\x00", b"\xff", b"+", b".", b"0", b"x",
          b"GET", b'\\"', b"\\x4", b"$3\r\n", b'] "', b"MULTI", b""]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Real lines with pieces replaced by others."""
    data = b"".join(draw(st.lists(st.sampled_from(REAL), min_size=1, max_size=12)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        data = data[:start] + draw(st.sampled_from(SCRAPS)) + data[start + draw(st.sampled_from([0, 1, 1, 2, 5, 30])) :]
    return data


@given(st.binary(max_size=300) | mutated(), st.lists(st.integers(0), max_size=4))
@settings(fast, max_examples=200)
def test_garbage_is_counted(data: bytes, cuts: list[int]) -> None:
    """Any bytes at all: nothing raises, each line is a command, ours, skipped or a greeting, in any cut, either way."""
    own = Own(frozenset({b"[::1]:1"}), b"token")
    lines = data.split(b"\n")
    ignored = sum(GREETING.fullmatch(text) is not None for text in lines[:-1]) + (not lines[-1])
    if lines[-1]:
        ignored += GREETING.fullmatch(lines[-1]) is not None
    exact = fed([data], CommandTable.builtin(), own)
    assert exact.commands + exact.own + exact.skipped + ignored == len(lines)
    assert fed(pieces_of(data, cuts), CommandTable.builtin(), own) == exact
    assert fed(pieces_of(data, cuts), learned(), own) == exact
    detailed = Stream(learned(), own, commands=True)
    detailed.feed(data)
    detailed.close()
    assert detailed.counts() == exact
    count(data, learned(), own)
    split_at(data, 1795397124)


def test_a_broken_line_takes_no_neighbour_with_it() -> None:
    """A line without its closing quote is skipped; the lines before and behind it count, in a large chunk too."""
    good = [Seen([b"GET", b"k%d" % number]) for number in range(500)]
    for broken in (b'+1795397124.911000 [0 1.2.3.4:5] "GET" "k\r\n', b'1795397124.911000 [0 1.2.3.4:5] "SET" "k" "v\n'):
        counts = count(written(good) + broken + written(good), learned())
        assert (counts.accesses, counts.skipped) == (truth(good * 2), 1)


def test_commands_that_the_table_does_not_know() -> None:
    """Renamed and new commands have no keys here and are named, a bounded number of them."""
    counts = count(written([Seen([b"b4f7", b"a"])] * 3), table())
    assert (counts.commands, counts.accesses, counts.unknown) == (3, {}, frozenset({b"b4f7"}))
    many = count(written([Seen([b"name%d" % number]) for number in range(5000)]), table())
    assert many.commands == 5000
    assert 0 < len(many.unknown) < 100
