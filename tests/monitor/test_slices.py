"""Where a slice may be cut: at whole seconds, and at places where it is looked how far a burst was."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.monitor.parse import marks, split_at
from tests.lines import LOCAL, line, words
from tests.monitor.seen import fast

if TYPE_CHECKING:
    from collections.abc import Sequence

unstamped = st.sampled_from(
    [b"+PONG\r\n", b":1\r\n", b"\r\n", b"\n", b"$5\r\nhello\r\n", b"redis_version:7.0.15\r\n", b"1 [0\n"]
)
seconds = st.lists(st.tuples(st.integers(0, 12), st.lists(unstamped, max_size=3)), max_size=30)


def naive_split(lines: Sequence[bytes], second: int) -> tuple[bytes, bytes]:
    """Everything before the first line that is stamped `second` or later, and the rest."""
    for place, text in enumerate(lines):
        stamp = re.match(rb"\+?(\d+)\.\d+ \[", text)
        if stamp and int(stamp[1]) >= second:
            return b"".join(lines[:place]), b"".join(lines[place:])
    return b"".join(lines), b""


@given(seconds, st.integers(-1, 14), st.booleans(), st.lists(unstamped, max_size=3), st.integers(0, 300))
@settings(fast, max_examples=150)
def test_split_at(drawn: list[tuple[int, list[bytes]]], second: int, raw: bool, first: list[bytes], wide: int) -> None:
    """Every line stamped before the second goes left, the rest right; both together are the slice, in its order."""
    lines = list(first)
    for number, (at, between) in enumerate(sorted(drawn, key=lambda one: one[0])):
        stamp = b"17953971%02d.%06d" % (at, number)
        lines += [line([b"GET", b"k" * (wide if number % 3 else 1)], stamp=stamp, raw=raw), *between]
    data = b"".join(lines)
    assert split_at(data, 1795397100 + second) == naive_split(lines, 1795397100 + second)


def test_a_script_is_not_cut() -> None:
    """What a script did goes with its EVAL, whenever it did it."""
    stamps = (b"1795397100.999999", b"1795397101.000001", b"1795397101.000002", b"1795397101.000003")
    texts = ("EVAL x 1 k", "DEL k", "DEL j", "GET k")
    lines = [
        line(words(text), 0, LOCAL if at in {0, 3} else b"lua", stamp)
        for at, (text, stamp) in enumerate(zip(texts, stamps, strict=True))
    ]
    assert split_at(b"".join(lines), 1795397101) == (b"".join(lines[:3]), lines[3])


@given(seconds, st.integers(1, 20), st.booleans(), st.lists(unstamped, max_size=3))
@settings(fast, max_examples=100)
def test_marks(drawn: list[tuple[int, list[bytes]]], number: int, raw: bool, first: list[bytes]) -> None:
    """Each is where a stamped line begins that no script has written, and they ascend."""
    lines = list(first)
    for place, (at, between) in enumerate(sorted(drawn, key=lambda one: one[0])):
        stamp = b"17953971%02d.%06d" % (at, place)
        lines += [line([b"GET", b"k"], 0, b"lua" if place % 5 == 4 else LOCAL, stamp, raw=raw), *between]
    data = b"".join(lines)
    found = marks(data, number)
    assert len(found) < number
    assert [place for place, _ in found] == sorted({place for place, _ in found})
    for place, stamp in found:
        begins = re.match(rb"\+?(\d+\.\d+) \[0 (?!lua)", data[place:])
        assert begins is not None
        assert float(begins[1]) == stamp


def test_split_at_of_nothing() -> None:
    """No lines, or none with a stamp, all go left."""
    for data in (b"", b"\n", b"+PONG\r\n" * 50, b"x" * 1000):
        assert split_at(data, 1795397124) == (data, b"")


def test_no_mark_is_inside_a_transaction() -> None:
    """From MULTI to EXEC nobody else's command is run, and no burst begins: nor does a stretch."""
    stamps = iter(b"1795397100.%06d" % n for n in range(1000))
    before = [line(words("GET k"), stamp=next(stamps)) for _ in range(20)]
    inside = [line(words(text), 0, b"10.1.2.3:1", next(stamps)) for text in ("MULTI", *["GET k"] * 400, "EXEC")]
    after = [line(words("GET k"), stamp=next(stamps)) for _ in range(20)]
    data, begin = b"".join([*before, *inside, *after]), len(b"".join(before))
    end = len(data) - len(b"".join(after))
    found = [place for place, _ in marks(data, 64)]
    assert found
    assert not [place for place in found if begin < place < end]
