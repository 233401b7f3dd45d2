"""Cases: memory, clients, performance and persistence."""

from __future__ import annotations

from tests.alerts.cases.case import CACHE, LIMITS, STORE, Case, cpu, hits, memory

RESOURCES = (
    # Memory.
    Case(
        "RedisMemoryHigh",
        {STORE: 1, **memory(91)},
        ({STORE: 1, **memory(90)}, {CACHE: 1, **memory(100)}, {STORE: 1, **memory(900, 0)}),
        common=LIMITS,
    ),
    Case("RedisMemoryHigh", {STORE: 1, **memory(901, 0)}, ({STORE: 1, **memory(899, 0)},), common=LIMITS),
    Case("RedisMemoryFull", {STORE: 1, **memory(96)}, ({STORE: 1, **memory(95)}, {CACHE: 1, **memory(100)})),
    Case(
        "RedisOutOfMemoryErrors",
        {'redis_errors_total{err="OOM"}': (0, 1)},
        ({'redis_errors_total{err="OOM"}': 5}, {'redis_errors_total{err="ERR"}': (0, 9)}),
        1,
    ),
    Case("RedisMemoryUnlimited", {**memory(501, 0)}, ({**memory(499, 0)}, {**memory(501, 10_000)})),
    Case(
        "RedisMemoryFillsSoon",
        {STORE: 1, **memory(0, 1000), "redis_memory_used_bytes": (610, 2)},
        (
            {STORE: 1, **memory(0, 1000), "redis_memory_used_bytes": (610, 1)},
            {STORE: 1, **memory(0, 1000), "redis_memory_used_bytes": (500, 2.4)},
            {CACHE: 1, **memory(0, 1000), "redis_memory_used_bytes": (610, 2)},
        ),
        1,
    ),
    Case(
        "RedisEvictionStorm",
        {"redis_evicted_keys_total": (0, 6600), **hits((1000, 0), (700, 300), 100)},
        (
            {"redis_evicted_keys_total": (0, 5400), **hits((1000, 0), (700, 300), 100)},
            {"redis_evicted_keys_total": (0, 66000), **hits((1000, 0), (850, 150), 100)},
            {"redis_evicted_keys_total": (0, 6600), **hits((500, 0), (1, 300), 100)},
        ),
        104,
    ),
    Case(
        "RedisFragmentation",
        {"redis_mem_fragmentation_ratio": 1.6, "redis_mem_fragmentation_bytes": 268435457},
        (
            {"redis_mem_fragmentation_ratio": 1.5, "redis_mem_fragmentation_bytes": 1e9},
            {"redis_mem_fragmentation_ratio": 9, "redis_mem_fragmentation_bytes": 268435456},
        ),
    ),
    Case(
        "RedisSwapping",
        {"redis_memory_used_rss_bytes": 89e6, "redis_memory_used_bytes": 105e6},
        (
            {"redis_memory_used_rss_bytes": 96e6, "redis_memory_used_bytes": 105e6},
            {"redis_memory_used_rss_bytes": 1e6, "redis_memory_used_bytes": 104e6},
        ),
    ),
    Case(
        "RedisClientBuffersLarge", {"redis_mem_clients_normal": 268435457}, ({"redis_mem_clients_normal": 268435456},)
    ),
    # Clients.
    Case(
        "RedisConnectionsHigh",
        {"redis_connected_clients": 81, "redis_config_maxclients": 100},
        (
            {"redis_connected_clients": 80, "redis_config_maxclients": 100},
            {"redis_connected_clients": 81, "redis_config_maxclients": 0},
        ),
    ),
    Case(
        "RedisConnectionsFull",
        {"redis_connected_clients": 96, "redis_config_maxclients": 100},
        ({"redis_connected_clients": 95, "redis_config_maxclients": 100},),
    ),
    Case(
        "RedisConnectionsRejected",
        {"redis_rejected_connections_total": (0, 1)},
        ({"redis_rejected_connections_total": 7},),
        1,
    ),
    Case(
        "RedisClientsGone",
        {"redis_connected_clients": "30+0x70 5+0x100"},
        ({"redis_connected_clients": "30+0x70 7+0x100"}, {"redis_connected_clients": "19+0x70 1+0x100"}),
        71,
    ),
    Case(
        "RedisOutputBufferDisconnections",
        {"redis_client_output_buffer_limit_disconnections_total": (0, 1)},
        ({"redis_client_output_buffer_limit_disconnections_total": 3},),
        1,
    ),
    Case(
        "RedisConnectionChurn",
        {"redis_connections_received_total": (0, 30_060)},
        ({"redis_connections_received_total": (0, 29_940)},),
        5,
    ),
    # Performance.
    Case("RedisMainThreadBusy", cpu(86), (cpu(84),), 5),
    Case("RedisMainThreadSaturated", cpu(96), (cpu(94),), 5),
    Case("RedisSlow", {"redis_ping_latency_seconds": 0.11}, ({"redis_ping_latency_seconds": 0.1},), common=LIMITS),
    Case(
        "RedisLatencyHigh",
        {
            f'redis_commands_latencies_usec_bucket{{cmd="get",le="{le}"}}': (0, n)
            for le, n in (("8192", 50), ("16384", 100), ("+Inf", 100))
        },
        (
            {
                f'redis_commands_latencies_usec_bucket{{cmd="get",le="{le}"}}': (0, n)
                for le, n in (("8192", 99.5), ("16384", 100), ("+Inf", 100))
            },
        ),
        1,
    ),
    Case("RedisSlowlogGrowing", {"redis_slowlog_last_id": (0, 66)}, ({"redis_slowlog_last_id": (0, 54)},), 10),
    Case(
        "RedisCommandsRejected",
        {f'redis_commands_rejected_calls_total{{cmd="{cmd}"}}': (0, 33) for cmd in ("get", "set")},
        ({f'redis_commands_rejected_calls_total{{cmd="{cmd}"}}': (0, 27) for cmd in ("get", "set")},),
        5,
    ),
    Case(
        "RedisHitRatioDropped",
        {**hits((3000, 0), (2100, 900), 500)},
        ({**hits((3000, 0), (2550, 450), 500)}, {**hits((1500, 0), (3, 900), 500)}),
        1506,
        step=3,
    ),
    Case(
        "RedisForkSlow",
        {"redis_latest_fork_seconds": 1.1, "redis_rdb_last_save_timestamp_seconds": "1 2+0x60"},
        (
            {"redis_latest_fork_seconds": 1, "redis_rdb_last_save_timestamp_seconds": "1 2+0x60"},
            {"redis_latest_fork_seconds": 1.1, "redis_rdb_last_save_timestamp_seconds": 1},
        ),
        1,
    ),
    # Persistence.
    Case("RedisRdbSaveFailed", {"redis_rdb_last_bgsave_status": 0}, ({"redis_rdb_last_bgsave_status": 1},)),
    Case(
        "RedisRdbStale",
        {
            "redis_rdb_last_save_timestamp_seconds": -86401,
            "redis_rdb_changes_since_last_save": 1,
            "redis_rdb_saves_total": 1,
        },
        (
            {
                "redis_rdb_last_save_timestamp_seconds": "-70000+60x300",
                "redis_rdb_changes_since_last_save": 1,
                "redis_rdb_saves_total": 1,
            },
            {
                "redis_rdb_last_save_timestamp_seconds": -86401,
                "redis_rdb_changes_since_last_save": 0,
                "redis_rdb_saves_total": 1,
            },
            {
                "redis_rdb_last_save_timestamp_seconds": -86401,
                "redis_rdb_changes_since_last_save": 1,
                "redis_rdb_saves_total": 0,
            },
        ),
    ),
    Case(
        "RedisRdbSaveLong",
        {"redis_rdb_current_bgsave_duration_sec": 601},
        ({"redis_rdb_current_bgsave_duration_sec": 600}, {"redis_rdb_current_bgsave_duration_sec": -1}),
    ),
    *(
        Case(
            name,
            {series: bad, "redis_aof_enabled": 1},
            ({series: good, "redis_aof_enabled": 1}, {series: bad, "redis_aof_enabled": 0}),
            first,
        )
        for name, series, bad, good, first in (
            ("RedisAofWriteFailed", "redis_aof_last_write_status", 0, 1, 0),
            ("RedisAofRewriteFailed", "redis_aof_last_bgrewrite_status", 0, 1, 0),
            ("RedisAofDelayedFsync", "redis_aof_delayed_fsync", (0, 6.6), (0, 5.4), 5),
        )
    ),
)
