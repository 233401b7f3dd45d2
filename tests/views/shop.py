"""A Board as a shop's would be.

A busy cache that is sampled in bursts, a small queue that is observed in full, and a session store that is down.
Everything is fixed, so that answers can be compared with golden files.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.config import load
from exporter.keynames import KeyNames
from exporter.snapshot import (
    BigKey,
    Board,
    Enrichment,
    GroupLife,
    GroupRate,
    HotKey,
    HotKeys,
    KeyFacts,
    KeyGroup,
    Keyspace,
    KeyspaceState,
    Membership,
    NativeKey,
    NativeKeys,
    Node,
    NodeStatus,
    SamplingState,
    SamplingTotals,
    Source,
)
from exporter.views.reading import Moment

if TYPE_CHECKING:
    from exporter.config import Config

NOW = Moment(monotonic=10_000.0, wall=1_767_225_600.25)
CACHE = Node("cache", "10.0.0.1:6379")
QUEUE = Node("queue", "10.0.0.2:6379")
SESSIONS = Node("sessions", "10.0.0.3:6380")
NAMES = KeyNames()


def shop_config() -> Config:
    """Three targets with the default settings; the first has labels."""
    return with_targets(
        load(None, environ={}),
        {"name": "cache", "url": "redis://:pa55word@10.0.0.1:6379", "labels": {"team": "shop", "tier": 'gold "A"'}},
        {"name": "queue", "url": "redis://10.0.0.2:6379"},
        {"name": "sessions", "url": "rediss://10.0.0.3:6380"},
    )


def with_targets(config: Config, *targets: dict[str, object]) -> Config:
    """The configuration with other targets."""
    model = type(config.targets[0])
    return config.model_copy(update={"targets": tuple(model.model_validate(one) for one in targets)})


def shop_board() -> Board:
    """The Board at NOW."""
    board = Board((CACHE, QUEUE, SESSIONS))
    for value in (status(), hot_keys(), state(), totals(), facts(), keyspace(), looking(), native()):
        board.publish(CACHE, value)
    shard = Membership("3f1c9a0e", "3f1c9a0e")
    for value in (quiet_status(), quiet_keys(), SamplingState(Source.MONITOR, "full"), quiet_totals(), shard):
        board.publish(QUEUE, value)
    board.publish(SESSIONS, replace(status(), down="refused", detail="10.0.0.3:6380: connect: refused"))
    board.publish(SESSIONS, SamplingState(Source.NONE, "down"))
    board.publish(SESSIONS, SamplingTotals(skips={"down": 31}))
    return board


def hot_key(key: bytes, rate: float, total: float, *, writes: float = 0.0, error: float = 0.04, db: int = 0) -> HotKey:
    """A key with its interval `error` wide on each side."""
    return HotKey(
        db, key, rate, rate * (1 - error), rate * (1 + error), rate / total, rate * (1 - writes), rate * writes
    )


_CACHE_KEYS: tuple[tuple[bytes, float, float], ...] = (
    (b"flash-sale:banner", 38_211.4, 0.0),
    (b"product:8841:price", 12_904.25, 0.002),
    (b"product:8841:stock", 9_120.0, 0.35),
    (b"config:features", 7_733.5, 0.0),
    (b"session:0f3a9c1d", 4_102.0, 0.5),
    (b"cart:user:20441", 2_650.75, 0.61),
    (b"ratelimit:api:checkout", 2_214.0, 1.0),
    (b"product:1207:price", 1_406.5, 0.0),
    (b"home:recommendations:de", 988.0, 0.01),
    (b"stream:orders", 612.25, 0.97),
    (b"\xff\x00binary\\key", 344.0, 0.2),
    (b"<script>alert(1)</script>", 212.5, 0.0),
    ("schlüssel:größe".encode(), 120.0, 0.0),
    (b'quoted:"name"\nline', 61.0, 0.1),
    (b"product:" + b"0123456789" * 20, 33.0, 0.0),
    (b"lock:inventory", 7.125, 1.0),
    (b"once", 0.4, 0.0),
)


def hot_keys() -> HotKeys:
    """The busy cache's window: seen 1.7 % of the time."""
    total = 148_220.0
    keys = tuple(
        hot_key(key, rate, total, writes=writes, error=0.02 + 0.4 / (place + 6))
        for place, (key, rate, writes) in enumerate(reversed(_CACHE_KEYS))
    )[::-1]
    groups = ("flash-sale:*", "product:*:price", "product:*:stock", "config:*", "session:*", "cart:user:*", "other")
    return HotKeys(
        window_end=1_767_225_600.0,
        window_seconds=60.0,
        observed_seconds=1.0213,
        accesses_per_second=total,
        commands_per_second=131_402.5,
        duty_ratio=0.017,
        canary_lag_seconds=0.104,
        lag_seconds=0.0021,
        watched_ratio=1.0,
        window_keys=8_412,
        floor=0.0,
        over_threshold=15,
        keys=keys,
        labelled=frozenset((key.db, key.key) for key in keys[:14]),
        groups=tuple(GroupRate(0, name, 41_000.5 / (place + 1)) for place, name in enumerate(groups)),
        taken_at=NOW.monotonic - 0.6,
    )


def facts() -> Enrichment:
    """What the cache's labelled keys are; the session has a life."""
    kinds = ("string", "string", "string", "hash", "string", "hash", "string", "string", "list", "stream")
    return Enrichment(
        {
            (0, key): KeyFacts(
                type=kind,
                encoding={"hash": "listpack", "stream": "stream", "list": "quicklist"}.get(kind, "embstr"),
                slot=None,
                memory_bytes=72 * (place + 1) ** 4,
                ttl_seconds=None if place % 3 else 4.5 * (place + 1) ** 3,
                probed_at=NOW.monotonic - 3.1,
            )
            for place, ((key, _, _), kind) in enumerate(zip(_CACHE_KEYS, kinds, strict=False))
        },
        taken_at=NOW.monotonic - 3.0,
    )


def keyspace() -> Keyspace:
    """What a look over a part of the cache's keys has found."""
    return Keyspace(
        groups=(
            KeyGroup(0, "product:*:price", 1_204_000.0, 1_198_300.5, 1_209_727.0, 96.5e6, 95.9e6, 97.1e6, None),
            KeyGroup(
                0, "session:*", 88_000.0, 86_440.0, 89_588.0, 61e6, 59.2e6, 62.9e6,
                GroupLife(50, 1.0, 201.5, 1_733.0, 3_310.25),
            ),
            KeyGroup(0, "config:*", 12.0, 12.0, 14.5, 9_000.0, 9_000.0, 11_000.0, GroupLife(12, 0.0, None, None, None)),
            KeyGroup(3, "other", 70.0, 70.0, 70.0, None, None, None, None),
        ),
        bigkeys=(
            BigKey(0, b"stream:orders", "stream", 61_000_000),
            BigKey(0, b"session:0f3a9c1d", "hash", 4_102_000),
            BigKey(3, b"home:recommendations:de", "string", 988_000),
        ),
        keys_seen=400_000,
        sampled_ratio=0.3095,
        began=NOW.wall - 130.0,
        valid_until=NOW.monotonic + 900.0,
        taken_at=NOW.monotonic - 30.0,
    )  # fmt: skip


def native() -> NativeKeys:
    """What the cache's server itself says of some keys, beside MONITOR."""
    keys = (
        NativeKey(None, b"product:8841:price", cpu_seconds_per_second=0.021, network_bytes_per_second=96_000.5),
        NativeKey(None, b"session:0f3a9c1d", cpu_seconds_per_second=0.004),
        NativeKey(0, b"config:features", accesses_per_second=7_700.0, frequency=143),
        NativeKey(3, b"not:labelled", frequency=9),
    )
    labelled = frozenset((key.db or 0, key.key) for key in keys[:3])
    return NativeKeys(Source.HOTKEYS, "beside", keys, labelled, 42.0, NOW.monotonic - 2.0)


def looking() -> KeyspaceState:
    """The next look over the cache's keys is under way."""
    return KeyspaceState("looking", 0.125, 3, 4.5, NOW.monotonic - 1.0)


def status() -> NodeStatus:
    """A primary that is up."""
    return NodeStatus(
        down=None,
        detail="",
        role="master",
        server="valkey",
        version="9.1.2",
        run_id="a" * 40,
        latency_seconds=0.00041,
        uptime_seconds=1_209_600.0,
        used_memory_bytes=3_650_722_201,
        maxmemory_bytes=4_294_967_296,
        total_memory_bytes=16_000_000_000,
        maxmemory_policy="allkeys-lru",
        ops_per_second=131_000.0,
        input_bytes_per_second=9_400_000.0,
        loading=False,
        failover=False,
        connected_clients=412,
        evicted_keys=88_121,
        hit_ratio={"1m": 0.9731, "5m": 0.9688},
        server_limit_bytes=0,
        largest_output_buffer_bytes=0,
        last_success=NOW.wall - 0.7,
        taken_at=NOW.monotonic - 0.7,
    )


def state() -> SamplingState:
    """Bursts within the budget."""
    return SamplingState(Source.MONITOR, "budget")


def totals() -> SamplingTotals:
    """What sampling the cache has cost."""
    return SamplingTotals(
        observed_seconds=613.25,
        events=81_402_119,
        bytes=7_401_224_816,
        own_lines=4_402,
        skipped_lines=3,
        bursts={"complete": 41_220, "events": 12, "bytes": 2, "time": 0, "error": 1},
        skips={"loading": 4, "memory": 0},
        labels_suppressed=17,
        last_success=NOW.wall - 0.6,
    )


def quiet_status() -> NodeStatus:
    """A small server that may evict nothing and is nearly full."""
    return replace(
        status(),
        server="redis",
        version="7.0.15",
        used_memory_bytes=980_000_000,
        maxmemory_bytes=1_000_000_000,
        maxmemory_policy="noeviction",
        latency_seconds=0.21,
        connected_clients=9,
        hit_ratio={"1m": 1.0},
        server_limit_bytes=33_554_432,
        largest_output_buffer_bytes=0,
    )


def quiet_keys() -> HotKeys:
    """Everything was observed: no error at all, two databases with the same key."""
    keys = (
        hot_key(b"queue:mails", 40.0, 62.0, writes=0.5, error=0.0),
        hot_key(b"queue:mails", 20.0, 62.0, writes=1.0, error=0.0, db=3),
        hot_key(b"lock:worker", 2.0, 62.0, writes=1.0, error=0.0),
    )
    return replace(
        hot_keys(),
        observed_seconds=60.0,
        accesses_per_second=62.0,
        commands_per_second=71.25,
        duty_ratio=1.0,
        window_keys=3,
        over_threshold=2,
        keys=keys,
        labelled=frozenset((key.db, key.key) for key in keys),
        groups=(GroupRate(0, "queue:*", 40.0), GroupRate(3, "queue:*", 20.0), GroupRate(0, "lock:*", 2.0)),
    )


def quiet_totals() -> SamplingTotals:
    """What observing the small server has cost."""
    return SamplingTotals(
        observed_seconds=3_600.5,
        events=256_500,
        bytes=20_100_000,
        bursts={"complete": 28_804},
        last_success=NOW.wall - 0.6,
    )
