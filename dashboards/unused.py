"""Families that no panel and no rule uses, and why not. Pure; a test compares it with what the exporter has.

They are there for users of redis_exporter, and for a look by hand. A new family belongs on a panel, or here.
"""

from __future__ import annotations

UNUSED = (
    ("settings, shown where their effect is", (
        "redis_config_client_output_buffer_limit_overcome_seconds", "redis_config_maxmemory",
        "redis_config_repl_backlog_size", "redis_configured_hz", "redis_hz", "redis_max_clients",
        "redis_commandlog_execution_slower_than", "redis_commandlog_slow_execution_max_len",
        "redis_commandlog_request_larger_than", "redis_commandlog_large_request_max_len",
        "redis_commandlog_reply_larger_than", "redis_commandlog_large_reply_max_len",
        "redis_sentinel_master_setting_down_after_milliseconds", "redis_sentinel_master_setting_failover_timeout",
        "redis_sentinel_master_setting_parallel_syncs", "redis_slave_priority",
    )),
    ("the totals of the cluster bus are shown, not each kind of message", tuple(
        f"redis_cluster_stats_messages_{kind}_{way}"
        for kind in (
            "ping", "pong", "meet", "fail", "publish", "publishshard", "auth_req", "auth_ack", "update", "mfstart",
            "module",
        )
        for way in ("sent", "received")
    )),
    ("another form of what is shown", (
        "redis_active_time_main_thread_seconds_total", "redis_allocator_frag_bytes", "redis_allocator_frag_ratio",
        "redis_allocator_rss_bytes", "redis_allocator_rss_ratio", "redis_allocator_muzzy_bytes",
        "redis_memory_used_overhead_bytes", "redis_memory_used_lua_bytes", "redis_memory_used_vm_total",
        "redis_memory_used_scripts_eval_bytes", "redis_memory_used_vm_functions_bytes",
        "redis_mem_replicas_repl_buffer_bytes", "redis_replicas_repl_buffer_size_bytes",
        "redis_replicas_repl_buffer_peak_bytes", "redis_repl_backlog_is_active",
        "redis_repl_backlog_first_byte_offset", "redis_second_repl_offset", "redis_cluster_my_epoch",
        "redis_cluster_voting_nodes_fail", "redis_cluster_voting_nodes_pfail", "redis_cluster_nodes_fail",
        "redis_cluster_nodes_pfail", "redis_cluster_connections", "redis_latency_spike_last",
        "redis_slowlog_commands_total", "redis_slowlog_commands_duration_seconds_total",
        "redis_slowlog_commands_duration_seconds_max", "redis_commands_slowlog_duration_seconds_total",
        "redis_aof_rewrite_buffer_length", "redis_aof_current_rewrite_duration_sec", "redis_aof_rewrite_scheduled",
        "redis_aof_pending_rewrite", "redis_module_fork_last_cow_size", "redis_lazyfreed_objects",
        "redis_total_blocking_keys_on_nokey", "redis_tracking_total_prefixes", "redis_active_clients",
        "redis_process_id", "redis_sentinel_master_config_epoch", "redis_io_threads_active",
        "process_virtual_memory_bytes",
        "redis_expired_time_cap_reached_total", "redis_eventloop_duration_sum_usec_total",
        "redis_instantaneous_eventloop_cycles_per_sec", "redis_eventloop_cycles_with_clients_processing_total",
    )),
    ("inner workings that say something to those who develop the server", (
        "redis_aof_pending_bio_fsync",
        "redis_async_loading", "redis_backup_in_progress", "redis_client_processing_events_total",
        "redis_client_processing_pipeline_batches_total", "redis_client_processing_pipeline_commands_total",
        "redis_client_processing_pipeline_length", "redis_defrag_hits", "redis_defrag_misses",
        "redis_defrag_key_hits", "redis_defrag_key_misses", "redis_dump_payload_sanitizations",
        "redis_eviction_exceeded_time_ms_total", "redis_current_eviction_exceeded_time_ms",
        "redis_expired_keys_with_volatile_items_stale_percentage",
        "redis_mem_overhead_db_hashtable_rehashing_bytes", "redis_migrate_cached_sockets_total",
        "redis_reply_buffer_expands_total", "redis_reply_buffer_shrinks_total", "redis_slave_expires_tracked_keys",
        "redis_replicas_waiting_psync", "redis_sentinel_running_scripts", "redis_sentinel_scripts_queue_length",
        "redis_sentinel_simulate_failure_flags",
    )),
    ("what only some servers have, and few of their users", (
        "redis_acl_access_denied_db_total", "redis_acl_access_denied_tls_cert_total", "redis_db_keys_cached",
        "redis_db_keys_with_expiring_items", "redis_expired_fields_total", "redis_expired_subkeys_total",
        "redis_hash_template_keys", "redis_hash_templates", "redis_memory_used_hash_templates_bytes",
        "redis_memory_max_fragmentation_reservation_bytes",
        "redis_memory_max_fragmentation_reservation_desired_bytes", "redis_memory_max_reservation_bytes",
        "redis_memory_max_reservation_desired_bytes", "redis_scripting_engine_info",
        "redis_scripting_engine_memory_overhead_bytes", "redis_scripting_engine_memory_used_bytes",
        "redis_scripting_engines_count", "redis_scripting_engines_memory_overhead_bytes",
        "redis_scripting_engines_memory_used_bytes", "redis_tls_certificate_info",
    )),
    ("for joins of your own", ("redis_target_info",)),
    ("heat of a cluster by slot: CLUSTER SLOT-STATS says more where there is one", (
        "redis_hot_slot_accesses_per_second",
    )),
)  # fmt: skip
"""Reasons, each with the families that it holds for."""
