"""Replies are read within bounds of bytes, elements and time, whatever the other side sends."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.reply import Malformed, Oversized, Reader, Refusal
from tests.fakes import array, bulk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.stats.reply import Reply


class Wire:
    """A socket that gives what it was given, in the pieces it was given."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)
        self._rest = b""
        self.timeouts: list[float] = []

    def settimeout(self, seconds: float) -> None:
        """Note the time limit."""
        self.timeouts.append(seconds)

    def recv(self, most: int) -> bytes:
        """The next piece; nothing at the end."""
        data = self._rest or next(self._pieces, b"")
        self._rest = data[most:]
        return data[:most]


def reader(*pieces: bytes, limit: int = 1 << 20) -> Reader:
    """A reader of these bytes."""
    return Reader(Wire(*pieces), 2.0, limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"+PONG\r\n", b"PONG"),
        (b"-NOPERM this user\r\n", Refusal("NOPERM this user")),
        (b":-12\r\n", -12),
        (bulk(b"a\r\nb"), b"a\r\nb"),
        (bulk(b""), b""),
        (bulk(None), None),
        (b"*-1\r\n", None),
        (array(b":1\r\n", array(bulk(b"x"), bulk(None))), [1, [b"x", None]]),
    ],
)
def test_every_kind_of_reply(sent: bytes, read: Reply) -> None:
    """Each kind of RESP2 comes out as what it is, also when it arrives byte by byte."""
    assert reader(sent).read() == read
    assert reader(*(bytes([byte]) for byte in sent)).read() == read


@given(st.lists(st.binary(max_size=200_000), max_size=6), st.integers(1, 70_000))
def test_replies_follow_each_other(values: list[bytes], size: int) -> None:
    """However the stream is cut, reply after reply is the one that was sent."""
    stream = b"".join(map(bulk, values))
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    one = reader(*pieces, limit=1 << 24)
    assert [one.read() for _ in values] == values


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n", b"$x\r\n", b"$9999999999999999999999\r\n", b"*1000000\r\n", b"*5\r\n" + b"*20000\r\n" * 5,
        b"*1\r\n" * 100, b"+" + b"x" * 100_000, b"x" * 100_000, b"%2\r\n", b"$-\r\n", b":\r\n", b"\r\n",
    ],
)  # fmt: skip
def test_what_is_not_resp_ends_it(sent: bytes) -> None:
    """Garbage, absurd lengths, endless lines and endless nesting are refused before room is made for them."""
    with pytest.raises(Malformed):
        reader(sent).read()


def test_a_giant_is_cut_off() -> None:
    """Of a bulk string that is too long the beginning is kept."""
    with pytest.raises(Oversized) as caught:
        reader(b"$900000000000\r\n", b"used_memory:5\r\n" * 100, b"x" * 5000, limit=4096).read()
    assert caught.value.start.startswith(b"used_memory:5\r\n")
    assert len(caught.value.start) <= 4096


def test_memory_is_bounded_by_the_limit() -> None:
    """Whatever is sent, what is held stays within a few times the limit."""

    def flood() -> Iterator[bytes]:
        yield b"$%d\r\n" % (1 << 40)
        while True:
            yield bytes(65536)

    wire = Wire()
    wire._pieces = flood()
    tracemalloc.start()
    with pytest.raises(Oversized):
        Reader(wire, 2.0, 1 << 20).read()  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_all_of_it_has_one_time_limit() -> None:
    """A server that sends a byte now and then does not get a new time limit with each."""
    times = iter([0.0, 0.0, 1.5, 2.5])
    slow = Reader(Wire(b"+", b"O", b"K"), 2.0, clock=lambda: next(times))  # type: ignore[arg-type]
    with pytest.raises(TimeoutError):
        slow.read()


def test_a_closed_connection_is_told() -> None:
    """The end of the stream in the middle of a reply is not an empty reply."""
    with pytest.raises(EOFError):
        reader(b"$10\r\nabc").read()


def test_a_real_socket() -> None:
    """The same over a socket pair, with a reply larger than its buffers."""
    ours, other = socket.socketpair()
    value = b"line\r\n" * 100_000
    sender = threading.Thread(target=other.sendall, args=(bulk(value),))
    with ours, other:
        sender.start()
        assert Reader(ours, 5.0).read() == value
        sender.join()


def test_lengths_of_all_replies_add_up() -> None:
    """The limit is for an exchange, not for each of its replies."""
    many: list[bytes] = [bulk(b"x" * 1000)] * 10
    one = reader(*many, limit=5000)
    with pytest.raises((Malformed, Oversized)):
        [one.read() for _ in many]
