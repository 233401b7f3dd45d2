"""A lease on one server: of several processes that want the same thing, one has it, for a bounded time.

The lease is a key that only its holder renews and removes: WATCH, compare, and act in a transaction that fails where
the key has changed meanwhile. (A script would do the same, but its inner commands have no address in MONITOR, and would
count as somebody's traffic.) A lease saves work and decides nothing else: after a failover two may believe for a moment
that they hold it, so whatever they do must be right anyway. The holder's token is its fencing value: what it leaves
behind for its successor is written only while it still holds.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

import redis

from exporter.errors import ExporterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.link import Link, OwnTraffic

RENEWALS = 3
"""How often a lease is renewed within its time."""
MARGIN = 0.9
"""The share of its time after which we count it as gone, whatever the server's clock says."""


class LeaseRefused(ExporterError):
    """The server does not let us keep a lease: the user may not write this key."""


class Lease:
    """One lease on one link, which belongs to it. `acquire` and `release` are for one thread, `held` for any."""

    def __init__(
        self, link: Link, own: OwnTraffic, name: str, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # The braces keep the lease and what belongs to it in one slot of a cluster.
        self._key = f"{{{name}}}:lease"
        self._left = f"{{{name}}}:left"
        self._link = link
        self._own = own
        self._seconds = seconds
        self._clock = clock
        self._token = secrets.token_hex(16)
        self._until = 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> bool:
        """Whether we may still act, by our own clock: a process that slept too long finds out here."""
        return self._clock() < self._until

    def acquire(self) -> bool:
        """Take the lease if nobody has it, and renew it from now on. Raises NodeError, LeaseRefused."""
        asked = self._clock()
        if self._ask("SET", self._key, self._token, "NX", "PX", self._milliseconds()) != b"OK":
            return False
        self._until = asked + MARGIN * self._seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, args=(self._ended,), name="lease", daemon=True)
        self._thread.start()
        return True

    def release(self) -> None:
        """Give it back, so that nobody has to wait for its end. Never raises."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(self._seconds)
            self._thread = None
        if self.held:
            with contextlib.suppress(ExporterError):
                self._if_mine(("DEL", self._key))
        self._until = 0.0
        with self._lock:
            self._link.close()

    def leave(self, text: str, seconds: float) -> None:
        """Leave a note for whoever holds the lease next; an empty one takes it away. Raises NodeError, LeaseRefused."""
        note = ("SET", self._left, text, "PX", max(1, int(1000 * seconds))) if text else ("DEL", self._left)
        self._if_mine(note)

    def left(self) -> str:
        """The note that was left, empty if there is none. Raises NodeError, LeaseRefused."""
        reply = self._ask("GET", self._left)
        return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(self._seconds / RENEWALS):
            asked = self._clock()
            try:
                mine = self._if_mine(("PEXPIRE", self._key, self._milliseconds()))
            except ExporterError:
                continue  # there are more tries before it ends
            if not mine or not self.held:
                self._until = 0.0
                return
            self._until = asked + MARGIN * self._seconds

    def _if_mine(self, command: tuple[str | int, ...]) -> bool:
        """Send a command if the lease is still ours at that moment; returns whether it was."""
        with self._lock:
            _, token = self._answers(("WATCH", self._key), ("GET", self._key))
            self._own.probed(int(token is not None), int(token is None))
            if token != self._token.encode():
                self._answers(("UNWATCH",))
                return False
            return self._answers(("MULTI",), command, ("EXEC",))[-1] is not None

    def _ask(self, *command: str | int) -> object:
        with self._lock:
            (reply,) = self._answers(command)
        if command[0] == "GET":
            self._own.probed(int(reply is not None), int(reply is None))
        return reply

    def _answers(self, *commands: tuple[str | int, ...]) -> list[Any]:
        """The replies to commands that go together. Raises NodeError, LeaseRefused."""
        replies = self._link.pipeline(commands)
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, redis.ResponseError):
                self._link.close()
                node, name = self._link.node, str(command[0])
                raise LeaseRefused(f"{node.addr}: {name} for a lease: {type(reply).__name__}")
        return replies

    def _milliseconds(self) -> int:
        return max(1, int(1000 * self._seconds))
