"""Lines that touch certain keys: all of them are found, nothing else is, and no more are read than allowed."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.keynames import stored
from exporter.monitor import parse
from exporter.monitor.keys import CommandTable
from exporter.monitor.line import escape, unescape
from exporter.monitor.lookout import Call, Sightings, look_out
from exporter.monitor.own import Own
from tests.lines import LOCAL, line, quoted, words

TABLE = CommandTable.builtin()
OTHER = b"10.0.0.7:40000"
HOSTILE = (
    b"", b" ", b'"', b"\\", b'" "', b"a\nb", b'\r\n+1795397124.911000 [0 10.0.0.9:1] "GET" "x"',
    b"\x1b[2J", b"\x00\xff",
    "schlüssel:größe".encode(), b"<script>alert(1)</script>", b"[^\n]*", b"k" * 65_536, b"\x00" * 65_536, b"\\x41",
)  # fmt: skip


def seen(data: bytes, key: bytes, db: int = 0, own: Own = Own(), most: int = 1000) -> Sightings:  # noqa: B008
    """What is seen of one key."""
    wanted = db, stored(key)
    return look_out(data, {wanted}, TABLE, own, most, random.Random(1)).get(wanted, Sightings())


@given(st.binary(max_size=80))
def test_a_name_is_written_as_the_server_writes_it(key: bytes) -> None:
    """What stands between the quotes; `unescape` undoes it."""
    assert b'"%s"' % escape(key) == quoted(key)
    assert unescape(escape(key)) == key


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: repr(key[:12]))
def test_any_name_is_found(key: bytes) -> None:
    """Control characters, quotes, line ends, what looks like another line or a pattern, 64 kB; with other arguments."""
    data = line([b"GET", key]) + line([b"SET", key, b"value"], source=OTHER) + line([b"GET", key + b"x"])
    assert seen(data, key).calls == (Call(b"get", LOCAL, 1), Call(b"set", OTHER, 1))
    assert seen(line([b"MSET", b"a", b"v" * 100_000, key, b"v"]), key).calls == (Call(b"mset", LOCAL, 1),)


def test_what_is_no_key_is_not_counted() -> None:
    """A value, an argument, a key of another database, the declared keys of a script, a line cut before its key."""
    data = (
        line(words("SET a k")) + line(words("ECHO k")) + line(words("GET k"), db=3)
        + line([b"EVAL", b"return 1", b"1", b"k"]) + b'+1795397124.911000 [0 127.0.0.1:50000] "GET" "k'
    )  # fmt: skip
    assert seen(data, b"k").calls == ()
    assert seen(data, b"k", db=3).calls == (Call(b"get", LOCAL, 1),)


def test_a_line_that_the_slice_cuts_counts_if_its_key_is_whole() -> None:
    """As it does for the window."""
    assert seen(line([b"SET", b"k", b"v" * 100])[:-50], b"k").calls == (Call(b"set", LOCAL, 1),)


def test_every_occurrence_is_an_access_and_subcommands_have_names() -> None:
    """A command that names a key twice accesses it twice; OBJECT and its like say what they do."""
    data = line(words("MGET k a k")) + line(words("object ENCODING k")) + line(words("XGROUP CREATE k g $"))
    assert seen(data, b"k").calls == (
        Call(b"mget", LOCAL, 2), Call(b"object encoding", LOCAL, 1), Call(b"xgroup create", LOCAL, 1),
    )  # fmt: skip


def test_what_a_script_does_counts_for_its_caller() -> None:
    """The lines of `lua` stand behind that of their EVAL; where it is not in the slice they stay with themselves."""
    inner = line(words("GET k"), source=b"lua") + line(words("SET other v"), source=b"lua")
    script = line([b"EVALSHA", b"5a", b"0"], source=OTHER)
    data = inner + line(words("GET other"), source=LOCAL) + script + inner + inner
    assert seen(data, b"k").calls == (Call(b"get", b"lua", 1), Call(b"get", OTHER, 1), Call(b"get", OTHER, 1))


def test_our_own_lines_are_not_seen() -> None:
    """By address, and in our transactions on a unix socket."""
    unix = b"unix:/run/redis socket.sock"
    framed = ("MULTI", "PING t0ken", "MEMORY USAGE k", "PTTL k", "EXEC")
    ours = b"".join(line(words(one), source=unix) for one in framed)
    data = line(words("PTTL k"), source=OTHER) + ours + line(words("GET k"), source=unix)
    own = Own(frozenset({OTHER}), b"t0ken")
    assert seen(data, b"k", own=own).calls == (Call(b"get", unix, 1),)


def test_however_hot_a_key_is_no_more_lines_are_read() -> None:
    """Those that are read stand for all: a quarter of the calls is a quarter of what was drawn, within chance."""
    data = (line(words("SET k v")) + 3 * line(words("GET k"))) * 2_500
    found = seen(data, b"k", most=400)
    assert len(found.calls) == 400
    assert found.weight == 25.0
    shares = Counter(call.command for call in found.calls)
    assert 0.15 < shares[b"set"] / 400 < 0.35, "a fixed stride would see only one of them"


def test_several_keys_share_the_room() -> None:
    """Each gets its part; those that are not there take none."""
    data = b"".join(line([b"GET", b"k%d" % (n % 4)]) for n in range(4_000))
    keys = {(0, b"k%d" % n) for n in range(4)} | {(0, b"absent")}
    found = look_out(data, keys, TABLE, Own(), 200, random.Random(1))
    assert {key: (len(one.calls), one.weight) for key, one in found.items()} == {
        (0, b"k%d" % n): (50, 20.0) for n in range(4)
    }


def test_what_it_costs_is_bounded_however_hot_the_key_is() -> None:
    """A slice that is nothing but the key in focus, the worst there is, takes less than twice what counting takes."""
    data = b"".join(line([b"GET", b"k"]) for _ in range(50_000))
    parse.count(data, TABLE)

    def seconds(work: object) -> float:
        best = []
        for _ in range(3):
            began = time.perf_counter()
            work()  # type: ignore[operator]
            best.append(time.perf_counter() - began)
        return min(best)

    looked, counted = seconds(lambda: seen(data, b"k", most=256)), seconds(lambda: parse.count(data, TABLE))
    assert looked < 2 * counted
