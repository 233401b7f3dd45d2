"""One MONITOR session on one node: raw bytes, and the exact interval on the server's clock in which they fell.

In: a `Link` and the limits of a slice. Out: `Slice`s. A session always ends: by RESET, or by closing the socket.

    begin()               MONITOR, then a first mark
    take(seconds, …)      everything between the last mark and a new one
    take(…, leave=True)   the same, and RESET in the same write

A mark is `PING <token>` sent inside the stream. Replies and lines leave the server in order on one socket, and MONITOR
prints our own PING with its time, so marks bound what was observed to the microsecond, whatever our own delays are.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from exporter.errors import DownReason, MonitorRefused, NodeError
from exporter.link import CLIENT_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.link import Link

READ_SIZE = 1 << 18
HARD_LIMIT_BYTES = 4 << 20
"""A slice that grows past this is not drained: closing is cheaper for the server than sending the rest."""
MARK_TIMEOUT = 1.0
NAP_SECONDS = 0.010
"""How long a slow stream may gather in the socket before it is read: fewer wake-ups, and far below its buffer."""


class Outcome(StrEnum):
    """How a burst or slice ended: the closed set of `redis_sampling_bursts_total{outcome}` that a session can know."""

    COMPLETE = "complete"
    EVENTS = "events"
    BYTES = "bytes"
    TIME = "time"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Slice:
    """Raw lines and when they were observed.

    `data` holds whole lines (after a close by the byte limit its last line may be cut), `start` and `end` are seconds
    on the server's clock, `lines` counts line ends. `lag_seconds` is how long the closing mark took.
    """

    data: bytes
    start: float
    end: float
    lines: int
    size_bytes: int
    lag_seconds: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Limits:
    """When a slice has to stop early: safety, not the budget (the plan carries the budget)."""

    events: int
    bytes: int


class Session:
    """MONITOR on one link. Belongs to one thread. After `NodeError` the link is closed and the session is over."""

    def __init__(self, link: Link, token: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._token = token
        self._can_reset = True
        self._clock = clock
        self._marks = 0
        self._rest = b""
        self._since = 0.0
        self.active = False

    @property
    def can_reset(self) -> bool:
        """Whether a session ends with RESET and keeps its connection."""
        return self._can_reset

    @property
    def since(self) -> float:
        """The last mark, in seconds of the server's clock."""
        return self._since

    def begin(self) -> None:
        """Enter MONITOR and set the first mark.

        Raises:
            MonitorRefused: this server does not let us, and why.
            NodeError: the node failed.

        """
        self._link.open()
        mark = self._next_mark()
        self._send(self._link.pack(("MONITOR",), ("PING", mark)))
        self._rest = b""
        data, line = self._read_to(mark)
        head = data[: line.start].lstrip(b"\r\n")
        if not head.startswith(b"+OK"):
            self.close()
            raise refusal(self._link.node.addr, head.split(b"\r\n", 1)[0])
        self._since, self._rest = line.time, data[line.end :]
        self.active = True

    def take(self, seconds: float, limits: Limits, *, leave: bool, nap: bool) -> Slice:
        """Everything from the last mark to a new one set `seconds` from now, or earlier where a limit says so.

        Args:
            seconds: how long to wait before the new mark.
            limits: stop before that when the stream passes one of these.
            leave: end the session with RESET (or by closing) after the mark.
            nap: let a slow stream gather between reads.

        Raises:
            NodeError: the node failed; what was read since the last mark is lost, and was not observed.

        """
        chunks, outcome = self._gather(seconds, limits, nap=nap)
        sent, mark = self._clock(), self._next_mark()
        leave = leave or outcome is not Outcome.COMPLETE
        if sum(map(len, chunks)) > HARD_LIMIT_BYTES:
            return self._cut(b"".join(chunks))
        self._send(self._link.pack(("PING", mark)) + (self._farewell() if leave else b""))
        self._rest = b"".join(chunks)
        try:
            data, line = self._read_to(mark)
        except _TooMuchError as overflow:
            return self._cut(overflow.data)
        lag = self._clock() - sent
        since, self._since, self._rest = self._since, line.time, data[line.end :]
        if leave:
            self._leave()
        body = data[: line.start]
        return Slice(body, since, line.time, body.count(b"\n"), len(data), lag, outcome)

    def leave(self) -> None:
        """End the session now and drop what came since the last mark.

        Raises:
            NodeError: the node failed.

        """
        self.take(0.0, Limits(1 << 30, HARD_LIMIT_BYTES), leave=True, nap=False)

    def close(self) -> None:
        """End the session the hard way. Never raises."""
        self.active = False
        self._rest = b""
        self._link.close()

    def _gather(self, seconds: float, limits: Limits, *, nap: bool) -> tuple[list[bytes], Outcome]:
        """Read until the time is up or a limit trips."""
        chunks, size, events = [self._rest], len(self._rest), self._rest.count(b"\n")
        until = self._clock() + seconds
        sock = self._link.socket
        while (left := until - self._clock()) > 0:
            if nap:
                time.sleep(min(left, NAP_SECONDS))
            chunk = self._receive(max(until - self._clock(), 0.0005))
            if chunk is None:
                continue
            chunks.append(chunk)
            size += len(chunk)
            events += chunk.count(b"\n")
            if size > limits.bytes:
                return chunks, Outcome.BYTES
            if events > limits.events:
                return chunks, Outcome.EVENTS
        sock.settimeout(MARK_TIMEOUT)
        return chunks, Outcome.COMPLETE

    def _read_to(self, mark: bytes) -> tuple[bytes, _Line]:
        """Read on until both the mark's line and its reply are there."""
        data, searched = self._rest, 0
        until = self._clock() + MARK_TIMEOUT
        while True:
            at = _find_mark(data, mark, searched)
            if at >= 0 and (line := _mark_line(data, mark, at)) is not None:
                return data, line
            if not self.active and (error := _REFUSED.match(data)) is not None:
                self.close()
                raise refusal(self._link.node.addr, error[1])
            if len(data) > HARD_LIMIT_BYTES:
                raise _TooMuchError(data)
            searched = at if at >= 0 else max(0, len(data) - 2 * len(mark))
            if (left := until - self._clock()) <= 0:
                self.close()
                raise NodeError(self._link.node.addr, "MONITOR", DownReason.TIMEOUT, "the stream fell silent")
            data += self._receive(left) or b""

    def _receive(self, timeout: float) -> bytes | None:
        """Some bytes, or None when none came in time."""
        sock = self._link.socket
        try:
            sock.settimeout(timeout)
            chunk = sock.recv(READ_SIZE)
        except TimeoutError:
            return None
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            raise NodeError(self._link.node.addr, "MONITOR", DownReason.CLOSED, "the server closed the connection")
        return chunk

    def _send(self, data: bytes) -> None:
        try:
            self._link.socket.settimeout(MARK_TIMEOUT)
            self._link.socket.sendall(data)
        except OSError as error:
            self.close()
            reason = DownReason.TIMEOUT if isinstance(error, TimeoutError) else DownReason.CLOSED
            raise NodeError(self._link.node.addr, "MONITOR", reason, "the server closed the connection") from None

    def _farewell(self) -> bytes:
        """RESET drops the authentication and the name as well: ask for them back in the same write."""
        if not self._can_reset:
            return b""
        authenticate = [("AUTH", *self._link.authentication)] if self._link.authentication else []
        return self._link.pack(("RESET",), *authenticate, ("CLIENT", "SETNAME", CLIENT_NAME))

    def _leave(self) -> None:
        """Read the replies to the farewell; a server without RESET, or an odd answer, is closed on."""
        self.active = False
        if not self._can_reset:
            self.close()
            return
        wanted = 3 if self._link.authentication else 2
        data, until = self._rest, self._clock() + MARK_TIMEOUT
        while len(replies := _replies_from_reset(data)) < wanted:
            if not replies and _ERROR.search(data) is not None:
                # RESET is renamed or forbidden here: from now on a session ends with its connection.
                self._can_reset = False
                break
            if len(data) > HARD_LIMIT_BYTES or self._clock() > until:
                break
            data += self._receive(MARK_TIMEOUT) or b""
        self._rest = b""
        # A name may be refused; going on without authentication would not work.
        if len(replies) < wanted or (self._link.authentication and replies[1].startswith(b"-")):
            self.close()

    def _cut(self, data: bytes) -> Slice:
        """End a slice whose rest is not worth reading: it was observed up to the line that was too much."""
        since = self._since
        self.close()
        stamps = _STAMP.findall(data)
        end = max(since, float(stamps[-1])) if stamps else since
        return Slice(data, since, end, data.count(b"\n"), len(data), 0.0, Outcome.BYTES)

    def _next_mark(self) -> bytes:
        self._marks += 1
        return b"%s:%d" % (self._token, self._marks)


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a mark stands in the bytes: data before `start` is before it, data from `end` on is after it."""

    start: int
    end: int
    time: float


class _TooMuchError(Exception):
    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


_STAMP = re.compile(rb"(?:^|\n)\+(\d{1,12}\.\d{6}) \[")
_RESET = re.compile(rb"(?:^|\r\n)\+RESET\r\n")
_REFUSED = re.compile(rb"(?:\+OK\r\n)?(-[A-Z][^\r\n]*)\r\n")
_ERROR = re.compile(rb"(?:^|\r\n)(-[A-Z][^\r\n]*)\r\n")


def _find_mark(data: bytes, mark: bytes, start: int) -> int:
    """Where the mark's command stands. Quotes inside arguments are escaped, so no key or value can look like it."""
    return data.find(b'"PING" "%s"\r\n' % mark, start)


def _mark_line(data: bytes, mark: bytes, at: int) -> _Line | None:
    """The mark's line together with its reply, or None while that is missing.

    Since 6.2.4 the reply comes first; before that the line did.
    """
    begin = data.rfind(b"\n", 0, at) + 1
    stamp = re.match(rb"\+(\d+\.\d+) \[", data[begin:at])
    if stamp is None:
        return None
    end = at + len(mark) + len(b'"PING" ""\r\n')
    reply = b"$%d\r\n%s\r\n" % (len(mark), mark)
    if data.endswith(reply, 0, begin):
        return _Line(begin - len(reply), end, float(stamp[1]))
    if data.startswith(reply, end):
        return _Line(begin, end + len(reply), float(stamp[1]))
    return None


def _replies_from_reset(data: bytes) -> list[bytes]:
    """`+RESET` and the whole replies behind it; nothing before it has come."""
    found = _RESET.search(data)
    return data[found.start() : data.rfind(b"\r\n")].strip(b"\r\n").split(b"\r\n") if found else []


def refusal(addr: str, reply: bytes) -> MonitorRefused | NodeError:
    """What an error reply to MONITOR means: the stream is denied, or unsupported, or the node is down."""
    text = reply.decode("ascii", "replace")
    why: Literal["denied", "unsupported"] | None = None
    if "NOPERM" in text or "no permissions" in text:
        why = "denied"
    elif "unknown command" in text.lower() or "not supported" in text.lower() or "disabled" in text.lower():
        why = "unsupported"
    if why is not None:
        return MonitorRefused(addr, why, "this user may not run MONITOR" if why == "denied" else "no such command here")
    for sign, reason in (
        ("NOAUTH", DownReason.AUTH),
        ("LOADING", DownReason.LOADING),
        ("max number of clients", DownReason.MAXCLIENTS),
    ):
        if sign in text:
            return NodeError(addr, "MONITOR", reason)
    return MonitorRefused(addr, "unsupported", "MONITOR was answered with an error")
