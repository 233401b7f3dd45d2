"""The plain numbers of INFO and CLUSTER INFO, one line each: the field, the family's name without `redis_`.

A field that a server does not have makes no sample, so every version and fork may share the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.views.redis_families.rows import plain, row, section, value_of

if TYPE_CHECKING:
    from exporter.serverstats import ServerStats
    from exporter.views.exposition import Kind
    from exporter.views.families import Row


@dataclass(frozen=True, slots=True)
class Field:
    """A field, its family, and the divisor between their units. Without `help` the family is just named.

    `unless` is another field and what it says where there is nothing to measure, so that 0 would be a lie.
    """

    field: str
    name: str
    help: str = ""
    divisor: float = 1.0
    unless: tuple[str, str] | None = None

    def row(self, kind: Kind, *, cluster: bool = False) -> Row:
        """The family, read from INFO, or from CLUSTER INFO."""

        def value(stats: ServerStats) -> float | None:
            fields = stats.cluster if cluster else stats.info
            if self.unless is not None and fields.get(self.unless[0]) == self.unless[1]:
                return None
            found = value_of(fields, self.field)
            return None if found is None else found / self.divisor

        return row(self.name, self.help or f"{self.name} metric", plain(value), kind)


def _ends(which: str) -> Field:
    """Valkey says 0 seconds, and `none` for the serial number, where it has no such certificate."""
    name = f"tls_{which}_cert_expires_in_seconds"
    return Field(name, name, unless=(f"tls_{which}_cert_serial", "none"))


GAUGES = (
    # Server
    Field("uptime_in_seconds", "uptime_in_seconds"),
    Field("process_id", "process_id"),
    Field("io_threads_active", "io_threads_active"),
    Field("hz", "hz"),
    Field("configured_hz", "configured_hz"),
    # Clients
    Field("connected_clients", "connected_clients"),
    Field("cluster_connections", "cluster_connections"),
    Field("active_clients", "active_clients", help="Number of clients active in Redis's rolling activity window"),
    Field("blocked_clients", "blocked_clients"),
    Field("maxclients", "max_clients"),
    Field("tracking_clients", "tracking_clients"),
    Field("clients_in_timeout_table", "clients_in_timeout_table"),
    Field("pubsub_clients", "pubsub_clients"),
    Field("watching_clients", "watching_clients"),
    Field("total_watched_keys", "total_watched_keys"),
    Field("total_blocking_keys", "total_blocking_keys"),
    Field("total_blocking_keys_on_nokey", "total_blocking_keys_on_nokey"),
    Field("client_recent_max_output_buffer", "client_recent_max_output_buffer_bytes"),
    Field("client_recent_max_input_buffer", "client_recent_max_input_buffer_bytes"),
    # Memory
    Field("allocator_active", "allocator_active_bytes"),
    Field("allocator_allocated", "allocator_allocated_bytes"),
    Field("allocator_resident", "allocator_resident_bytes"),
    Field("allocator_muzzy", "allocator_muzzy_bytes"),
    Field("allocator_frag_ratio", "allocator_frag_ratio"),
    Field("allocator_frag_bytes", "allocator_frag_bytes"),
    Field("allocator_rss_ratio", "allocator_rss_ratio"),
    Field("allocator_rss_bytes", "allocator_rss_bytes"),
    Field("used_memory", "memory_used_bytes"),
    Field("used_memory_rss", "memory_used_rss_bytes"),
    Field("used_memory_peak", "memory_used_peak_bytes"),
    Field("used_memory_lua", "memory_used_lua_bytes"),
    Field("used_memory_vm_eval", "memory_used_vm_eval_bytes"),
    Field("used_memory_scripts_eval", "memory_used_scripts_eval_bytes"),
    Field("used_memory_overhead", "memory_used_overhead_bytes"),
    Field("used_memory_startup", "memory_used_startup_bytes"),
    Field("used_memory_dataset", "memory_used_dataset_bytes"),
    Field("used_memory_vm_functions", "memory_used_vm_functions_bytes"),
    Field("used_memory_scripts", "memory_used_scripts_bytes"),
    Field("used_memory_functions", "memory_used_functions_bytes"),
    Field("used_memory_vm_total", "memory_used_vm_total"),
    Field("used_memory_hash_templates", "memory_used_hash_templates_bytes"),
    Field("number_of_cached_scripts", "number_of_cached_scripts"),
    Field("number_of_functions", "number_of_functions"),
    Field("number_of_libraries", "number_of_libraries"),
    Field("maxmemory", "memory_max_bytes"),
    Field("maxmemory_reservation", "memory_max_reservation_bytes"),
    Field("maxmemory_desired_reservation", "memory_max_reservation_desired_bytes"),
    Field("maxfragmentationmemory_reservation", "memory_max_fragmentation_reservation_bytes"),
    Field("maxfragmentationmemory_desired_reservation", "memory_max_fragmentation_reservation_desired_bytes"),
    Field("mem_fragmentation_ratio", "mem_fragmentation_ratio"),
    Field("mem_fragmentation_bytes", "mem_fragmentation_bytes"),
    Field("mem_clients_slaves", "mem_clients_slaves"),
    Field("mem_clients_normal", "mem_clients_normal"),
    Field("mem_cluster_links", "mem_cluster_links_bytes"),
    Field("mem_aof_buffer", "mem_aof_buffer_bytes"),
    Field("mem_replication_backlog", "mem_replication_backlog_bytes"),
    Field("mem_replicas_repl_buffer", "mem_replicas_repl_buffer_bytes"),
    Field("mem_not_counted_for_evict", "mem_not_counted_for_eviction_bytes"),
    Field("mem_total_replication_buffers", "mem_total_replication_buffers_bytes"),
    Field("mem_overhead_db_hashtable_rehashing", "mem_overhead_db_hashtable_rehashing_bytes"),
    Field("lazyfree_pending_objects", "lazyfree_pending_objects"),
    Field("lazyfreed_objects", "lazyfreed_objects"),
    Field("active_defrag_running", "active_defrag_running"),
    # Persistence
    Field("loading", "loading_dump_file"),
    Field("async_loading", "async_loading"),
    Field("rdb_changes_since_last_save", "rdb_changes_since_last_save"),
    Field("rdb_bgsave_in_progress", "rdb_bgsave_in_progress"),
    Field("backup_in_progress", "backup_in_progress"),
    Field("rdb_last_save_time", "rdb_last_save_timestamp_seconds"),
    Field("rdb_last_bgsave_status", "rdb_last_bgsave_status"),
    Field("rdb_last_bgsave_time_sec", "rdb_last_bgsave_duration_sec"),
    Field("rdb_current_bgsave_time_sec", "rdb_current_bgsave_duration_sec"),
    Field("rdb_saves", "rdb_saves_total"),
    Field("rdb_last_cow_size", "rdb_last_cow_size_bytes"),
    Field("rdb_last_load_keys_expired", "rdb_last_load_expired_keys"),
    Field("rdb_last_load_keys_loaded", "rdb_last_load_loaded_keys"),
    Field("aof_enabled", "aof_enabled"),
    Field("aof_rewrite_in_progress", "aof_rewrite_in_progress"),
    Field("aof_rewrite_scheduled", "aof_rewrite_scheduled"),
    Field("aof_last_rewrite_time_sec", "aof_last_rewrite_duration_sec"),
    Field("aof_current_rewrite_time_sec", "aof_current_rewrite_duration_sec"),
    Field("aof_last_cow_size", "aof_last_cow_size_bytes"),
    Field("aof_current_size", "aof_current_size_bytes"),
    Field("aof_base_size", "aof_base_size_bytes"),
    Field("aof_pending_rewrite", "aof_pending_rewrite"),
    Field("aof_buffer_length", "aof_buffer_length"),
    Field("aof_rewrite_buffer_length", "aof_rewrite_buffer_length"),
    Field("aof_pending_bio_fsync", "aof_pending_bio_fsync"),
    Field("aof_delayed_fsync", "aof_delayed_fsync"),
    Field("aof_last_bgrewrite_status", "aof_last_bgrewrite_status"),
    Field("aof_last_write_status", "aof_last_write_status"),
    Field("module_fork_in_progress", "module_fork_in_progress"),
    Field("module_fork_last_cow_size", "module_fork_last_cow_size"),
    # Stats
    Field("expired_stale_perc", "expired_stale_percentage"),
    Field("expired_keys_with_volatile_items_stale_perc", "expired_keys_with_volatile_items_stale_percentage"),
    Field("expired_time_cap_reached_count", "expired_time_cap_reached_total"),
    Field("migrate_cached_sockets", "migrate_cached_sockets_total"),
    Field("active_defrag_hits", "defrag_hits"),
    Field("active_defrag_misses", "defrag_misses"),
    Field("active_defrag_key_hits", "defrag_key_hits"),
    Field("active_defrag_key_misses", "defrag_key_misses"),
    Field("current_eviction_exceeded_time", "current_eviction_exceeded_time_ms"),
    Field("pubsub_channels", "pubsub_channels"),
    Field("pubsub_patterns", "pubsub_patterns"),
    Field("pubsubshard_channels", "pubsubshard_channels"),
    Field("latest_fork_usec", "latest_fork_seconds", divisor=1e6),
    Field("tracking_total_keys", "tracking_total_keys"),
    Field("tracking_total_items", "tracking_total_items"),
    Field("tracking_total_prefixes", "tracking_total_prefixes"),
    Field("hash_templates", "hash_templates"),
    Field("hash_template_keys", "hash_template_keys"),
    Field("instantaneous_eventloop_cycles_per_sec", "instantaneous_eventloop_cycles_per_sec"),
    Field("instantaneous_eventloop_duration_usec", "instantaneous_eventloop_duration_usec"),
    Field(
        "avg_pipeline_length",
        "client_processing_pipeline_length",
        help="Average number of commands parsed per client input parsing batch",
    ),
    Field(
        "slowlog_commands_time_ms_max",
        "slowlog_commands_duration_seconds_max",
        help="Maximum execution time in seconds among slowlogged commands",
        divisor=1e3,
    ),
    # Replication
    Field("connected_slaves", "connected_slaves"),
    Field("repl_backlog_size", "replication_backlog_bytes"),
    Field("repl_backlog_active", "repl_backlog_is_active"),
    Field("repl_backlog_first_byte_offset", "repl_backlog_first_byte_offset"),
    Field("repl_backlog_histlen", "repl_backlog_history_bytes"),
    Field("master_repl_offset", "master_repl_offset"),
    Field("second_repl_offset", "second_repl_offset"),
    Field("slave_expires_tracked_keys", "slave_expires_tracked_keys"),
    Field("slave_priority", "slave_priority"),
    Field("sync_full", "replica_resyncs_full"),
    Field("sync_partial_ok", "replica_partial_resync_accepted"),
    Field("sync_partial_err", "replica_partial_resync_denied"),
    Field("replicas_repl_buffer_size", "replicas_repl_buffer_size_bytes"),
    Field("replicas_repl_buffer_peak", "replicas_repl_buffer_peak_bytes"),
    Field("replicas_waiting_psync", "replicas_waiting_psync"),
    # TLS, on Valkey
    _ends("server"),
    _ends("client"),
    _ends("ca"),
    # Scripting engines, on Valkey
    Field("engines_count", "scripting_engines_count"),
    Field("engines_total_used_memory", "scripting_engines_memory_used_bytes"),
    Field("engines_total_memory_overhead", "scripting_engines_memory_overhead_bytes"),
    # Cluster
    Field("cluster_enabled", "cluster_enabled"),
    # Sentinel
    Field("sentinel_masters", "sentinel_masters", help="The number of masters this sentinel is watching"),
    Field("sentinel_tilt", "sentinel_tilt", help="Sentinel is in TILT mode"),
    Field("sentinel_running_scripts", "sentinel_running_scripts", help="Number of scripts in execution right now"),
    Field("sentinel_scripts_queue_length", "sentinel_scripts_queue_length", help="Queue of user scripts to execute"),
    Field("sentinel_simulate_failure_flags", "sentinel_simulate_failure_flags", help="Failures simulations"),
)

COUNTERS = (
    # Clients and network
    Field("total_connections_received", "connections_received_total"),
    Field("total_commands_processed", "commands_processed_total"),
    Field("rejected_connections", "rejected_connections_total"),
    Field("total_net_input_bytes", "net_input_bytes_total"),
    Field("total_net_output_bytes", "net_output_bytes_total"),
    Field("total_net_repl_input_bytes", "net_repl_input_bytes_total"),
    Field("total_net_repl_output_bytes", "net_repl_output_bytes_total"),
    Field("client_query_buffer_limit_disconnections", "client_query_buffer_limit_disconnections_total"),
    Field("client_output_buffer_limit_disconnections", "client_output_buffer_limit_disconnections_total"),
    Field("reply_buffer_shrinks", "reply_buffer_shrinks_total"),
    Field("reply_buffer_expands", "reply_buffer_expands_total"),
    Field(
        "total_client_processing_events",
        "client_processing_events_total",
        help="Total attempts to process client input buffers",
    ),
    Field(
        "avg_pipeline_length_sum",
        "client_processing_pipeline_commands_total",
        help="Total commands parsed across client input parsing batches",
    ),
    Field(
        "avg_pipeline_length_cnt",
        "client_processing_pipeline_batches_total",
        help="Total client input parsing batches that parsed at least one command",
    ),
    Field("total_reads_processed", "total_reads_processed"),
    Field("total_writes_processed", "total_writes_processed"),
    Field("io_threaded_reads_processed", "io_threaded_reads_processed"),
    Field("io_threaded_writes_processed", "io_threaded_writes_processed"),
    # Keys
    Field("expired_keys", "expired_keys_total"),
    Field("expired_subkeys", "expired_subkeys_total"),
    Field("expired_fields", "expired_fields_total"),
    Field("expire_cycle_cpu_milliseconds", "expire_cycle_cpu_time_ms_total"),
    Field("evicted_keys", "evicted_keys_total"),
    Field("evicted_clients", "evicted_clients_total"),
    Field("evicted_scripts", "evicted_scripts_total"),
    Field("total_eviction_exceeded_time", "eviction_exceeded_time_ms_total"),
    Field("keyspace_hits", "keyspace_hits_total"),
    Field("keyspace_misses", "keyspace_misses_total"),
    # Event loop and CPU
    Field("eventloop_cycles", "eventloop_cycles_total"),
    Field("eventloop_duration_sum", "eventloop_duration_sum_usec_total"),
    Field("eventloop_duration_cmd_sum", "eventloop_duration_cmd_sum_usec_total"),
    Field(
        "eventloop_cycles_with_clients_processing",
        "eventloop_cycles_with_clients_processing_total",
        help="Total event loop cycles that processed client input buffers",
    ),
    Field("used_cpu_sys", "cpu_sys_seconds_total"),
    Field("used_cpu_user", "cpu_user_seconds_total"),
    Field("used_cpu_sys_children", "cpu_sys_children_seconds_total"),
    Field("used_cpu_user_children", "cpu_user_children_seconds_total"),
    Field("used_cpu_sys_main_thread", "cpu_sys_main_thread_seconds_total"),
    Field("used_cpu_user_main_thread", "cpu_user_main_thread_seconds_total"),
    Field("used_active_time_main_thread", "active_time_main_thread_seconds_total"),
    # Slow log, errors, access
    Field(
        "slowlog_commands_count",
        "slowlog_commands_total",
        help="Total number of commands written to the slowlog",
    ),
    Field(
        "slowlog_commands_time_ms_sum",
        "slowlog_commands_duration_seconds_total",
        help="Total execution time in seconds of slowlogged commands",
        divisor=1e3,
    ),
    Field("unexpected_error_replies", "unexpected_error_replies"),
    Field("total_error_replies", "total_error_replies"),
    Field("dump_payload_sanitizations", "dump_payload_sanitizations"),
    Field("acl_access_denied_auth", "acl_access_denied_auth_total"),
    Field("acl_access_denied_cmd", "acl_access_denied_cmd_total"),
    Field("acl_access_denied_key", "acl_access_denied_key_total"),
    Field("acl_access_denied_channel", "acl_access_denied_channel_total"),
    Field("acl_access_denied_tls_cert", "acl_access_denied_tls_cert_total"),
    Field("acl_access_denied_db", "acl_access_denied_db_total"),
)

CLUSTER = (
    Field("cluster_state", "cluster_state"),
    Field("cluster_slots_assigned", "cluster_slots_assigned"),
    Field("cluster_slots_ok", "cluster_slots_ok"),
    Field("cluster_slots_pfail", "cluster_slots_pfail"),
    Field("cluster_slots_fail", "cluster_slots_fail"),
    Field("cluster_nodes_pfail", "cluster_nodes_pfail"),
    Field("cluster_nodes_fail", "cluster_nodes_fail"),
    Field("cluster_voting_nodes_pfail", "cluster_voting_nodes_pfail"),
    Field("cluster_voting_nodes_fail", "cluster_voting_nodes_fail"),
    Field("cluster_known_nodes", "cluster_known_nodes"),
    Field("cluster_size", "cluster_size"),
    Field("cluster_current_epoch", "cluster_current_epoch"),
    Field("cluster_my_epoch", "cluster_my_epoch"),
    Field("cluster_stats_messages_sent", "cluster_messages_sent_total"),
    Field("cluster_stats_messages_received", "cluster_messages_received_total"),
)

_MESSAGES = (
    "ping", "pong", "meet", "fail", "publish", "publishshard", "auth-req", "auth-ack", "update", "mfstart", "module",
)  # fmt: skip
"""The kinds of messages on the cluster bus (cluster_legacy.c, clusterGetMessageTypeString)."""

BUS = tuple(
    Field(f"cluster_stats_messages_{kind}_{way}", f"cluster_stats_messages_{kind.replace('-', '_')}_{way}")
    for kind in _MESSAGES
    for way in ("sent", "received")
)

SECTIONS = (
    section((*(one.row("gauge") for one in GAUGES), *(one.row("counter") for one in COUNTERS))),
    section(one.row("gauge", cluster=True) for one in (*CLUSTER, *BUS)),
)
