"""Frozen values that threads hand to each other, and the Board that holds the latest of each.

A writer publishes a whole new value; a reader sees the old one or the new one and never waits.
Rates are per second; times called `…_at` are on this process's monotonic clock, `window_end` on the server's.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from exporter.focus import Focus, FocusedKeys
from exporter.history import History
from exporter.serverstats import ServerStats
from exporter.warmth import Warmth

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One server: the target it belongs to and its `host:port` (or `unix:PATH`)."""

    target: str
    addr: str


class Source(StrEnum):
    """Where the hot-key figures of a node come from: the closed set of `redis_sampling_source_info{source}`."""

    MONITOR = "monitor"
    HOTKEYS = "hotkeys"
    LFU = "lfu"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class HotKey:
    """One key's estimated rates over the window, with its 95 % interval; `key` is the raw name."""

    db: int
    key: bytes
    rate: float
    low: float
    high: float
    share: float
    reads: float
    writes: float


@dataclass(frozen=True, slots=True)
class GroupRate:
    """Accesses per second of all keys of one group in one database; the rest is in `other`."""

    db: int
    group: str
    rate: float


@dataclass(frozen=True, slots=True)
class HotKeys:
    """What one node's window knows at `window_end`.

    `keys` are the most accessed first (up to 100), followed by those that are only recently hot.
    `labelled` are the keys that the label budget lets into Prometheus. `watched_ratio`: how much of its throughput the
    server keeps while it is watched; 1 where no slowdown is found. `canary_lag_seconds`: how long the last canary took
    until it was read in the stream, the rest of its slice included; None before the first.
    """

    window_end: float
    window_seconds: float
    observed_seconds: float
    accesses_per_second: float
    commands_per_second: float
    duty_ratio: float
    lag_seconds: float
    watched_ratio: float
    window_keys: int
    floor: float
    over_threshold: int
    keys: tuple[HotKey, ...]
    labelled: frozenset[tuple[int, bytes]]
    groups: tuple[GroupRate, ...]
    taken_at: float
    canary_lag_seconds: float | None = None

    def rates(self) -> dict[object, float]:
        """What is drawn over time: rates of keys as `(db, key)`, of groups as `(db, name)`, of the node as None."""
        found: dict[object, float] = {None: self.accesses_per_second}
        found |= {(one.db, one.group): one.rate for one in self.groups}
        found |= {(one.db, one.key): one.rate for one in self.keys}
        return found


@dataclass(frozen=True, slots=True)
class SamplingState:
    """Which source is in use on a node, and why."""

    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class NativeKey:
    """What a server itself says of one of its hot keys; `db` None where it does not say, figures None where unknown.

    `frequency` is the LFU counter (0 to 255): a rank and no rate.
    """

    db: int | None
    key: bytes
    accesses_per_second: float | None = None
    cpu_seconds_per_second: float | None = None
    network_bytes_per_second: float | None = None
    frequency: int | None = None


@dataclass(frozen=True, slots=True)
class NativeKeys:
    """Hot keys by another source than MONITOR, and why it is in use: hottest first, by all that is known of them.

    `labelled` are those that the label budget lets into Prometheus, with database 0 for an unknown one; `seconds` is
    the time that the figures are over, 0 where the server does not say.
    """

    source: Source
    reason: str
    keys: tuple[NativeKey, ...]
    labelled: frozenset[tuple[int, bytes]]
    seconds: float
    taken_at: float


@dataclass(frozen=True, slots=True)
class SamplingTotals:
    """What sampling has cost and seen since the start (all counters)."""

    observed_seconds: float = 0.0
    events: int = 0
    bytes: int = 0
    own_lines: int = 0
    skipped_lines: int = 0
    bursts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    skips: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    labels_suppressed: int = 0
    last_success: float | None = None


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What one published key is; None where unknown, `ttl_seconds` None where the key has no expiry."""

    type: str | None
    encoding: str | None
    slot: int | None
    memory_bytes: int | None
    ttl_seconds: float | None
    probed_at: float


@dataclass(frozen=True, slots=True)
class Enrichment:
    """Facts of the published keys of one node, by (db, key)."""

    facts: Mapping[tuple[int, bytes], KeyFacts]
    taken_at: float


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What one INFO told, reduced to what health, the governor and the metrics need.

    `down` is None while the node is up. `hit_ratio` maps `1m` and `5m` to a ratio without our own probes.
    `largest_output_buffer_bytes` is the most that the server lately held for any one client. `interval` is the time
    until the next probe. `tls_reason` says more where `down` is tls.
    """

    down: str | None
    detail: str
    role: str
    server: str
    version: str
    run_id: str
    latency_seconds: float | None
    uptime_seconds: float | None
    used_memory_bytes: int | None
    maxmemory_bytes: int | None
    total_memory_bytes: int | None
    maxmemory_policy: str
    ops_per_second: float
    input_bytes_per_second: float
    loading: bool
    failover: bool
    connected_clients: int | None
    evicted_keys: int | None
    hit_ratio: Mapping[str, float]
    server_limit_bytes: int
    largest_output_buffer_bytes: int
    last_success: float | None
    taken_at: float
    interval: float = 1.0
    tls_reason: str = ""


@dataclass(frozen=True, slots=True)
class GroupLife:
    """Remaining lives of some keys of a group: the share that expires, and percentiles (seconds) of those that do."""

    keys: int
    expiring_ratio: float
    p10: float | None
    p50: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """How many keys of one database belong to a group and how much memory (bytes) they take, with 95 % intervals.

    Memory is None where it may not be asked for, `life` None where no key was.
    """

    db: int
    group: str
    keys: float
    keys_low: float
    keys_high: float
    memory: float | None
    memory_low: float | None
    memory_high: float | None
    life: GroupLife | None


@dataclass(frozen=True, slots=True)
class BigKey:
    """One of the largest keys; `key` is the raw name."""

    db: int
    key: bytes
    type: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Keyspace:
    """What a look over a node's keys has found; its oldest observation is of `began` (seconds since 1970).

    `seconds` is how long the last finished look took, 0 before the first.
    """

    groups: tuple[KeyGroup, ...]
    bigkeys: tuple[BigKey, ...]
    keys_seen: int
    sampled_ratio: float
    began: float
    valid_until: float
    taken_at: float
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class KeyspaceState:
    """What the keyspace sampler of a node does: looking, complete, sampled, or why it cannot."""

    reason: str
    progress_ratio: float
    looks: int
    server_seconds: float
    taken_at: float


@dataclass(frozen=True, slots=True)
class Membership:
    """What a node is a part of: its shard, and the group that replicates it; empty where there is no such thing."""

    shard: str
    group: str


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificates of the way to one server (a node, or a Sentinel); expiries in seconds since 1970.

    `not_after` maps server (what it presented when it was last looked at), client and ca (our files) to when the first
    certificate of each expires. `version` and `cipher` are what was negotiated, empty before the first handshake.
    """

    not_after: Mapping[str, float]
    version: str
    cipher: str
    verified: bool


Value = (
    HotKeys
    | Membership
    | SamplingState
    | SamplingTotals
    | Enrichment
    | NodeStatus
    | ServerStats
    | Keyspace
    | KeyspaceState
    | NativeKeys
    | FocusedKeys
)
V = TypeVar("V", bound=Value)


class Board:
    """The latest snapshot of each kind for each node. Publishing is one assignment; reading never blocks.

    `warmth` has the states of the warming jobs, `history` the last hour of each node's rates, `focus` the keys that
    somebody looks at closely.
    """

    def __init__(self, nodes: tuple[Node, ...] = ()) -> None:
        self.warmth = Warmth()
        self.history = History()
        self.focus: Focus[Node] = Focus()
        self._nodes = dict.fromkeys(nodes)  # in their order, and quick to ask: many nodes publish all the time
        self._scraped: dict[Node, float] = {}
        self._latest: dict[tuple[Node, type], Value] = {}
        self._certificates: dict[Node, Certificates] = {}
        self._lock = threading.Lock()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All known nodes, in the order of the configuration."""
        return tuple(self._nodes)

    def add(self, node: Node) -> None:
        """A node is known from now on, even before anything was published for it."""
        with self._lock:
            self._nodes = {**self._nodes, node: None}

    def keep(self, wanted: Callable[[Node], bool]) -> None:
        """Forget every node that is not `wanted`, and all that was published for it."""
        with self._lock:
            self._nodes = dict.fromkeys(filter(wanted, self._nodes))
            self._latest = {key: value for key, value in self._latest.items() if key[0] in self._nodes}
            self._scraped = {node: at for node, at in self._scraped.items() if node in self._nodes}
            self.history.keep(lambda node: node in self._nodes)
            self._certificates = {node: found for node, found in self._certificates.items() if wanted(node)}

    def forget(self, nodes: Collection[Node]) -> None:
        """Forget these nodes, and all that was published for them."""
        self.keep(lambda node: node not in nodes)

    def withdraw(self, node: Node, kind: type[V]) -> None:
        """Take back what was published of this kind: it is not about what people take it for any more."""
        with self._lock:
            self._latest.pop((node, kind), None)

    def publish(self, node: Node, value: Value) -> None:
        """Make `value` the latest of its kind for `node`. What a forgotten node publishes late is dropped."""
        with self._lock:
            if node not in self._nodes:
                return
            self._latest[node, type(value)] = value
            if isinstance(value, HotKeys):
                self.history.note(node, value.taken_at, value.rates)

    @property
    def certificates(self) -> Mapping[Node, Certificates]:
        """The certificates of every server that is reached over TLS; Sentinels are among them, which are no nodes."""
        return self._certificates

    def certify(self, node: Node, certificates: Certificates) -> None:
        """Note the certificates of the way to a server."""
        with self._lock:
            if any(known.target == node.target for known in self._nodes):
                self._certificates = {**self._certificates, node: certificates}

    def latest(self, node: Node, kind: type[V]) -> V | None:
        """The latest snapshot of one kind, or None before the first."""
        value = self._latest.get((node, kind))
        return value if isinstance(value, kind) else None

    def scraped(self, nodes: Iterable[Node], now: float) -> None:
        """Note that these nodes were read for Prometheus."""
        with self._lock:
            self._scraped |= dict.fromkeys(nodes, now)

    def scraped_at(self, node: Node) -> float | None:
        """When a node was last read for Prometheus, so that its probes can keep away from that moment."""
        return self._scraped.get(node)
