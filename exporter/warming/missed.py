"""Keys that were asked for in vain: the server's key-miss notifications in, the most missed keys out.

Only where `notify-keyspace-events` has them switched on (`Em`): doing that is the operator's decision, since it costs a
server under misses a few percent. Half of every count is forgotten each minute.
"""

from __future__ import annotations

import select
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import redis

from exporter.errors import DownReason, NodeError
from exporter.log import log
from exporter.topology import Role

if TYPE_CHECKING:
    from exporter.link import Link
    from exporter.snapshot import Node
    from exporter.topology import Topology
    from exporter.warming.selection import Ranked

MOST_KEYS = 20_000
HALF_LIFE_SECONDS = 60.0
RETRY_SECONDS = 30.0
FOLLOW_SECONDS = 0.5
"""How soon a new primary is listened to."""
LOST_SECONDS = 2.0
MOST_AT_ONCE = 1000
_PATTERN = "__keyevent@*__:keymiss"


class Missed:
    """The most missed keys of one target, on whichever nodes are primaries. `run` is the body of a guarded thread."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._links: dict[Node, Link] = {}
        self._tried: dict[Node, float] = {}
        self._counts: Counter[tuple[int, bytes]] = Counter()
        self._lock = threading.Lock()
        self._enabled: dict[Node, bool] = {}

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
        faded_at = followed_at = time.monotonic()
        try:
            self._follow(followed_at)
            while not stop.is_set():
                self._hear(stop)
                now = time.monotonic()
                if now - followed_at >= FOLLOW_SECONDS:
                    followed_at = now
                    self._follow(now)
                if now - faded_at > HALF_LIFE_SECONDS:
                    faded_at = now
                    self.fade()
        finally:
            for link in self._links.values():
                link.close()
            self._links.clear()

    def _follow(self, now: float) -> None:
        """Listen to exactly the nodes that are primaries now, as far as they let us."""
        primaries = [
            node
            for node in self._topology.nodes()
            if (member := self._topology.member(node)) is not None and member.role is not Role.REPLICA
        ]
        for node in self._links.keys() - set(primaries):
            self._links.pop(node).close()
        self._tried = {node: at for node, at in self._tried.items() if node in primaries}
        self._enabled = {node: enabled for node, enabled in self._enabled.items() if node in primaries}
        for node in primaries:
            if node in self._links or now - self._tried.get(node, float("-inf")) < RETRY_SECONDS:
                continue
            link = self._topology.link(node)
            try:
                if self._switched_on(link):
                    self._subscribe(link)
                    self._links[node] = link
                    continue
                self._tried[node] = now  # somebody may switch them on, but not every second
            except NodeError as fault:
                log.debug("warming.missed_lost", "key-miss notifications are not heard", addr=fault.addr)
                self._tried[node] = now - RETRY_SECONDS + LOST_SECONDS
            link.close()

    def _hear(self, stop: threading.Event) -> None:
        """Count what comes within a while."""
        if not self._links:
            stop.wait(FOLLOW_SECONDS)
            return
        select.select([link.socket for link in self._links.values()], [], [], FOLLOW_SECONDS)
        for node, link in tuple(self._links.items()):
            try:
                for _ in range(MOST_AT_ONCE):
                    message = link.receive(0)
                    if message is None:
                        break
                    if isinstance(message, list) and len(message) == 4 and message[0] == b"pmessage":
                        self.count(message[2], message[3])
            except NodeError as fault:
                log.debug("warming.missed_lost", "key-miss notifications are not heard", addr=fault.addr)
                del self._links[node]

    def _switched_on(self, link: Link) -> bool:
        try:
            reply = link.call("CONFIG", "GET", "notify-keyspace-events")
            flags = reply[1].decode("ascii", "replace") if isinstance(reply, list) and len(reply) == 2 else ""
            enabled = "m" in flags and "E" in flags
        except redis.ResponseError:
            enabled = True  # it may not say; then what comes will tell
        if enabled != self._enabled.get(link.node):
            self._enabled[link.node] = enabled
            if not enabled:
                log.warning("warming.keymiss_off", "missed keys are unknown: CONFIG SET notify-keyspace-events Em",
                            addr=link.node.addr)  # fmt: skip
        return enabled

    @staticmethod
    def _subscribe(link: Link) -> None:
        try:
            link.call("PSUBSCRIBE", _PATTERN)
        except redis.ResponseError:
            raise NodeError(link.node.addr, "PSUBSCRIBE", DownReason.NOPERM) from None
