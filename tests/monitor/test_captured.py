"""Streams that real servers printed: the parser finds the keys that those servers themselves name."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from exporter.keynames import stored
from exporter.monitor.parse import count
from tests.lines import quoted
from tests.monitor.seen import (
    SERVERS,
    STREAMS,
    Seen,
    fed,
    learned,
    table,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_CAPTURED = re.compile(rb'\+(\d+\.\d+) \[(\d+) (.*?)\] (".*")')
_ESCAPE = re.compile(rb'\\(x..|[\\"nrtab])')
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


def unquoted(text: bytes) -> bytes:
    """Undo the server's escapes, one by one."""
    return _ESCAPE.sub(
        lambda found: bytes.fromhex(found[1][1:].decode()) if found[1][:1] == b"x" else _PLAIN.get(found[1], found[1]),
        text,
    )


def captured(server: str) -> list[Seen]:
    """The lines of a captured stream, read in a way of our own."""
    seen = []
    for text in (STREAMS / f"{server}.txt").read_bytes().split(b"\r\n")[1:-1]:
        found = _CAPTURED.fullmatch(text)
        assert found, text
        argv = [unquoted(one) for one in re.findall(rb'"((?:[^"\\]|\\.)*)"', found[4])]
        seen.append(Seen(argv, int(found[2]), found[3], found[1]))
    return seen


def listed(server: str) -> dict[tuple[bytes, ...], list[bytes]]:
    """The commands that were sent, with their keys as the server's own COMMAND GETKEYS names them."""
    entries = json.loads((STREAMS / f"{server}.keys.json").read_text())
    long = "BBBBBBBBBBBBBBBBBBBB...(100000 bytes)"  # is what the list has of the one long value
    return {
        tuple((word if word != long else "B" * 100_000).encode("latin-1") for word in entry["command"]): [
            key.encode("latin-1") for key in entry["keys"]
        ]
        for entry in entries
    }


def is_script(argv: Sequence[bytes]) -> bool:
    """Whether the command is one whose declared keys do not count."""
    return argv[0].lower().startswith((b"eval", b"fcall"))


@pytest.mark.parametrize("server", SERVERS)
def test_captured_streams_have_the_servers_keys(server: str) -> None:
    """Every command of a real stream gives, line by line and all together, the keys that its server names."""
    keys, stream = listed(server), captured(server)
    expected = Counter[tuple[int, bytes]]()
    for one in stream:
        if is_script(one.argv):
            own_keys: list[bytes] = []
        else:
            own_keys = keys.get(tuple(one.argv)) or [key for key, _ in table().accesses(one.argv)]
        here = Counter((one.db, stored(key)) for key in own_keys)
        single = count(written([one]), table())
        assert {place: times for place, (times, _) in single.accesses.items()} == here, one.argv
        expected += here
    data = (STREAMS / f"{server}.txt").read_bytes()
    for known in (table(), learned()):
        counts = count(data, known)
        assert {place: times for place, (times, _) in counts.accesses.items()} == expected
        assert (counts.commands, counts.skipped, counts.own) == (len(stream), 0, 0)


@pytest.mark.parametrize("server", SERVERS)
def test_captured_streams_are_complete(server: str) -> None:
    """Every listed command with keys stands in its stream, but for those that the server refused."""
    shown = {tuple(one.argv) for one in captured(server)}
    absent = [argv for argv, keys in listed(server).items() if argv not in shown and keys]
    assert absent == [], absent


@pytest.mark.parametrize("server", SERVERS)
def test_captured_streams_in_pieces(server: str) -> None:
    """A captured stream in reads of any size gives the counts of the whole."""
    data = (STREAMS / f"{server}.txt").read_bytes()
    whole = fed([data], learned())
    for size in (1, 7, 100, 4096, 65_536):
        assert fed((data[at : at + size] for at in range(0, len(data), size)), learned()) == whole


def test_the_formatter_writes_what_servers_write() -> None:
    """The lines of captured streams, read and written again by these tests' own means, are the same bytes."""
    for server in SERVERS:
        data = (STREAMS / f"{server}.txt").read_bytes()
        assert b"+OK\r\n" + written(captured(server)) == data
    assert quoted(b'a\xff\x07\n"\\') == rb'"a\xff\a\n\"\\"'
