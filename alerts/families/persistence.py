"""Would it come back with its data? Only where persistence is in use."""

from __future__ import annotations

from alerts.rule import Alert, Family

AOF = "and on ($on) redis_aof_enabled == 1"

FAMILY = Family(
    "persistence",
    "Persistence",
    alerts=(
        Alert(
            "RedisRdbSaveFailed",
            "redis_rdb_last_bgsave_status == 0",
            "1m",
            "critical",
            "The last RDB save failed.",
            "{{ $labels.addr }} ({{ $labels.target }}) could not write its RDB file.",
            "With `stop-writes-on-bgsave-error` all writes are now refused with MISCONF; a restart loses the rest.",
            "the disk is full; no right to write; no memory for the fork",
            "read the server's log; free the disk; `vm.overcommit_memory=1`; then `BGSAVE`",
            topic="rdb",
        ),
        Alert(
            "RedisRdbStale",
            "time() - redis_rdb_last_save_timestamp_seconds > $rdb_age_seconds and redis_rdb_changes_since_last_save > 0 "
            "and redis_rdb_saves_total > 0",
            "1h",
            "warning",
            "The last RDB file is old.",
            "{{ $labels.addr }} ({{ $labels.target }}) saved last {{ $value | humanizeDuration }} ago and has changed since.",
            "A crash loses everything since. A server that has never saved since its start is left out: it is a cache.",
            "save points were removed; the job that calls BGSAVE stopped",
            "`CONFIG GET save`; `BGSAVE`",
            topic="rdb",
        ),
        Alert(
            "RedisRdbSaveLong",
            "redis_rdb_current_bgsave_duration_sec > $rdb_save_seconds",
            "1m",
            "warning",
            "An RDB save takes long.",
            "{{ $labels.addr }} ({{ $labels.target }}) has been saving for {{ $value | humanizeDuration }}.",
            "Meanwhile every page that is written is copied: memory grows.",
            "a slow disk; a large data set",
            "look at copy-on-write memory; save on a replica; a faster disk",
        ),
        Alert(
            "RedisAofWriteFailed",
            f"redis_aof_last_write_status == 0 {AOF}",
            "1m",
            "critical",
            "The append-only file cannot be written.",
            "{{ $labels.addr }} ({{ $labels.target }}) cannot write its AOF: writes are refused.",
            "Clients get MISCONF, or data that is acknowledged is not on disk.",
            "the disk is full or failed",
            "free the disk: Redis goes on by itself",
            topic="aof",
        ),
        Alert(
            "RedisAofRewriteFailed",
            f"redis_aof_last_bgrewrite_status == 0 {AOF}",
            "5m",
            "warning",
            "The append-only file could not be rewritten.",
            "{{ $labels.addr }} ({{ $labels.target }}) could not rewrite its AOF; it grows without bound.",
            "A restart takes longer and longer, and the disk fills.",
            "no room for two files; no memory for the fork",
            "free the disk; `BGREWRITEAOF`",
            topic="aof",
        ),
        Alert(
            "RedisAofDelayedFsync",
            f"rate(redis_aof_delayed_fsync[5m]) > $delayed_fsyncs_per_second {AOF}",
            "10m",
            "warning",
            "Writes wait for the disk.",
            "{{ $labels.addr }} ({{ $labels.target }}) waits for fsync {{ $value | humanize }} times a second.",
            "All clients wait with it.",
            "a slow or shared disk; a rewrite at the same time",
            "`no-appendfsync-on-rewrite yes`; a faster disk; `appendfsync everysec` on a replica only",
            topic="aof",
        ),
    ),
)
