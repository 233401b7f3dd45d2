"""Keys that were asked for in vain: the server's key-miss notifications in, the most missed keys out.

Only where `notify-keyspace-events` has them switched on (`Em`): doing that is the operator's decision, since it costs a
server under misses a few percent. Half of every count is forgotten each minute.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import redis

from exporter.errors import DownReason, NodeError
from exporter.log import log

if TYPE_CHECKING:
    from exporter.link import Link
    from exporter.warming.selection import Ranked

MOST_KEYS = 20_000
HALF_LIFE_SECONDS = 60.0
RETRY_SECONDS = 30.0
_PATTERN = "__keyevent@*__:keymiss"


class Missed:
    """The most missed keys of one node. `run` is the body of a guarded thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._counts: Counter[tuple[int, bytes]] = Counter()
        self._lock = threading.Lock()
        self.enabled: bool | None = None

    def top(self, db: int, most: int = 10_000) -> list[Ranked]:
        """The most missed keys of a database, with their counts."""
        with self._lock:
            return [(at, key, float(count)) for (at, key), count in self._counts.most_common(most) if at == db]

    def count(self, channel: bytes, key: bytes) -> None:
        """One notification."""
        place = channel.removeprefix(b"__keyevent@").partition(b"__")[0]
        if not place.isdigit():
            return
        with self._lock:
            self._counts[int(place), key] += 1
            if len(self._counts) > MOST_KEYS:
                self._counts = Counter(dict(self._counts.most_common(MOST_KEYS // 2)))

    def fade(self) -> None:
        """Forget half of everything."""
        with self._lock:
            self._counts = Counter({key: count // 2 for key, count in self._counts.items() if count > 1})

    def run(self, stop: threading.Event) -> None:
        """Listen until `stop`."""
        while not stop.is_set():
            try:
                if self._switched_on():
                    self._listen(stop)
                    continue
            except NodeError as fault:
                log.debug("warming.missed_lost", "key-miss notifications are not heard", addr=fault.addr)
            self._link.close()
            stop.wait(RETRY_SECONDS)
        self._link.close()

    def _switched_on(self) -> bool:
        try:
            reply = self._link.call("CONFIG", "GET", "notify-keyspace-events")
            flags = reply[1].decode("ascii", "replace") if isinstance(reply, list) and len(reply) == 2 else ""
            enabled = "m" in flags and "E" in flags
        except redis.ResponseError:
            enabled = True  # it may not say; then what comes will tell
        if enabled != self.enabled:
            self.enabled = enabled
            if not enabled:
                log.warning("warming.keymiss_off", "missed keys are unknown: CONFIG SET notify-keyspace-events Em",
                            addr=self._link.node.addr)  # fmt: skip
        return enabled

    def _listen(self, stop: threading.Event) -> None:
        try:
            self._link.call("PSUBSCRIBE", _PATTERN)
        except redis.ResponseError:
            raise NodeError(self._link.node.addr, "PSUBSCRIBE", DownReason.NOPERM) from None
        faded_at = time.monotonic()
        while not stop.is_set():
            message = self._link.receive(1.0)
            if isinstance(message, list) and len(message) == 4 and message[0] == b"pmessage":
                self.count(message[2], message[3])
            if time.monotonic() - faded_at > HALF_LIFE_SECONDS:
                faded_at = time.monotonic()
                self.fade()
        with contextlib.suppress(NodeError):
            self._link.close()
