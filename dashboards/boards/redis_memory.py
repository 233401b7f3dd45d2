"""Redis overview, second part: what it holds, for whom, and with which means."""

from __future__ import annotations

from dashboards.model import Column, Query, Row
from dashboards.panels import GREEN, ORANGE, RED, YES_NO, bars, levels, lines, states, table
from dashboards.queries import NODE_LEGEND, gauge, quotient, rate

# What is part of `redis_memory_used_bytes`, by the name it has in Redis' own documentation.
PARTS = (
    ("redis_memory_used_dataset_bytes", "data set"),
    ("redis_mem_clients_normal", "clients"),
    ("redis_mem_clients_slaves", "replicas"),
    ("redis_mem_replication_backlog_bytes", "replication backlog"),
    ("redis_mem_aof_buffer_bytes", "AOF buffer"),
    ("redis_mem_cluster_links_bytes", "cluster links"),
    ("redis_memory_used_scripts_bytes", "scripts"),
    ("redis_memory_used_functions_bytes", "functions"),
    ("redis_memory_used_startup_bytes", "at the start"),
)

KEYSPACE = Row(
    "Keys",
    (
        lines(
            "Hit ratio",
            "percentunit",
            "Share of lookups that found their key, over 1 and 5 minutes, without the exporter's own. The line is the "
            "objective at the top of the page.",
            Query(gauge("redis_keyspace_hit_ratio", "window"), f"{{{{window}}}} {NODE_LEGEND}"),
            Query("vector($hit_objective)", "objective"),
            maximum=1,
            dashed="^objective$",
        ),
        lines(
            "Hits and misses",
            "ops",
            "Lookups of all nodes together.",
            Query(f"sum({rate('redis_keyspace_hits_total')})", "hits"),
            Query(f"sum({rate('redis_keyspace_misses_total')})", "misses"),
            stack=True,
        ),
        lines(
            "Evicted and expired keys",
            "cps",
            "Evictions mean that the memory is full; a cache at its limit evicts all the time and may be well.",
            Query(rate("redis_evicted_keys_total"), f"evicted {NODE_LEGEND}"),
            Query(rate("redis_expired_keys_total"), f"expired {NODE_LEGEND}"),
        ),
        lines(
            "Keys by database",
            "short",
            "All keys; empty databases are absent.",
            Query(f"{gauge('redis_db_keys', 'db')} > 0", f"{{{{db}}}} {NODE_LEGEND}"),
        ),
        lines(
            "Keys that expire",
            "percentunit",
            "Share of keys that have an expiry. Without one, only eviction removes them.",
            Query(
                quotient(gauge("redis_db_keys_expiring", "db"), gauge("redis_db_keys", "db")),
                f"{{{{db}}}} {NODE_LEGEND}",
            ),
            maximum=1,
        ),
        lines(
            "Mean life that is left",
            "s",
            "Of the keys that have an expiry.",
            Query(gauge("redis_db_avg_ttl_seconds", "db"), f"{{{{db}}}} {NODE_LEGEND}"),
        ),
        lines(
            "Expired but still there",
            "percent",
            "Share of expired keys that still take memory. High: the expiry cycle does not keep up.",
            gauge("redis_expired_stale_percentage"),
        ),
        lines(
            "Expiry cycle",
            "percentunit",
            "CPU time of looking for expired keys, and how often it ran out of its time.",
            Query(f"{rate('redis_expire_cycle_cpu_time_ms_total')} / 1000", NODE_LEGEND),
        ),
        lines(
            "Lazy freeing",
            "short",
            "Objects that wait to be freed in the background.",
            gauge("redis_lazyfree_pending_objects"),
        ),
    ),
)

MEMORY = Row(
    "Memory",
    (
        lines(
            "Memory in use",
            "bytes",
            "As Redis counts it, and what the kernel has given it.",
            Query(gauge("redis_memory_used_bytes"), f"used {NODE_LEGEND}"),
            Query(gauge("redis_memory_used_rss_bytes"), f"resident {NODE_LEGEND}"),
            Query(gauge("redis_memory_used_peak_bytes"), f"peak {NODE_LEGEND}"),
            Query(f"{gauge('redis_memory_max_bytes')} > 0", f"limit {NODE_LEGEND}"),
            dashed="^limit ",
        ),
        lines(
            "Share of the limit",
            "percentunit",
            "Of maxmemory. Nodes without a limit are absent; the next panel has them.",
            quotient(gauge("redis_memory_used_bytes"), gauge("redis_memory_max_bytes")),
            maximum=1,
            thresholds=levels((0, GREEN), (0.85, ORANGE), (0.95, RED)),
        ),
        lines(
            "Share of the host, without a limit",
            "percentunit",
            "Of the memory of the host, for nodes without maxmemory.",
            f"{quotient(gauge('redis_memory_used_bytes'), gauge('redis_total_system_memory_bytes'))} "
            f"and on (target, addr) {gauge('redis_memory_max_bytes')} == 0",
            maximum=1,
        ),
        lines(
            "What it is made of",
            "bytes",
            "Memory in use of all nodes together, by what it is for. Only the data set is yours.",
            *(Query(f"sum({gauge(metric)})", name) for metric, name in PARTS),
            stack=True,
        ),
        lines(
            "Fragmentation",
            "none",
            "Resident over used. Above 1.5 memory is wasted; below 1 the rest is in swap. Small servers are always odd.",
            gauge("redis_mem_fragmentation_ratio"),
            thresholds=levels((0, GREEN), (1.5, ORANGE)),
            limit=1.5,
        ),
        lines(
            "Wasted by fragmentation",
            "bytes",
            "Resident minus used; negative where a part is in swap.",
            gauge("redis_mem_fragmentation_bytes"),
            minimum=None,
        ),
        lines(
            "Allocator",
            "bytes",
            "Allocated, active (pages with something in them) and resident, all nodes together.",
            *(
                Query(f"sum({gauge(f'redis_allocator_{name}_bytes')})", name)
                for name in ("allocated", "active", "resident")
            ),
        ),
        lines(
            "Not counted for eviction",
            "bytes",
            "Buffers of replicas and AOF, which maxmemory does not bound.",
            gauge("redis_mem_not_counted_for_eviction_bytes"),
        ),
        states(
            "Active defragmentation",
            "Whether it moves memory about right now.",
            f"{gauge('redis_active_defrag_running')} > bool 0",
            texts=YES_NO,
        ),
    ),
)

CLIENTS = Row(
    "Clients",
    (
        lines("Connected clients", "short", "Connections by node.", gauge("redis_connected_clients")),
        lines(
            "Share of maxclients",
            "percentunit",
            "At 100 % new connections are refused.",
            quotient(gauge("redis_connected_clients"), gauge("redis_config_maxclients")),
            maximum=1,
            thresholds=levels((0, GREEN), (0.8, ORANGE), (0.95, RED)),
        ),
        lines(
            "Waiting and special clients",
            "short",
            "Blocked (BLPOP, WAIT), tracking, subscribed, watching, about to time out; all nodes together.",
            Query(f"sum({gauge('redis_blocked_clients')})", "blocked"),
            Query(f"sum({gauge('redis_tracking_clients')})", "tracking"),
            Query(f"sum({gauge('redis_pubsub_clients')})", "subscribed"),
            Query(f"sum({gauge('redis_watching_clients')})", "watching"),
            Query(f"sum({gauge('redis_clients_in_timeout_table')})", "with a timeout"),
        ),
        lines("New connections", "cps", "Many mean a client without a pool.", rate("redis_connections_received_total")),
        lines(
            "Refused and evicted",
            "cps",
            "Connections above maxclients, and clients closed to free their buffers.",
            Query(rate("redis_rejected_connections_total"), f"refused {NODE_LEGEND}"),
            Query(rate("redis_evicted_clients_total"), f"evicted {NODE_LEGEND}"),
        ),
        lines(
            "Client buffers",
            "bytes",
            "The largest buffer that any client had lately, and what all clients' buffers take.",
            Query(gauge("redis_client_recent_max_input_buffer_bytes"), f"largest input {NODE_LEGEND}"),
            Query(gauge("redis_client_recent_max_output_buffer_bytes"), f"largest output {NODE_LEGEND}"),
            Query(gauge("redis_mem_clients_normal"), f"all {NODE_LEGEND}"),
        ),
        table(
            "Limits of output buffers",
            "At which the server closes a client that does not read; 0 is never.",
            (
                Column("Target", "target"),
                Column("Node", "addr"),
                Column("Clients", "class"),
                Column("Kind", "limit"),
                Column("Limit", unit="bytes", texts={"0": "never"}),
            ),
            gauge("redis_config_client_output_buffer_limit_bytes", "class", "limit"),
            sort="Node",
            height=6,
        ),
    ),
)

MACHINE = Row(
    "Network and CPU",
    (
        lines(
            "Network",
            "Bps",
            "Bytes of commands and of replies.",
            Query(rate("redis_net_input_bytes_total"), f"in {NODE_LEGEND}"),
            Query(rate("redis_net_output_bytes_total"), f"out {NODE_LEGEND}"),
        ),
        lines(
            "Network of replication",
            "Bps",
            "To replicas and from the master.",
            Query(rate("redis_net_repl_input_bytes_total"), f"in {NODE_LEGEND}"),
            Query(rate("redis_net_repl_output_bytes_total"), f"out {NODE_LEGEND}"),
        ),
        lines(
            "Main thread",
            "percentunit",
            "Share of one core: commands run on this thread alone.",
            f"{rate('redis_cpu_sys_main_thread_seconds_total')} + {rate('redis_cpu_user_main_thread_seconds_total')}",
            maximum=1,
            thresholds=levels((0, GREEN), (0.85, ORANGE), (0.95, RED)),
        ),
        lines(
            "CPU time of the process",
            "percentunit",
            "In cores, all nodes together: the process and its children (forks for RDB and AOF).",
            *(
                Query(f"sum({rate(f'redis_cpu_{name}_seconds_total')})", name.replace("_", " of "))
                for name in ("user", "sys", "user_children", "sys_children")
            ),
            stack=True,
        ),
        lines(
            "I/O threads",
            "percentunit",
            "Share of its core that each I/O thread is busy; Valkey 8.1 and newer.",
            Query(rate("redis_active_time_io_thread_seconds_total", "thread"), f"{{{{thread}}}} {NODE_LEGEND}"),
        ),
        bars(
            "I/O threads configured",
            "none",
            "`io-threads`; 1 means that the main thread does it all.",
            gauge("redis_config_io_threads"),
        ),
    ),
)

SCRIPTS = Row(
    "Pub/sub, scripts and functions",
    (
        lines(
            "Pub/sub",
            "short",
            "Channels and patterns that have subscribers.",
            Query(f"sum({gauge('redis_pubsub_channels')})", "channels"),
            Query(f"sum({gauge('redis_pubsub_patterns')})", "patterns"),
            Query(f"sum({gauge('redis_pubsubshard_channels')})", "shard channels"),
        ),
        lines(
            "Scripts and functions",
            "short",
            "How many the server holds.",
            Query(f"sum({gauge('redis_number_of_cached_scripts')})", "scripts"),
            Query(f"sum({gauge('redis_number_of_functions')})", "functions"),
            Query(f"sum({gauge('redis_number_of_libraries')})", "libraries"),
        ),
        lines(
            "Memory of scripts",
            "bytes",
            "Lua engines and what they hold.",
            Query(gauge("redis_memory_used_vm_eval_bytes"), f"engines {NODE_LEGEND}"),
            Query(gauge("redis_memory_used_scripts_bytes"), f"all {NODE_LEGEND}"),
        ),
        lines(
            "Scripts thrown out",
            "cps",
            "EVAL scripts that were evicted; Redis 7.4 and newer.",
            rate("redis_evicted_scripts_total"),
        ),
        lines(
            "Watched and blocking keys",
            "short",
            "Keys that clients WATCH, or wait at (BLPOP, XREAD).",
            Query(gauge("redis_total_watched_keys"), f"watched {NODE_LEGEND}"),
            Query(gauge("redis_total_blocking_keys"), f"blocking {NODE_LEGEND}"),
        ),
        lines(
            "Client-side caching",
            "short",
            "Keys and clients that the server remembers to invalidate.",
            Query(gauge("redis_tracking_total_keys"), f"keys {NODE_LEGEND}"),
            Query(gauge("redis_tracking_total_items"), f"items {NODE_LEGEND}"),
        ),
    ),
    closed=True,
)

ROWS = (KEYSPACE, MEMORY, CLIENTS, MACHINE)
