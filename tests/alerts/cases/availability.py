"""Cases: the pipeline itself, servers that are up, objectives, replication, cluster and Sentinel."""

from __future__ import annotations

from tests.alerts.cases.case import ERRORS_FIRST, Case, begun, errors, recovered

AVAILABILITY = (
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
        {"redis_uptime_in_seconds": "100 0+60x60"},
        ({"redis_uptime_in_seconds": (100, 60)}, {"redis_start_time_seconds": "1 2+0x60"}),
        1,
    ),
    Case(
        "RedisRestartLoop",
        {"redis_uptime_in_seconds": "40 30 20 10+60x60"},
        ({"redis_uptime_in_seconds": "40 30 20+60x60"},),
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
            late=2 * (short + wait) + 2 * step,
        )
        for window, severity, step, bad, good, limit, short, wait in (
            ("1h", "critical", 1, 0.015, 0.014, 0.0144, 5, 2),
            ("6h", "critical", 5, 0.0061, 0.0059, 0.006, 30, 15),
            ("1d", "warning", 10, 0.0031, 0.0029, 0.003, 120, 60),
            ("3d", "warning", 30, 0.0011, 0.0009, 0.001, 360, 180),
        )
        for name, first, over in (
            (
                "RedisAvailabilityBurn",
                0,
                # A gauge cannot be half up: its mean over every window is what counts.
                (
                    {"redis_up": 1 - bad},
                    {"redis_up": 1 - good},
                    {"redis_up": 1},
                    recovered(limit, short, wait, step),
                    begun(limit, short, wait, step),
                ),
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
)
