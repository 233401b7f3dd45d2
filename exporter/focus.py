"""Keys that somebody looks at closely: who asked for which comes in, and what is known of their callers goes out.

A key is in focus for a minute after somebody has asked for its details, and there are eight of them at most: the one
that was not asked for longest makes room. So what they cost is bounded, and without any they cost nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    DbKey = tuple[int, bytes]

MOST_KEYS = 8
LASTS_SECONDS = 60.0
"""How long a key stays in focus after it was last asked for."""
N = TypeVar("N", bound="Hashable")


@dataclass(frozen=True, slots=True)
class Part:
    """What one client, one command, or one client by one command does with a key; empty means all.

    `rate` is accesses per second over the time observed; `share` of all accesses to the key, with its 95 % interval.
    """

    client: bytes
    command: bytes
    rate: float
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Callers:
    """Who calls one key and how; `key` is the raw name. Each of the three lists has the largest parts first.

    `seen` are the accesses that were read, in `observed` seconds, which stand for `span` seconds.
    """

    db: int
    key: bytes
    rate: float
    seen: int
    observed: float
    span: float
    commands: tuple[Part, ...]
    clients: tuple[Part, ...]
    pairs: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class FocusedKeys:
    """What one node's sampler has found out about the keys in focus, at `taken_at` (this process's clock)."""

    keys: tuple[Callers, ...]
    taken_at: float

    def of(self, db: int, key: bytes) -> Callers | None:
        """What is known of one of them."""
        return next((one for one in self.keys if (one.db, one.key) == (db, key)), None)


@dataclass(frozen=True, slots=True)
class Client:
    """What CLIENT LIST says of a connection."""

    name: str
    user: str


@dataclass(slots=True)
class _Attention:
    since: float
    asked: float


class Focus(Generic[N]):
    """Which keys of which nodes are in focus. For any thread; times are of this process's clock."""

    def __init__(self, most: int = MOST_KEYS, lasts: float = LASTS_SECONDS) -> None:
        self._most = most
        self._lasts = lasts
        self._keys: dict[tuple[N, DbKey], _Attention] = {}
        self._clients: dict[N, Mapping[bytes, Client]] = {}
        self._lock = threading.Lock()

    def ask(self, node: N, key: DbKey, now: float) -> float:
        """Somebody wants to know: the key is in focus. Returns since when it has been."""
        with self._lock:
            self._expire(now)
            found = self._keys.pop((node, key), None) or _Attention(now, now)
            found.asked = now
            while len(self._keys) >= self._most:
                self._keys.pop(next(iter(self._keys)))  # they stand in the order in which they were last asked for
            self._keys[node, key] = found
            return found.since

    def wanted(self, node: N, now: float) -> frozenset[DbKey]:
        """The keys of one node that are in focus now."""
        if not self._keys:
            return frozenset()
        with self._lock:
            self._expire(now)
            return frozenset(key for owner, key in self._keys if owner == node)

    def introduce(self, node: N, clients: Mapping[bytes, Client]) -> None:
        """What a server says of the connections that it has, by their addresses as MONITOR writes them."""
        with self._lock:
            self._clients[node] = clients

    def client(self, node: N, address: bytes) -> Client | None:
        """What is known of a connection."""
        return self._clients.get(node, {}).get(address)

    def _expire(self, now: float) -> None:
        self._keys = {one: last for one, last in self._keys.items() if now - last.asked <= self._lasts}
        nodes = {node for node, _ in self._keys}
        if not nodes >= self._clients.keys():
            self._clients = {node: clients for node, clients in self._clients.items() if node in nodes}
