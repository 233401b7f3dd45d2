"""Lines that were cut, and values of megabytes: read in constant memory, and a long line counts as a short one does."""

from __future__ import annotations

import tracemalloc
from itertools import chain, repeat
from typing import TYPE_CHECKING

import pytest

from exporter.keynames import LongKey, stored
from exporter.monitor import parse
from exporter.monitor.parse import Counts, count
from tests.lines import line, words
from tests.monitor.seen import (
    Seen,
    fed,
    learned,
    table,
    truth,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.mark.parametrize(
    ("text", "whole_from"),
    [
        ("SET key value", b'"SET" "key"'),
        ("GET key", b'"GET" "key"'),
        ("PING hello", b'"PING"'),
        ("EVAL return 1 key", b'"EVAL"'),
        ("MGET a b", b'"MGET" "a" "b"\r'),
        ("MSET a v b w", b'"MSET" "a" "v" "b" "w"\r'),
        ("SORT a STORE b", b'"SORT" "a" "STORE" "b"\r'),
    ],
)
@pytest.mark.parametrize("long", [90, 65_536])
def test_a_cut_last_line(text: str, whole_from: bytes, long: int) -> None:
    """The last line counts from where its keys are complete, cut at any byte, and is dropped before; never skipped."""
    seen = Seen(words(text), source=b"unix:/" + b"x" * 60)
    [data] = [written([seen])]
    needed = data.index(whole_from) + len(whole_from)
    before = written([Seen(words("GET first"))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "LONG", max(long, data.index(b'"') + 1))
        for cut in range(len(data)):
            counts = count(before + data[:cut], table())
            expected = [Seen(words("GET first")), *([seen] if cut >= needed else [])]
            assert (counts.accesses, counts.commands) == (truth(expected), len(expected)), data[:cut]
            assert counts.skipped == 0


MEGABYTE = b"v" * 65_536


def peak_of(pieces: Iterable[bytes]) -> tuple[Counts, int]:
    """Count a stream; returns the most bytes that this took on top of what was there."""
    learned()
    tracemalloc.start()
    try:
        return fed(pieces, learned()), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("part", "times"), [(b"v" * 65_536, 1024), (b"1" + b"\\xff" * 16_000 + b"\\\\" * 767 + b"\\x4", 128)]
)
def test_huge_values_in_constant_memory(part: bytes, times: int) -> None:
    """A value of 64 MB (8 MB escaped) passes through in less than 8 MB, and the keys on both sides of it count."""
    after, end = line(words("GET c")), b'1" "k2" "v"\r\n'
    [start] = [line([b"MSET", b"k1", b""])[:-3]]
    counts, peak = peak_of(chain([start], repeat(part, times), [end, after]))
    assert counts.accesses == {(0, b"k1"): (1, 1), (0, b"k2"): (1, 1), (0, b"c"): (1, 0)}
    assert (counts.commands, counts.skipped) == (2, 0)
    assert peak < 8 << 20


def test_a_huge_value_behind_its_key() -> None:
    """SET with 64 MB in reads that fit no line: its key counts, and so does the next line."""
    start = line([b"SET", b"k1", b""])[:-3]
    counts, peak = peak_of(chain([start], repeat(b"v" * 50_001, 1342), [b'"\r\n' + line(words("GET c"))]))
    assert counts.accesses == {(0, b"k1"): (1, 1), (0, b"c"): (1, 0)}
    assert peak < 8 << 20


@pytest.mark.parametrize(("unit", "size"), [(b"k", 4099), (b"\xff", 65_536), (b"k", 1 << 24)])
def test_megabyte_keys(unit: bytes, size: int) -> None:
    """Keys of a megabyte that differ in the last byte only are held short and apart, with the digest of the whole."""
    keys = [unit * (1 << 20) + last for last in (b"a", b"b")]
    seen = [Seen([b"GET", keys[0]]), Seen([b"MGET", keys[1], b"k", keys[1]]), Seen([b"SET", keys[0], b"v"])]
    data = written(seen)
    counts = fed((data[at : at + size] for at in range(0, len(data), size)), learned())
    assert counts.accesses == truth(seen)
    long = {key for _, key in counts.accesses if isinstance(key, LongKey)}
    assert {key.digest for key in long} == {LongKey(stored(key)).digest for key in keys}
    assert max(map(len, long)) < 600


def test_a_long_line_agrees_with_a_short_one() -> None:
    """A line counts the same whether it arrives whole or in reads, around every length where keys are cut."""
    for size in (510, 511, 512, 513, 998, 1000, 1002, 65_400, 65_536, 70_000):
        for unit in (b"k", b'"'):
            seen = [Seen([b"GET", unit * size]), Seen([b"MGET", unit * size, b"b"]), Seen([b"DEL", unit * size])]
            data = written(seen)
            whole = count(data, learned())
            assert whole.accesses == truth(seen)
            assert fed((data[at : at + 999] for at in range(0, len(data), 999)), learned()) == whole
