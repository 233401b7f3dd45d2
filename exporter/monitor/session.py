"""One MONITOR session on one node: raw bytes, and the exact interval on the server's clock in which they fell.

In: a `Link`, a watchdog's `Guard`, and the limits of a slice. Out: `Slice`s. A session always ends: by RESET, by
closing the socket, or, if this process cannot even do that, by the watchdog.

    begin(seconds)        the guard is armed, MONITOR, a first mark
    take(seconds, …)      everything between the last mark and a new one
    take(…, leave=True)   the same, and RESET in the same write

A mark is `PING <token>` sent inside the stream. Replies and lines leave the server in order on one socket, and MONITOR
prints our own PING with its time, so marks bound what was observed to the microsecond, whatever our own delays are.
Before MONITOR and after RESET the server is asked how many commands it has run: what it did while we looked, and while
we did not, tells whether being looked at slows it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from exporter.errors import DownReason, MonitorRefused, NodeError
from exporter.link import CLIENT_NAME
from exporter.monitor import replies
from exporter.monitor.replies import Marker

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.link import Link
    from exporter.monitor.replies import Mark
    from exporter.monitor.stream import Tap
    from exporter.monitor.watchdog import Guard

READ_SIZE = 1 << 18
HARD_LIMIT_BYTES = 4 << 20
"""A slice that grows past this is not drained: closing is cheaper for the server than sending the rest."""
MARK_TIMEOUT = 1.0
GRACE_SECONDS = 0.100
"""How much later than planned we may read, round trips aside, before the watchdog ends the connection."""
LAG_LIMIT_BYTES = 1 << 18
"""A closing mark that comes after the grace, behind so much, waited in the server's buffer and not for the server."""
NAP_SECONDS = 0.010
"""How long any stream that is watched in full may gather in the socket before it is read: fewer wake-ups."""
_COUNT = ("INFO", "stats")


class Outcome(StrEnum):
    """How a burst or slice ended: the closed set of `redis_sampling_bursts_total{outcome}`.

    `complete`: as planned. `events`, `bytes`, `lag`: a limit stopped it. `time`: the server fell silent. `buffer`: the
    server held too much for us. `killed`: the watchdog ended it. `error`: the connection broke.
    """

    COMPLETE = "complete"
    EVENTS = "events"
    BYTES = "bytes"
    TIME = "time"
    LAG = "lag"
    BUFFER = "buffer"
    KILLED = "killed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Slice:
    """Raw lines and when they were observed.

    `data` holds whole lines (after a close by the byte limit its last line may be cut), `start` and `end` are seconds
    on the server's clock, `lines` counts line ends, `size_bytes` is what they took. `lag_seconds` is how long the
    closing mark took. `served` is the server's own count of commands before MONITOR and after RESET, without ours; None
    where it does not say.
    """

    data: bytes
    start: float
    end: float
    lines: int
    size_bytes: int
    lag_seconds: float
    outcome: Outcome
    served: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """When a slice has to stop early: safety, not the budget (the plan carries the budget).

    `grace_seconds`: how much longer than planned it may take before the watchdog ends the connection.
    """

    events: int
    bytes: int
    grace_seconds: float = GRACE_SECONDS


class Session:
    """MONITOR on one link. Belongs to one thread. After `NodeError` the link is closed and the session is over."""

    def __init__(
        self,
        link: Link,
        token: bytes,
        guard: Guard,
        clock: Callable[[], float] = time.monotonic,
        tap: Tap | None = None,
    ) -> None:
        self._link = link
        self._token = token
        self._guard = guard
        self._can_reset = True
        self._marker = Marker.PING
        self._counts = True
        self._clock = clock
        self._tap = tap
        self._marks = self._first_mark = 0
        self._rest = b""
        self._since = 0.0
        self._grace = GRACE_SECONDS
        self._served: int | None = None
        self.active = False
        self.ended_by = Outcome.COMPLETE

    @property
    def can_reset(self) -> bool:
        """Whether a session ends with RESET and keeps its connection."""
        return self._can_reset

    @property
    def since(self) -> float:
        """The last mark, in seconds of the server's clock."""
        return self._since

    def begin(self, seconds: float = 0.0, limits: Limits | None = None) -> None:
        """Enter MONITOR and set the first mark; `seconds` and `limits` are those of the first slice.

        Raises:
            MonitorRefused: this server does not let us, or no watchdog answers; and why.
            NodeError: the node failed.

        """
        self._link.open()
        self.ended_by = Outcome.COMPLETE
        self._grace = limits.grace_seconds if limits else GRACE_SECONDS
        if not self._guard.arm(self._link.socket, seconds + self._grace):
            raise MonitorRefused(self._link.node.addr, "watchdog", "no watchdog answers, so there is no burst")
        self._first_mark, mark = self._marks, self._next_mark()
        count = [_COUNT] if self._counts else []
        self._send(self._link.pack(*count, ("MONITOR",), (self._marker, mark)))
        self._rest = b""
        data, found = self._read_to(mark)
        if count:
            [reply] = replies.split(data, 1)
            self._served = replies.served(reply)
            self._counts = not reply.startswith(b"-")
        self._since, self._rest = found.time, data[found.end :]
        self.active = True

    def take(self, seconds: float, limits: Limits, *, leave: bool, nap: float = 0.0) -> Slice:
        """Everything from the last mark to a new one set `seconds` from now, or earlier where a limit says so.

        Args:
            seconds: how long to wait before the new mark.
            limits: stop before that when the stream passes one of these.
            leave: end the session with RESET (or by closing) after the mark.
            nap: let a slow stream gather for so many seconds between reads.

        Raises:
            NodeError: the node failed; what was read since the last mark is lost, and was not observed.

        """
        self._grace = limits.grace_seconds
        if self._tap is not None:
            if leave:
                self._tap.end()
            else:
                self._tap.resume(self._rest)
        self._guard.extend(seconds + self._grace)
        chunks, outcome = self._gather(seconds, limits, nap)
        sent, mark = self._clock(), self._next_mark()
        leave = leave or outcome is not Outcome.COMPLETE or not self._guard.healthy
        gathered = sum(map(len, chunks))
        if leave:
            self._untap()
        if gathered > HARD_LIMIT_BYTES:
            return self._cut(b"".join(chunks))
        self._send(self._link.pack((self._marker, mark)) + (self._farewell() if leave else b""))
        self._rest = b"".join(chunks)
        try:
            data, found = self._read_to(mark)
        except _TooMuchError as overflow:
            return self._cut(overflow.data)
        lag = self._clock() - sent
        if outcome is Outcome.COMPLETE and lag > self._grace and len(data) - gathered > LAG_LIMIT_BYTES:
            outcome = Outcome.LAG
        since, self._since, self._rest = self._since, found.time, data[found.end :]
        served = None
        if leave:
            served = self._leave()
            outcome = outcome if self.ended_by is Outcome.COMPLETE else self.ended_by
        body = data[: found.start]
        # What is ours is no load: mark and farewell (INFO) of a burst of 2 ms would look like a stream of 1 MB/s.
        return Slice(body, since, found.time, body.count(b"\n"), len(body), lag, outcome, served)

    def leave(self) -> None:
        """End the session now and drop what came since the last mark.

        Raises:
            NodeError: the node failed.

        """
        self.take(0.0, Limits(1 << 30, HARD_LIMIT_BYTES, self._grace), leave=True)

    def close(self) -> None:
        """End the session the hard way. Never raises."""
        self.active = False
        self._untap()
        self._rest = b""
        self._link.close()
        self._disarm()

    def _gather(self, seconds: float, limits: Limits, nap: float) -> tuple[list[bytes], Outcome]:
        """Read until the time is up or a limit trips."""
        chunks, size, events = [self._rest], len(self._rest), self._rest.count(b"\n")
        until = self._clock() + seconds
        sock = self._link.socket
        while (left := until - self._clock()) > 0:
            chunk = self._receive(max(left, 0.0005))
            if chunk is None:
                continue
            chunks.append(chunk)
            size += len(chunk)
            events += chunk.count(b"\n")
            if size > limits.bytes:
                return chunks, Outcome.BYTES
            if events > limits.events:
                return chunks, Outcome.EVENTS
            if nap and (left := until - self._clock()) > 0:
                time.sleep(min(left, nap))
        sock.settimeout(MARK_TIMEOUT)
        return chunks, Outcome.COMPLETE

    def _read_to(self, mark: bytes) -> tuple[bytes, Mark]:
        """Read on until both the mark's line and its reply are there; while we do, the guard is told that we live."""
        data, searched = self._rest, 0
        until = self._clock() + MARK_TIMEOUT
        while True:
            at = replies.find_mark(data, mark, searched, self._marker)
            if at >= 0 and (found := replies.mark_at(data, mark, at, self._marker)) is not None:
                return data, found
            if self._marker is Marker.PING and replies.refuses_ping(data, searched):
                self._marker = Marker.INFO
                self.close()
                raise NodeError(self._link.node.addr, "MONITOR", DownReason.PROTOCOL, "PING is refused (MISCONF)")
            if not self.active:
                self._check_opening(data)
            if len(data) > HARD_LIMIT_BYTES:
                raise _TooMuchError(data)
            searched = at if at >= 0 else max(0, len(data) - 2 * len(mark))
            left = until - self._clock()
            if left <= 0:
                self.close()
                self.ended_by = Outcome.TIME
                raise NodeError(self._link.node.addr, "MONITOR", DownReason.TIMEOUT, "the stream fell silent")
            chunk = self._receive(min(left, GRACE_SECONDS / 2))
            if chunk is None:
                self._guard.extend(self._grace)
            else:
                data += chunk

    def _check_opening(self, data: bytes) -> None:
        """Raise what the reply to MONITOR says, if that is an error."""
        ahead = 1 if self._counts else 0
        opening = replies.split(data, ahead + 1)
        if len(opening) > ahead and opening[ahead].startswith(b"-"):
            self.close()
            raise replies.refusal(self._link.node.addr, opening[ahead])

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
            raise self._broken(DownReason.CLOSED)
        if self._tap is not None and self.active:
            self._tap.feed(chunk)
        return chunk

    def _untap(self) -> None:
        """Whoever must see everything sees no more."""
        if self._tap is not None:
            self._tap.end()

    def _send(self, data: bytes) -> None:
        try:
            self._link.socket.settimeout(MARK_TIMEOUT)
            self._link.socket.sendall(data)
        except OSError as error:
            raise self._broken(DownReason.TIMEOUT if isinstance(error, TimeoutError) else DownReason.CLOSED) from None

    def _broken(self, reason: DownReason) -> NodeError:
        """The connection has ended under us: find out by whom, and clean up."""
        reaped = self._link.was_reaped
        self.close()
        if self.ended_by is not Outcome.KILLED:
            self.ended_by = Outcome.BUFFER if reaped else Outcome.ERROR
        return NodeError(self._link.node.addr, "MONITOR", reason, "the server closed the connection")

    def _farewell(self) -> bytes:
        """RESET drops the authentication and the name as well: ask for them back in the same write."""
        if not self._can_reset:
            return b""
        return self._link.pack(("RESET",), *self._greeting())

    def _greeting(self) -> list[tuple[str, ...]]:
        authenticate = [("AUTH", *self._link.authentication)] if self._link.authentication else []
        return [*authenticate, ("CLIENT", "SETNAME", CLIENT_NAME), *([_COUNT] if self._counts else [])]

    def _leave(self) -> tuple[int, int] | None:
        """Read the replies to the farewell; a server without RESET, or an odd answer, is closed on.

        Returns the server's counts of commands before and after the session, without ours.
        """
        self.active = False
        if not self._can_reset:
            self.close()
            return None
        greeting = self._greeting()
        wanted = 1 + len(greeting)
        data, until = self._rest, self._clock() + MARK_TIMEOUT
        while len(answers := replies.from_reset(data, wanted)) < wanted:
            if not answers and replies.has_error(data):
                # RESET is renamed or forbidden here: from now on a session ends with its connection.
                self._can_reset = False
                break
            if len(data) > HARD_LIMIT_BYTES or self._clock() > until:
                break
            data += self._receive(GRACE_SECONDS / 2) or b""
            self._guard.extend(self._grace)
        self._rest = b""
        self._disarm()
        # A name may be refused; going on without authentication would not work.
        refused = self._link.authentication and len(answers) > 1 and answers[1].startswith(b"-")
        if len(answers) < wanted or refused or self.ended_by is Outcome.KILLED:
            self.close()
            return None
        after = replies.served(answers[-1]) if self._counts else None
        # Ours in between: INFO, MONITOR, the marks, RESET, the greeting; its INFO does not count itself yet.
        ours = 2 + (self._marks - self._first_mark) + len(greeting)
        return (self._served, after - ours) if after is not None and self._served is not None else None

    def _disarm(self) -> None:
        if self._guard.disarm():
            self.ended_by = Outcome.KILLED

    def _cut(self, data: bytes) -> Slice:
        """End a slice whose rest is not worth reading: it was observed up to the line that was too much."""
        since = self._since
        self.close()
        end = max(since, replies.last_stamp(data) or since)
        return Slice(data, since, end, data.count(b"\n"), len(data), 0.0, Outcome.BYTES)

    def _next_mark(self) -> bytes:
        self._marks += 1
        return b"%s:%d" % (self._token, self._marks)


class _TooMuchError(Exception):
    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data
