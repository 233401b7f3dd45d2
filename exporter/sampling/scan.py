"""Walks through the keys of one node in small steps: a link in, keys and replies out, at a bounded cost to the server.

Every step is measured on the server's own clock: `TIME` stands before and after its commands in the same write, and the
server runs what it has read in one go. From that follow the size of the next step (a mean of `keyspace.step` of the
server's time) and the pause after it (`keyspace.server_share`). What a step costs us is paced, too, by a `Pace` that
all nodes of this process share.

SCAN and MEMORY USAGE count as neither hit nor miss and leave LRU and LFU alone, on Redis 6.2 to 8.10 and Valkey.
"""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

import redis

from exporter.errors import ScanRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exporter.config import Keyspace
    from exporter.link import Link, OwnTraffic
    from exporter.snapshot import Node

Command = tuple[str | bytes | int, ...]

CALL_SECONDS = 25e-6
"""What a round trip costs the server beside its commands: one read, one write."""
BATCH_BYTES = 12_000
"""The server reads 16 KiB at a time: a batch below that is run in one go, and measured in one go."""
COMMAND_BYTES = 40
FEWEST, MOST = 5, 300
OUTLIER = 3.0
"""A step that took longer than this many typical ones was interrupted."""
_DB_KEYS = re.compile(rb"(?m)^db(\d+):keys=(\d+)")


class Pace:
    """Shares a part of one core among all who scan: what one uses delays the next. Thread-safe."""

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._free_at = 0.0
        self._lock = threading.Lock()

    def used(self, seconds: float) -> float:
        """`seconds` of CPU time were used; returns how long to wait before the next step."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + seconds / self._share
            return self._free_at - now


class _Cost:
    """What one unit of work typically costs the server: a running median.

    Where the host is busy the server is often interrupted in the middle of a step. That is neither the step's doing nor
    a reason to make the next one smaller.
    """

    def __init__(self) -> None:
        self._seconds = 2e-6

    def learn(self, units: int, seconds: float) -> float:
        """A step of `units` took `seconds`; returns how much of that is taken for the step's own."""
        self._seconds *= 1.05 if seconds > self._seconds * units else 1 / 1.05
        return min(seconds, OUTLIER * self._seconds * units)

    def units(self, seconds: float) -> int:
        """How many units the server does in `seconds`."""
        return min(MOST, max(FEWEST, int(seconds / self._seconds)))


class Scanner:
    """The keys of one node, on a link of its own. Belongs to one thread."""

    def __init__(self, link: Link, own: OwnTraffic, settings: Keyspace, pace: Pace) -> None:
        self.own = own
        self.server_seconds = 0.0
        self.commands = 0
        self._link = link
        self._settings = settings
        self._pace = pace
        self._scan_cost, self._ask_cost = _Cost(), _Cost()
        self._db = 0
        self._owed = 0.0
        self._sent = 0
        self._cpu = time.thread_time()

    @property
    def node(self) -> Node:
        """The node whose keys these are."""
        return self._link.node

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    def pause(self, commands_per_second: float) -> float:
        """How long to wait so that neither the server nor this process exceeds its share, nor we this many commands."""
        owed, self._owed = self._owed, 0.0
        sent, self._sent = self._sent, 0
        now = time.thread_time()
        used, self._cpu = max(0.0, now - self._cpu), now
        return max(owed / self._settings.server_share - owed, self._pace.used(used), sent / commands_per_second)

    def resume(self) -> None:
        """A step begins: what this thread did for others since `pause` is not ours."""
        self._cpu = time.thread_time()

    def sizes(self) -> dict[int, int]:
        """How many keys each database has."""
        try:
            text = self._link.call("INFO", "keyspace")
        except redis.ResponseError as refusal:
            raise self._refused("INFO", refusal) from None
        return {int(db): int(keys) for db, keys in _DB_KEYS.findall(text if isinstance(text, bytes) else b"")}

    def scan(self, db: int, cursor: bytes) -> tuple[bytes, list[bytes]]:
        """One SCAN: the next cursor (`0` at the end) and some keys.

        Raises:
            ScanRefused: this user may not, or the server does not know it.
            NodeError: the node cannot be used.

        """
        count = self._scan_cost.units(self._settings.step)
        [reply], seconds = self._timed(db, [("SCAN", cursor, "COUNT", count)])
        if isinstance(reply, redis.ResponseError):
            raise self._refused("SCAN", reply)
        self._took(self._scan_cost.learn(count, seconds))
        cursor, keys = reply
        return cursor, keys

    def batches(self, keys: Sequence[bytes], probes: int = 1) -> Iterator[list[bytes]]:
        """Cut keys into batches that the server answers within a step, `probes` commands for each key."""
        batch: list[bytes] = []
        size, most = 0, max(1, self._ask_cost.units(self._settings.step) // probes)
        for key in keys:
            cost = (len(key) + COMMAND_BYTES) * probes
            if batch and (len(batch) >= most or size + cost > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(key)
            size += cost
        if batch:
            yield batch

    def ask(self, db: int, commands: Sequence[Command]) -> list[Any]:
        """The replies to commands about keys of one database; refusals stand among them as exceptions."""
        replies, seconds = self._timed(db, commands)
        self._took(self._ask_cost.learn(len(commands), seconds))
        return replies

    def _timed(self, db: int, commands: Sequence[Command]) -> tuple[list[Any], float]:
        """Replies, and the seconds that the server needed for them.

        On a unix socket MONITOR shows all clients alike: there the commands go as one transaction that opens with our
        token, which tells them from the application's.
        """
        if not self._link.is_open:
            self._link.open()
            self._db = 0
        select: list[Command] = [("SELECT", db)] if db != self._db else []
        framed = list(commands)
        if unix := self._link.node.addr.startswith("unix:"):
            framed = [("MULTI",), ("PING", self.own.token), *commands, ("EXEC",)]
        began = time.perf_counter()
        replies = self._link.pipeline([*select, ("TIME",), *framed, ("TIME",)])
        elapsed = time.perf_counter() - began
        if select:
            selected, *replies = replies
            if isinstance(selected, redis.ResponseError):
                raise self._refused("SELECT", selected)
            self._db = db
        before, *replies, after = replies
        self.commands += len(commands)
        self._sent += len(commands)
        if unix:
            replies = _transaction(replies, len(commands))
        seconds = _between(before, after)
        seconds = elapsed if seconds is None else seconds  # without the right to TIME: what we saw, which is more
        return replies, seconds

    def _took(self, seconds: float) -> None:
        self._owed += seconds + CALL_SECONDS
        self.server_seconds += seconds + CALL_SECONDS

    def _refused(self, act: str, refusal: redis.ResponseError) -> ScanRefused:
        denied = isinstance(refusal, redis.exceptions.NoPermissionError)
        return ScanRefused(self._link.node.addr, act, "denied" if denied else "unsupported")


def _transaction(replies: Sequence[Any], count: int) -> list[Any]:
    """The replies inside a transaction's EXEC, or for each command why there are none."""
    executed = replies[-1]
    if isinstance(executed, list) and len(executed) == count + 1:
        return executed[1:]
    fault = next((one for one in replies if isinstance(one, redis.ResponseError)), redis.ResponseError("no reply"))
    return [fault] * count


def _between(before: Any, after: Any) -> float | None:
    """Seconds between two replies to TIME, None if they are none."""
    try:
        start, end = (int(reply[0]) + int(reply[1]) / 1e6 for reply in (before, after))
    except (TypeError, ValueError, IndexError):
        return None
    return max(0.0, end - start)
