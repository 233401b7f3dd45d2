"""Is there room? By what the server does when there is none: a cache that evicts lives at its limit."""

from __future__ import annotations

from alerts.rule import Alert, Family, Recording

STORE = 'and on ($on) redis_instance_info{maxmemory_policy="noeviction"}'

FAMILY = Family(
    "memory",
    "Memory",
    recordings=(
        Recording("addr:redis_memory_used:ratio", "redis_memory_used_bytes / (redis_memory_max_bytes > 0)"),
        Recording(
            "addr:redis_memory_used_host:ratio",
            "redis_memory_used_bytes / redis_total_system_memory_bytes and redis_memory_max_bytes == 0",
        ),
        Recording(
            "addr:redis_keyspace_hits:ratio_rate5m",
            "rate(redis_keyspace_hits_total[5m]) / "
            "(rate(redis_keyspace_hits_total[5m]) + rate(redis_keyspace_misses_total[5m]) > $hit_ratio_min_lookups)",
        ),
    ),
    alerts=(
        Alert(
            "RedisMemoryHigh",
            f"(addr:redis_memory_used:ratio {STORE} or addr:redis_memory_used_host:ratio) > on (job, instance) group_left () "
            "hotkey_exporter_alert_memory_threshold_ratio",
            "5m",
            "warning",
            "Memory is short, and nothing is evicted.",
            "{{ $labels.addr }} ({{ $labels.target }}) uses {{ $value | humanizePercentage }} of what it may use.",
            "At the limit writes are refused, or, without a limit, the kernel ends the process.",
            "the data set has grown; keys without expiry; a leak in what is written; large client buffers",
            "look at the key groups by memory; look at the largest keys; set expiries; raise maxmemory, or add a shard",
            topic="memory",
        ),
        Alert(
            "RedisMemoryFull",
            f"addr:redis_memory_used:ratio > $memory_full_ratio {STORE}",
            "2m",
            "critical",
            "Memory is nearly full, and writes are about to be refused.",
            "{{ $labels.addr }} ({{ $labels.target }}) uses {{ $value | humanizePercentage }} of its maxmemory under noeviction.",
            "Every write will be answered with an OOM error.",
            "as of [RedisMemoryHigh](RedisMemoryHigh.md), and nobody acted",
            "`CONFIG SET maxmemory` higher if the host has room; delete the key group that nobody needs, with UNLINK",
            topic="memory",
        ),
        Alert(
            "RedisOutOfMemoryErrors",
            'rate(redis_errors_total{err="OOM"}[5m]) > 0',
            "1m",
            "critical",
            "Writes are refused for want of memory.",
            "{{ $labels.addr }} ({{ $labels.target }}) answers {{ $value | humanize }} commands a second with OOM.",
            "Users lose writes now.",
            "maxmemory under noeviction; a volatile policy and no keys with an expiry left",
            "raise maxmemory at once if the host has room; then find what grew",
            topic="memory",
        ),
        Alert(
            "RedisMemoryUnlimited",
            "addr:redis_memory_used_host:ratio > $unlimited_memory_ratio",
            "30m",
            "warning",
            "A server without maxmemory uses much of its host.",
            "{{ $labels.addr }} ({{ $labels.target }}) has no maxmemory and uses {{ $value | humanizePercentage }} of the host's memory.",
            "A fork for saving can need as much again; the kernel then ends the process with all that is in it.",
            "maxmemory was never set",
            "`CONFIG SET maxmemory`, leaving room for copy-on-write, and choose a policy",
            topic="memory",
        ),
        Alert(
            "RedisMemoryFillsSoon",
            "predict_linear(redis_memory_used_bytes[1h], 4 * 3600) > redis_memory_max_bytes "
            f"and addr:redis_memory_used:ratio > $forecast_min_ratio {STORE}",
            "30m",
            "warning",
            "Memory will be full within four hours.",
            "{{ $labels.addr }} ({{ $labels.target }}) grows so fast that it will reach its maxmemory within four hours.",
            "There is time to act before writes are refused.",
            "a batch job; keys without expiry; a queue whose consumers stopped",
            "look at which key group grows; look at list and stream lengths; see [RedisMemoryHigh](RedisMemoryHigh.md)",
            topic="memory",
        ),
        Alert(
            "RedisEvictionStorm",
            "rate(redis_evicted_keys_total[5m]) > $evictions_per_second and addr:redis_keyspace_hits:ratio_rate5m "
            "< $hit_ratio_left * addr:redis_keyspace_hits:ratio_rate5m offset 1h",
            "10m",
            "warning",
            "Evictions hurt the hit ratio.",
            "{{ $labels.addr }} ({{ $labels.target }}) evicts {{ $value | humanize }} keys a second while its hit ratio falls.",
            "A full cache evicts as designed; with a falling hit ratio it throws out what is needed.",
            "the working set has outgrown the cache; a batch job reads or writes everything once; large values",
            "look at new key groups; move the batch job elsewhere; `allkeys-lfu` resists scans; raise maxmemory",
        ),
        Alert(
            "RedisFragmentation",
            "redis_mem_fragmentation_ratio > $fragmentation_ratio and redis_mem_fragmentation_bytes > $fragmentation_bytes",
            "30m",
            "warning",
            "Memory is fragmented.",
            "{{ $labels.addr }} ({{ $labels.target }}) takes {{ $value | humanize }} times the memory that it uses.",
            "The host may run out although the server seems to have room.",
            "many deletions after a peak; values that change their size",
            "`CONFIG SET activedefrag yes`; `MEMORY PURGE`; a restart or failover if it must be at once",
        ),
        Alert(
            "RedisSwapping",
            "redis_memory_used_rss_bytes / redis_memory_used_bytes < $swap_ratio and redis_memory_used_bytes > $swap_min_bytes",
            "15m",
            "warning",
            "Part of the memory is probably in swap.",
            "Only {{ $value | humanizePercentage }} of the memory of {{ $labels.addr }} ({{ $labels.target }}) is resident.",
            "A command that touches swapped memory takes milliseconds instead of microseconds, and all wait for it.",
            "the host has too little memory; other processes; swappiness",
            "`grep VmSwap /proc/PID/status`; lower maxmemory, or move something away",
        ),
        Alert(
            "RedisClientBuffersLarge",
            "redis_mem_clients_normal > $client_buffers_bytes",
            "10m",
            "warning",
            "Buffers of clients take much memory.",
            "Buffers of clients of {{ $labels.addr }} ({{ $labels.target }}) take {{ $value | humanize1024 }}B.",
            "They count towards maxmemory: keys are evicted for them.",
            "clients that read slowly; huge pipelines or replies; a MONITOR that somebody forgot",
            "`CLIENT LIST` sorted by `omem` and `qbuf`; set `maxmemory-clients`; `CLIENT KILL` the worst",
        ),
    ),
)
