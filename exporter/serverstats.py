"""What a server says of itself, as frozen values: parsed by `stats`, shown by `views`.

Names are decoded and cut, numbers are as the server gives them (its units stand in the field's name). Every collection
is bounded by whoever fills it. None is what this server does not say, or does not let us ask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


def nothing() -> Mapping[str, T]:
    """An empty mapping that nobody can fill."""
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SlowCalls:
    """The calls of one command that the slow log kept (Redis 8.8 and newer)."""

    count: float
    milliseconds: float
    longest_milliseconds: float


@dataclass(frozen=True, slots=True)
class CommandStats:
    """One line of INFO commandstats; `rejected` and `failed` exist since Redis 6.2."""

    calls: float
    usec: float
    rejected: float | None = None
    failed: float | None = None
    slow: SlowCalls | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica as its master sees it; `lag` is None before its first acknowledgement."""

    ip: str
    port: str
    state: str
    offset: float
    lag: float | None


@dataclass(frozen=True, slots=True)
class MasterLink:
    """The master as its replica sees it."""

    host: str
    port: str
    up: bool
    last_io_seconds_ago: float | None
    sync_in_progress: float | None
    offset: float | None


@dataclass(frozen=True, slots=True)
class Engine:
    """A scripting engine (Valkey 9.1 and newer)."""

    name: str
    module: str
    abi_version: str
    used_memory: float
    memory_overhead: float


@dataclass(frozen=True, slots=True)
class SentinelMaster:
    """A master as INFO of a Sentinel lists it."""

    name: str
    address: str
    status: str
    replicas: float
    sentinels: float


@dataclass(frozen=True, slots=True)
class SentinelDetails:
    """What the SENTINEL commands add; `message` is one of CKQUORUM's sentences, `settings` are by Sentinel's names."""

    name: str
    address: str
    quorum: bool
    message: str
    settings: Mapping[str, float]
    ok_sentinels: int
    ok_replicas: int


@dataclass(frozen=True, slots=True)
class BufferLimit:
    """One class of `client-output-buffer-limit`: bytes, bytes, seconds."""

    client_class: str
    hard: float
    soft: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What CONFIG GET says: numbers by their CONFIG names, and the output buffers."""

    values: Mapping[str, float]
    buffers: tuple[BufferLimit, ...]


@dataclass(frozen=True, slots=True)
class Slowlog:
    """How many entries the slow log holds, and what the last one was."""

    length: float
    last_id: float = 0.0
    last_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LatencySpike:
    """The last spike of one event: when (seconds since 1970) and how long."""

    event: str
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """LATENCY HISTOGRAM of one command: calls, and `(microseconds, calls up to that)` ascending."""

    calls: int
    buckets: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """How collecting went since the start: connects and collections in seconds."""

    count: int = 0
    seconds: float = 0.0
    last_seconds: float = 0.0
    connect_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ServerStats:
    """One reading of INFO, and the latest answers to what is asked less often.

    `info` are INFO's plain fields, as text. `databases` maps `db0` to its numbers, `latencies` a command to the
    microseconds at each percentile. `started_at` is in seconds since 1970, `taken_at` on this process's monotonic
    clock; `interval` is the time until the next reading. `slots` are the busiest slots of a cluster node, each with its
    numbers by the server's names.
    """

    info: Mapping[str, str]
    taken_at: float
    interval: float
    started_at: float | None = None
    databases: Mapping[str, Mapping[str, float]] = field(default_factory=nothing)
    commands: Mapping[str, CommandStats] = field(default_factory=nothing)
    errors: Mapping[str, float] = field(default_factory=nothing)
    latencies: Mapping[str, Mapping[str, float]] = field(default_factory=nothing)
    replicas: tuple[Replica, ...] = ()
    masters: tuple[MasterLink, ...] = ()
    engines: tuple[Engine, ...] = ()
    sentinel_masters: tuple[SentinelMaster, ...] = ()
    sentinel_details: tuple[SentinelDetails, ...] = ()
    limits: Limits | None = None
    cluster: Mapping[str, str] = field(default_factory=nothing)
    slots: Mapping[str, Mapping[str, float]] = field(default_factory=nothing)
    slowlog: Slowlog | None = None
    commandlog: Mapping[str, float] = field(default_factory=nothing)
    spikes: tuple[LatencySpike, ...] = ()
    histograms: Mapping[str, Histogram] = field(default_factory=nothing)
    collection: Collection = field(default_factory=Collection)
