"""RESP2 replies read within bounds: bytes of a socket in, values out, whatever the other side sends.

A client library trusts its server: it makes room for a reply of any announced size. Here a reply has so many bytes, so
many elements and so much time; what does not fit ends the connection, not this process.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

MOST_BYTES = 2 * 1024 * 1024
"""A thousand commands with their statistics make a quarter of this."""
MOST_ELEMENTS = 65_536
DEEPEST = 8
LONGEST_LINE = 16 * 1024
_CHUNK = 64 * 1024


class Malformed(Exception):
    """What came is not RESP2, or more of it than anybody may send."""


class Oversized(Exception):
    """A bulk string is longer than there is room for; `start` is what fitted. The rest is still to come."""

    def __init__(self, start: bytes) -> None:
        super().__init__(f"more than {len(start)} bytes")
        self.start = start


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error reply: the server does not do this for us."""

    text: str


Reply = bytes | int | None | Refusal | list["Reply"]


class Reader:
    """Reads replies that were asked for; belongs to one exchange.

    Args:
        sock: where they come from.
        seconds: how long all of them together may take.
        limit: how many bytes all of them together may have.
        clock: a monotonic clock.

    """

    def __init__(
        self, sock: socket.socket, seconds: float, limit: int = MOST_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._socket = sock
        self._clock = clock
        self._until = clock() + seconds
        self._room = limit
        self._elements = MOST_ELEMENTS
        self._buffer = bytearray()
        self._at = 0

    def read(self) -> Reply:
        """Return the next reply.

        Raises:
            Malformed: it is not RESP2, or has too many elements.
            Oversized: a bulk string does not fit.
            OSError: the connection broke, or the time is up (TimeoutError).
            EOFError: the server closed the connection.

        """
        return self._read(0)

    def _read(self, depth: int) -> Reply:
        line = self._line()
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+":
                return rest
            case b"-":
                return Refusal(rest[:200].decode("utf-8", "replace"))
            case b":":
                return self._number(rest)
            case b"$":
                return self._bulk(self._number(rest))
            case b"*" if depth < DEEPEST:
                return self._array(self._number(rest), depth)
        raise Malformed("not RESP2")

    def _array(self, length: int, depth: int) -> Reply:
        if length < 0:
            return None
        self._elements -= length
        if self._elements < 0:
            raise Malformed("too many elements")
        return [self._read(depth + 1) for _ in range(length)]

    def _bulk(self, length: int) -> Reply:
        if length < 0:
            return None
        held = len(self._buffer) - self._at
        room = held + self._room
        self._fill(min(length + 2, room))
        if length + 2 > room:
            raise Oversized(bytes(self._buffer[self._at : self._at + min(length, room)]))
        value = bytes(self._buffer[self._at : self._at + length])
        self._at += length + 2
        self._drop()
        return value

    @staticmethod
    def _number(text: bytes) -> int:
        if len(text) > 20 or not text.removeprefix(b"-").isdigit():
            raise Malformed("not a number")
        return int(text)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n", self._at)) < 0:
            if len(self._buffer) - self._at > LONGEST_LINE:
                raise Malformed("a line without an end")
            self._receive()
        line = bytes(self._buffer[self._at : end])
        self._at = end + 2
        return line

    def _fill(self, size: int) -> None:
        while len(self._buffer) - self._at < size:
            self._receive()

    def _receive(self) -> None:
        if self._room <= 0:
            raise Malformed("too many bytes")
        left = self._until - self._clock()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        data = self._socket.recv(min(_CHUNK, self._room))
        if not data:
            raise EOFError
        self._room -= len(data)
        self._buffer += data

    def _drop(self) -> None:
        """Forget what was read, so that a long exchange does not hold all of it twice."""
        if self._at >= _CHUNK:
            del self._buffer[: self._at]
            self._at = 0
