"""Redis overview, third part: is the data safe? Persistence, replication, TLS."""

from __future__ import annotations

from dashboards.model import Column, Query, Row
from dashboards.panels import GREEN, GREY, OK_FAILED, ORANGE, RED, YES_NO, levels, lines, states, table
from dashboards.queries import (
    MASTERS,
    NODE_LEGEND,
    age,
    by_node,
    gauge,
    quotient,
    rate,
    select,
)

REPLICA_LEGEND = f"{NODE_LEGEND} to {{{{slave_ip}}}}:{{{{slave_port}}}}"
REPLICA = ("slave_ip", "slave_port")
PRIMARY = gauge("redis_node_info", where=MASTERS)

PERSISTENCE = Row(
    "Persistence",
    (
        states(
            "Last RDB save and AOF write",
            "Failed where the last RDB save, the last write to the AOF or its last rewrite did not go well.",
            f"{gauge('redis_rdb_last_bgsave_status')} * {gauge('redis_aof_last_write_status')} * "
            f"{gauge('redis_aof_last_bgrewrite_status')}",
            texts=OK_FAILED,
        ),
        lines(
            "Age of the last RDB file",
            "s",
            "Where RDB is not configured, this is the time since the start.",
            age("redis_rdb_last_save_timestamp_seconds"),
        ),
        lines(
            "Changes that no RDB file has",
            "short",
            "Lost in a crash, where there is no AOF.",
            gauge("redis_rdb_changes_since_last_save"),
        ),
        lines(
            "Duration of saves",
            "s",
            "The last RDB save and the last AOF rewrite; absent before the first.",
            Query(f"{gauge('redis_rdb_last_bgsave_duration_sec')} >= 0", f"RDB {NODE_LEGEND}"),
            Query(f"{gauge('redis_aof_last_rewrite_duration_sec')} >= 0", f"AOF {NODE_LEGEND}"),
            Query(f"{gauge('redis_rdb_current_bgsave_duration_sec')} >= 0", f"RDB so far {NODE_LEGEND}"),
        ),
        lines("Time of the last fork", "s", "Nothing else ran meanwhile.", gauge("redis_latest_fork_seconds")),
        lines(
            "Copied while saving",
            "bytes",
            "Memory that a save took since pages changed under it: keep so much free.",
            Query(gauge("redis_rdb_last_cow_size_bytes"), f"RDB {NODE_LEGEND}"),
            Query(gauge("redis_aof_last_cow_size_bytes"), f"AOF {NODE_LEGEND}"),
        ),
        states("AOF enabled", "Whether every write goes to a log.", gauge("redis_aof_enabled"), texts=YES_NO),
        lines(
            "Size of the AOF",
            "bytes",
            "Now, and after its last rewrite.",
            Query(gauge("redis_aof_current_size_bytes"), f"now {NODE_LEGEND}"),
            Query(gauge("redis_aof_base_size_bytes"), f"base {NODE_LEGEND}"),
        ),
        lines(
            "Writes that waited for the disk",
            "cps",
            "Delayed fsyncs: the disk does not keep up, and clients wait for it.",
            rate("redis_aof_delayed_fsync"),
        ),
        lines(
            "AOF buffers",
            "bytes",
            "What is still to be written.",
            Query(gauge("redis_aof_buffer_length"), f"writes {NODE_LEGEND}"),
            Query(gauge("redis_mem_aof_buffer_bytes"), f"all {NODE_LEGEND}"),
        ),
        lines(
            "Work in the background",
            "short",
            "How many nodes save, rewrite, load or make a snapshot of a module, as it happens.",
            Query(f"sum({gauge('redis_rdb_bgsave_in_progress')})", "RDB"),
            Query(f"sum({gauge('redis_aof_rewrite_in_progress')})", "AOF"),
            Query(f"sum({gauge('redis_loading_dump_file')})", "loading"),
            Query(f"sum({gauge('redis_module_fork_in_progress')})", "module"),
            stack=True,
        ),
        lines(
            "Keys of the last RDB load",
            "short",
            "Loaded, and left out since they had expired.",
            Query(gauge("redis_rdb_last_load_loaded_keys"), f"loaded {NODE_LEGEND}"),
            Query(gauge("redis_rdb_last_load_expired_keys"), f"expired {NODE_LEGEND}"),
        ),
    ),
)

REPLICATION = Row(
    "Replication",
    (
        lines(
            "Replicas connected",
            "short",
            "By primary.",
            f"{gauge('redis_connected_slaves')} and on (target, addr) {PRIMARY}",
        ),
        lines(
            "Lag in bytes",
            "bytes",
            "Written by the master and not yet acknowledged by the replica.",
            Query(
                "max by (target, addr, slave_ip, slave_port) "
                f"({select('redis_master_repl_offset')} - on (job, instance, target, addr) "
                f"group_right () {select('redis_connected_slave_offset_bytes')})",
                REPLICA_LEGEND,
            ),
        ),
        lines(
            "Lag in seconds",
            "s",
            "Since the last acknowledgement of the replica.",
            Query(gauge("redis_connected_slave_lag_seconds", *REPLICA), REPLICA_LEGEND),
        ),
        states(
            "Link to the master",
            "As the replica sees it.",
            gauge("redis_master_link_up"),
            texts={"0": ("down", RED), "1": ("up", GREEN)},
        ),
        lines(
            "Silence of the master",
            "s",
            "Since a replica last heard from its master; negative or absent while the link is down.",
            f"{gauge('redis_master_last_io_seconds_ago')} >= 0",
        ),
        states(
            "Full copy under way",
            "Whether a replica is receiving the whole data set.",
            gauge("redis_master_sync_in_progress"),
            texts={"0": ("no", GREY), "1": ("yes", ORANGE)},
        ),
        lines(
            "Resynchronisations",
            "cps",
            "Full ones are a fork and the whole data set on the wire; partial ones are cheap, those denied become full.",
            Query(rate("redis_replica_resyncs_full"), f"full {NODE_LEGEND}"),
            Query(rate("redis_replica_partial_resync_accepted"), f"partial {NODE_LEGEND}"),
            Query(rate("redis_replica_partial_resync_denied"), f"denied {NODE_LEGEND}"),
        ),
        lines(
            "Backlog",
            "s",
            "For how long a replica may be away and still catch up without a full copy, at the present rate of writes.",
            f"({quotient(gauge('redis_replication_backlog_bytes'), rate('redis_master_repl_offset'))}) "
            f"and on (target, addr) {gauge('redis_connected_slaves')} > 0",
        ),
        lines(
            "Buffers of replication",
            "bytes",
            "What the backlog holds, and what waits in buffers to be sent to replicas.",
            Query(gauge("redis_repl_backlog_history_bytes"), f"backlog {NODE_LEGEND}"),
            Query(gauge("redis_mem_total_replication_buffers_bytes"), f"buffers {NODE_LEGEND}"),
        ),
        table(
            "Replicas",
            "Who replicates whom, and whether it takes writes of its own.",
            (
                Column("Target", "target"),
                Column("Replica", "addr"),
                Column("Master", "master_host"),
                Column("Port", "master_port", width=80),
                Column("Read only", "read_only", width=110),
                Column("Offset", unit="bytes"),
            ),
            "max by (target, addr, master_host, master_port, read_only) "
            f"({select('redis_slave_info')} * on (job, instance, target, addr) group_left () "
            f"{select('redis_slave_repl_offset')})",
            sort="Target",
            descending=False,
        ),
    ),
)

CERTIFICATES = Row(
    "TLS",
    (
        table(
            "Certificates",
            "When the first certificate of each kind ends: server (what the node presents), client and ca (our files).",
            (
                Column("Target", "target"),
                Column("Node", "addr"),
                Column("Certificate", "role"),
                Column("Ends in", unit="s", thresholds=levels((0, RED), (259200, ORANGE), (1209600, GREEN))),
            ),
            by_node(f"{select('redis_tls_certificate_not_after_timestamp_seconds')} - time()", "role"),
            sort="Ends in",
            descending=False,
        ),
        table(
            "Connections",
            "What was agreed upon with each node, and whether any certificate would be accepted.",
            (
                Column("Target", "target"),
                Column("Node", "addr"),
                Column("Version", "version"),
                Column("Cipher", "cipher"),
                Column("Any certificate", texts={"0": "no", "1": "yes"}),
            ),
            "max by (target, addr, version, cipher) "
            f"({select('redis_tls_connection_info')} * on (job, instance, target, addr) group_left () "
            f"{select('redis_tls_insecure_skip_verify')})",
            sort="Target",
            descending=False,
        ),
        states(
            "Why TLS fails",
            "While it does: expired, another name, an unknown authority.",
            Query(gauge("redis_tls_down_info", "reason"), f"{NODE_LEGEND}: {{{{reason}}}}"),
            width=24,
            height=5,
            texts={"1": ("down", RED)},
        ),
        lines(
            "Life of the certificates that servers have loaded",
            "s",
            "As the server itself says (Valkey 9.1 and newer, with TLS); 0 where it has none.",
            *(
                Query(gauge(f"redis_tls_{kind}_cert_expires_in_seconds"), f"{kind} {NODE_LEGEND}")
                for kind in ("server", "client", "ca")
            ),
            width=24,
            height=6,
        ),
    ),
    closed=True,
)

ROWS = (PERSISTENCE, REPLICATION, CERTIFICATES)
