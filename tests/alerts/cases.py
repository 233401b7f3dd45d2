"""For each alert: what makes it fire, and what is just not enough. Figures are written out, not taken from values.yaml.

Series are named as in PromQL, with the labels of a node added. A figure stays what it is; `(first, step)` changes by
`step` a minute; a string is promtool's own notation, for series that change their course.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    Series = Mapping[str, float | tuple[float, float] | str]

STORE = 'redis_instance_info{maxmemory_policy="noeviction"}'
CACHE = 'redis_instance_info{maxmemory_policy="allkeys-lru"}'
LIMITS: Series = {
    "{}hotkey_exporter_alert_memory_threshold_ratio": 0.9,
    "{}hotkey_exporter_alert_latency_threshold_seconds": 0.1,
}
KEY = '{db="0",key="sale"}'


@dataclass(frozen=True, slots=True)
class Case:
    """One alert (of one severity, or window) with the series that fire it after `first` minutes and its `for`.

    Each of `quiet` must leave it silent for ever.
    """

    alert: str
    fires: Series
    quiet: tuple[Series, ...]
    first: int = 0
    severity: str = ""
    window: str = ""
    step: int = 1
    common: Series = field(default_factory=dict)


def hot(low: float, share: float, ratio: float = 2) -> Series:
    """A key with this rate and share."""
    return {
        f"redis_hotkey_accesses_per_second_low{KEY}": low,
        f"redis_hotkey_low_to_threshold_ratio{KEY}": ratio,
        f"redis_hotkey_share_ratio{KEY}": share,
        "redis_hotkey_threshold_share_ratio": 0.1,
    }


def cpu(percent: float) -> Series:
    """A main thread that takes so many percent of a core."""
    half = percent * 0.6 / 2
    return {
        "redis_cpu_sys_main_thread_seconds_total": (0, half),
        "redis_cpu_user_main_thread_seconds_total": (0, half),
    }


def memory(used: float, limit: float = 100, host: float = 1000) -> Series:
    """Memory in use, maxmemory, and the host's."""
    return {
        "redis_memory_used_bytes": used,
        "redis_memory_max_bytes": limit,
        "redis_total_system_memory_bytes": host,
    }


def errors(share: float, per_minute: float = 6000) -> Series:
    """So many refused commands for each that is asked."""
    return {
        'redis_errors_total{err="OOM"}': (0, per_minute * share),
        "redis_commands_processed_total": (0, per_minute * (1 - share)),
    }


def hits(before: tuple[int, int], after: tuple[int, int], minutes: int) -> Series:
    """Hits and misses a minute, before and after so many minutes."""
    return {
        f"redis_keyspace_{name}_total": f"0+{first}x{minutes} {first * minutes}+{then}x{2 * minutes}"
        for name, first, then in (("hits", before[0], after[0]), ("misses", before[1], after[1]))
    }


JOB = '{job_name="products"}'
WARM = "redis_cache_warming"

# An increase over a window that is not full yet is smaller: the first minute at which it is large enough.
ERRORS_FIRST = {"1h": 1, "6h": 20, "1d": 150, "3d": 1320}

CASES = (
    # The pipeline. `{}` before a name: a series of the exporter, not of a node.
    Case("Watchdog", {"{}up": 1}, ()),
    Case("HotkeyExporterDown", {"{}up": 0}, ({"{}up": 1},)),
    Case("HotkeyExporterAbsent", {}, ({"{}up": 0},)),
    Case("HotkeyExporterScrapeSlow", {"{}scrape_duration_seconds": 5.1}, ({"{}scrape_duration_seconds": 5},)),
    Case(
        "HotkeyExporterJobFailing",
        {'{}hotkey_exporter_job_runs_total{job_name="enrich",outcome="failed"}': (0, 1)},
        (
            {'{}hotkey_exporter_job_runs_total{job_name="enrich",outcome="failed"}': "0+0x10 0+1x2 2+0x60"},
            {'{}hotkey_exporter_job_runs_total{job_name="enrich",outcome="complete"}': (0, 1)},
        ),
        4,
    ),
    Case(
        "HotkeyExporterConfigRejected",
        {"{}hotkey_exporter_config_last_reload_successful": 0},
        ({"{}hotkey_exporter_config_last_reload_successful": 1},),
    ),
    Case(
        "HotkeyExporterRestarting",
        {"{}process_start_time_seconds": (0, 60)},
        ({"{}process_start_time_seconds": "1 2 3 4 4+0x100"}, {"{}process_start_time_seconds": 1}),
        4,
    ),
    Case(
        "HotkeyExporterLogErrors",
        {'{}hotkey_exporter_log_events_total{level="error"}': (0, 1.1)},
        (
            {'{}hotkey_exporter_log_events_total{level="error"}': (0, 0.9)},
            {'{}hotkey_exporter_log_events_total{level="info"}': (0, 100)},
        ),
        10,
    ),
    # State.
    Case(
        "RedisDown",
        {"redis_up": 0, 'redis_down_info{reason="refused"}': 1},
        ({"redis_up": 1}, {"redis_up": 0, 'redis_down_info{reason="starting"}': 1}),
    ),
    Case(
        "RedisAccessDenied",
        {'redis_down_info{reason="auth"}': 1},
        ({'redis_down_info{reason="refused"}': 1}, {'redis_down_info{reason="auth"}': 0}),
    ),
    Case(
        "RedisRestarted",
        {"redis_start_time_seconds": "1 2+0x60"},
        ({"redis_start_time_seconds": 1},),
        1,
    ),
    Case(
        "RedisRestartLoop",
        {"redis_start_time_seconds": "1 2 3 4+0x60"},
        ({"redis_start_time_seconds": "1 2 3+0x60"},),
        3,
    ),
    Case("RedisLoadingLong", {"redis_loading_dump_file": 1}, ({"redis_loading_dump_file": 0},)),
    Case(
        "RedisRoleChanged",
        {'redis_node_info{role="master"}': "1 _x60", 'redis_node_info{role="slave"}': "_ 1+0x60"},
        ({'redis_node_info{role="master"}': 1},),
        1,
    ),
    Case(
        "RedisVersionMixed",
        {'redis_instance_info{redis_version="7.0.15"}': 1, 'redis_instance_info{addr="b:1",redis_version="8.2.3"}': 1},
        (
            {
                'redis_instance_info{redis_version="7.0.15"}': 1,
                'redis_instance_info{addr="b:1",redis_version="7.0.15"}': 1,
            },
        ),
        step=10,
    ),
    # Objectives: 0.1 % may be down, or refused.
    *(
        Case(
            name,
            {**over[0]},
            tuple(over[1:]),
            first,
            severity,
            window,
            step=step,
        )
        for window, severity, step, bad, good in (
            ("1h", "critical", 1, 0.015, 0.014),
            ("6h", "critical", 5, 0.0061, 0.0059),
            ("1d", "warning", 10, 0.0031, 0.0029),
            ("3d", "warning", 30, 0.0011, 0.0009),
        )
        for name, first, over in (
            (
                "RedisAvailabilityBurn",
                0,
                # A gauge cannot be half up: its mean over every window is what counts.
                ({"redis_up": 1 - bad}, {"redis_up": 1 - good}, {"redis_up": 1}),
            ),
            ("RedisErrorsBurn", ERRORS_FIRST[window], (errors(bad), errors(good), errors(1, 50))),
        )
    ),
    # Replication.
    Case(
        "RedisMasterMissing",
        {'redis_node_info{role="slave"}': 1, 'redis_node_info{addr="b:1",role="slave"}': 1},
        (
            {'redis_node_info{role="slave"}': 1, 'redis_node_info{addr="b:1",role="master"}': 1},
            {'redis_node_info{role="slave"}': 1},
        ),
    ),
    Case(
        "RedisMastersTooMany",
        {
            'redis_node_info{role="master",replication_group="g"}': 1,
            'redis_node_info{addr="b:1",role="master",replication_group="g"}': 1,
        },
        (
            {'redis_node_info{role="master"}': 1, 'redis_node_info{addr="b:1",role="master"}': 1},
            {
                'redis_node_info{role="master",replication_group="g"}': 1,
                'redis_node_info{addr="b:1",role="slave",replication_group="g"}': 1,
            },
        ),
    ),
    Case(
        "RedisReplicaLinkDown",
        {'redis_master_link_up{master_host="m",master_port="1"}': 0},
        ({'redis_master_link_up{master_host="m",master_port="1"}': 1},),
    ),
    Case(
        "RedisReplicationLagSeconds",
        {'redis_connected_slave_lag_seconds{slave_ip="r",slave_port="1"}': 31},
        ({'redis_connected_slave_lag_seconds{slave_ip="r",slave_port="1"}': 30},),
    ),
    Case(
        "RedisReplicationLagBytes",
        {"redis_master_repl_offset": 67108866, 'redis_connected_slave_offset_bytes{slave_ip="r",slave_port="1"}': 1},
        ({"redis_master_repl_offset": 67108865, 'redis_connected_slave_offset_bytes{slave_ip="r",slave_port="1"}': 1},),
    ),
    Case(
        "RedisReplicaLost",
        {"redis_connected_slaves": "2 1+0x60", 'redis_node_info{role="master"}': 1},
        (
            {"redis_connected_slaves": 2, 'redis_node_info{role="master"}': 1},
            {"redis_connected_slaves": "1 2+0x60", 'redis_node_info{role="master"}': 1},
            {"redis_connected_slaves": "2 1+0x60", 'redis_node_info{role="slave"}': 1},
        ),
        1,
    ),
    Case(
        "RedisFullResyncs",
        {"redis_replica_resyncs_full": (0, 1)},
        ({"redis_replica_resyncs_full": "0+0x60 0+1x2 2+0x100"},),
        4,
    ),
    Case(
        "RedisReplicaWritable",
        {'redis_slave_info{read_only="0"}': 1},
        ({'redis_slave_info{read_only="1"}': 1}, {'redis_slave_info{read_only="0"}': 0}),
    ),
    Case(
        "RedisBacklogSmall",
        {"redis_replication_backlog_bytes": 5900, "redis_master_repl_offset": (0, 6000), "redis_connected_slaves": 1},
        (
            {
                "redis_replication_backlog_bytes": 6100,
                "redis_master_repl_offset": (0, 6000),
                "redis_connected_slaves": 1,
            },
            {
                "redis_replication_backlog_bytes": 5900,
                "redis_master_repl_offset": (0, 6000),
                "redis_connected_slaves": 0,
            },
            {"redis_replication_backlog_bytes": 5900, "redis_master_repl_offset": 1, "redis_connected_slaves": 1},
        ),
        5,
    ),
    # Cluster and Sentinel.
    Case("RedisClusterStateNotOk", {"redis_cluster_state": 0}, ({"redis_cluster_state": 1},)),
    Case("RedisClusterSlotsFail", {"redis_cluster_slots_fail": 1}, ({"redis_cluster_slots_fail": 0},)),
    Case("RedisClusterSlotsPfail", {"redis_cluster_slots_pfail": 1}, ({"redis_cluster_slots_pfail": 0},)),
    Case(
        "RedisClusterSlotsUncovered",
        {"redis_cluster_slots_assigned": 16383, "redis_cluster_enabled": 1},
        (
            {"redis_cluster_slots_assigned": 16384, "redis_cluster_enabled": 1},
            {"redis_cluster_slots_assigned": 0, "redis_cluster_enabled": 0},
        ),
    ),
    Case(
        "RedisClusterShardHot",
        {
            "redis_commands_processed_total": (0, 330_000),
            **{f'redis_commands_processed_total{{addr="{n}:1"}}': (0, 50_000) for n in "bc"},
        },
        (
            {
                "redis_commands_processed_total": (0, 330_000),
                **{f'redis_commands_processed_total{{addr="{n}:1"}}': (0, 90_000) for n in "bc"},
            },
            {
                "redis_commands_processed_total": (0, 54_000),
                **{f'redis_commands_processed_total{{addr="{n}:1"}}': (0, 60) for n in "bc"},
            },
        ),
        1,
        common={
            f'{name}{{addr="{addr}",{more}}}': 1
            for addr in ("r:6379", "b:1", "c:1")
            for name, more in (("redis_node_info", 'role="master"'), ("redis_cluster_enabled", ""))
        },
    ),
    Case(
        "RedisSentinelMasterDown",
        {'redis_sentinel_master_status{master_name="m",master_address="a",master_status="odown"}': 0},
        ({'redis_sentinel_master_status{master_name="m",master_address="a",master_status="ok"}': 1},),
    ),
    Case(
        "RedisSentinelQuorumLost",
        {'redis_sentinel_master_ckquorum_status{master_name="m"}': 0},
        ({'redis_sentinel_master_ckquorum_status{master_name="m"}': 1},),
    ),
    Case("RedisSentinelTilt", {"redis_sentinel_tilt": 1}, ({"redis_sentinel_tilt": 0},)),
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
            {STORE: 1, **memory(0, 1000), "redis_memory_used_bytes": (610, 0.5)},
            {STORE: 1, **memory(0, 1000), "redis_memory_used_bytes": "100+5x99 595+0x500"},
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
        {**hits((1000, 0), (700, 300), 1500)},
        ({**hits((1000, 0), (850, 150), 1500)}, {**hits((500, 0), (1, 300), 1500)}),
        1504,
        step=1,
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
    # Hot keys.
    Case("RedisHotKey", hot(17, 0.1), (hot(17, 0.1, 1), hot(17, 0.11)), severity="info"),
    Case("RedisHotKey", hot(17, 0.11), (hot(17, 0.11, 1), hot(17, 0.1)), severity="warning"),
    Case(
        "RedisHotKeySaturates",
        {**hot(17, 0.11), **cpu(96)},
        ({**hot(17, 0.11), **cpu(94)}, {**hot(17, 0.1), **cpu(96)}, {**hot(17, 0.11, 1), **cpu(96)}),
        5,
    ),
    Case(
        "RedisHotKeyLarge",
        {f"redis_hotkey_accesses_per_second_low{KEY}": 50, f"redis_hotkey_memory_bytes{KEY}": 1048577},
        ({f"redis_hotkey_accesses_per_second_low{KEY}": 50, f"redis_hotkey_memory_bytes{KEY}": 1048576},),
    ),
    Case(
        "HotKeySamplingStopped",
        {"redis_sampling_up": 0, "redis_up": 1, 'redis_sampling_source_info{reason="denied"}': 1},
        (
            {"redis_sampling_up": 1, "redis_up": 1, 'redis_sampling_source_info{reason="full"}': 1},
            {"redis_sampling_up": 0, "redis_up": 0, 'redis_sampling_source_info{reason="refused"}': 1},
            {"redis_sampling_up": 0, "redis_up": 1, 'redis_sampling_source_info{reason="off"}': 1},
        ),
    ),
    Case(
        "RedisSamplingLossy",
        {
            'redis_sampling_bursts_total{outcome="lag"}': (0, 11),
            'redis_sampling_bursts_total{outcome="complete"}': (0, 89),
        },
        (
            {
                'redis_sampling_bursts_total{outcome="lag"}': (0, 9),
                'redis_sampling_bursts_total{outcome="complete"}': (0, 91),
            },
            {'redis_sampling_bursts_total{outcome="events"}': (0, 9)},
        ),
        1,
    ),
    Case(
        "RedisSamplingCostly",
        {"redis_sampling_watched_throughput_ratio": 0.79},
        ({"redis_sampling_watched_throughput_ratio": 0.8}, {"redis_sampling_watched_throughput_ratio": 1}),
    ),
    Case(
        "RedisSamplingUnlimited",
        {"redis_sampling_server_limit_bytes": 0, "redis_sampling_up": 1},
        (
            {"redis_sampling_server_limit_bytes": 1, "redis_sampling_up": 1},
            {"redis_sampling_server_limit_bytes": 0, "redis_sampling_up": 0},
        ),
    ),
    Case(
        "RedisHotKeyLabelsSuppressed",
        {"redis_hotkey_labels_suppressed_total": (0, 1)},
        ({"redis_hotkey_labels_suppressed_total": 3},),
        1,
    ),
    # Warming.
    Case(
        "CacheWarmingFailed",
        {f'{WARM}_runs_total{{job_name="p",outcome="failed"}}': (0, 1)},
        (
            {
                f'{WARM}_runs_total{{job_name="p",outcome="failed"}}': (0, 1),
                f'{WARM}_runs_total{{job_name="p",outcome="complete"}}': (0, 1),
            },
            {f'{WARM}_runs_total{{job_name="p",outcome="failed"}}': 2},
        ),
        1,
    ),
    Case(
        "CacheWarmingOverdue",
        {f"{WARM}_last_success_timestamp_seconds{JOB}": -7201, f"{WARM}_leader{JOB}": 1},
        (
            {f"{WARM}_last_success_timestamp_seconds{JOB}": "-7199+60x600", f"{WARM}_leader{JOB}": 1},
            {f"{WARM}_last_success_timestamp_seconds{JOB}": -7201, f"{WARM}_leader{JOB}": 0},
        ),
    ),
    Case(
        "CacheWarmingCoverageLow",
        {f"{WARM}_coverage_ratio{JOB}": 0.94},
        ({f"{WARM}_coverage_ratio{JOB}": 0.95}, {f"{WARM}_coverage_ratio{JOB}": 1}),
    ),
    Case(
        "CacheWarmingKeysFailing",
        {
            f'{WARM}_keys_total{{job_name="p",result="failed"}}': (0, 6),
            f'{WARM}_keys_total{{job_name="p",result="written"}}': (0, 94),
        },
        (
            {
                f'{WARM}_keys_total{{job_name="p",result="failed"}}': (0, 4),
                f'{WARM}_keys_total{{job_name="p",result="written"}}': (0, 96),
            },
        ),
        1,
    ),
    Case(
        "CacheWarmingWasted",
        {f"{WARM}_wasted_keys_total{JOB}": (0, 910), f"{WARM}_useful_keys_total{JOB}": (0, 90)},
        (
            {f"{WARM}_wasted_keys_total{JOB}": (0, 890), f"{WARM}_useful_keys_total{JOB}": (0, 110)},
            {f"{WARM}_wasted_keys_total{JOB}": (0, 2.5), f"{WARM}_useful_keys_total{JOB}": 0},
        ),
        2,
    ),
    Case("CacheWarmingNoLeader", {f"{WARM}_leader{JOB}": 0}, ({f"{WARM}_leader{JOB}": 1},)),
    Case("CacheWarmingStuck", {f"{WARM}_running{JOB}": 1}, ({f"{WARM}_running{JOB}": 0},)),
    # Certificates.
    *(
        Case(
            name,
            {f"redis_tls_{which}_cert_expires_in_seconds": limit - 1},
            ({f"redis_tls_{which}_cert_expires_in_seconds": limit},),
        )
        for name, limit in (("RedisCertificateExpires", 1209600), ("RedisCertificateExpiresNow", 259200))
        for which in ("server", "ca")
    ),
)
