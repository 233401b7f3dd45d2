"""Is one key too hot? By the low end of its interval: nobody is called on a guess."""

from __future__ import annotations

from alerts.rule import Alert, Family, Recording
from dashboards.links import Uid

KEY = ("job", "instance", "target", "addr", "db", "key")
HOT = "redis_hotkey_accesses_per_second_low and redis_hotkey_low_to_threshold_ratio > 1"
DOMINANT = "redis_hotkey_share_ratio > on ($on) group_left () redis_hotkey_threshold_share_ratio"

FAMILY = Family(
    "hotkeys",
    "Hot keys and their sampling",
    Uid.HOT_KEYS,
    recordings=(
        Recording(
            "addr:redis_sampling_bursts_lost:ratio_rate15m",
            'sum by ($on) (rate(redis_sampling_bursts_total{outcome=~"killed|error|lag|buffer"}[15m])) '
            "/ (sum by ($on) (rate(redis_sampling_bursts_total[15m])) > 0)",
        ),
    ),
    alerts=(
        Alert(
            "RedisHotKey",
            f"{HOT} unless {DOMINANT}",
            "1m",
            "info",
            "A key is hot.",
            "{{ $labels.key }} (db {{ $labels.db }}) of {{ $labels.addr }}: at least {{ $value | humanize }} accesses/s.",
            "Above the threshold alone is context: on a busy server many healthy keys are. With a large share of the node's "
            "accesses as well, it is a warning.",
            "a popular item; a configuration or flag that every request reads; a missing cache in the client; a retry loop",
            "the page shows reads, writes and size; cache it in the client for a second; split it into several "
            "keys; read it from replicas; a known one can be given another threshold, or none, in `sampling.overrides`",
            "hotkeys",
            KEY,
        ),
        Alert(
            "RedisHotKey",
            f"{HOT} and {DOMINANT}",
            "1m",
            "warning",
            "A key is hot and dominates its node.",
            "{{ $labels.key }} (db {{ $labels.db }}) of {{ $labels.addr }}: at least {{ $value | humanize }} accesses/s, and a "
            "large share of all.",
            "",
            "",
            "",
            "hotkeys",
            KEY,
        ),
        Alert(
            "RedisHotKeySaturates",
            f"{HOT} and {DOMINANT} and on ($on) addr:redis_cpu_main_thread:ratio_rate5m > $main_thread_full_ratio",
            "2m",
            "critical",
            "A hot key saturates its server.",
            "{{ $labels.key }} (db {{ $labels.db }}) of {{ $labels.addr }} has at least {{ $value | humanize }} accesses/s, and "
            "the main thread has nothing left.",
            "All keys of this node are slow because of one.",
            "as of [RedisHotKey](RedisHotKey.md)",
            "act on the key now: cache it in the client, or serve a copy under several names; see RedisHotKey",
            "hotkeys",
            KEY,
        ),
        Alert(
            "RedisHotKeyLarge",
            "redis_hotkey_accesses_per_second_low * redis_hotkey_memory_bytes > $hot_bytes_per_second",
            "5m",
            "warning",
            "A large key is read often.",
            "{{ $labels.key }} (db {{ $labels.db }}) of {{ $labels.addr }} moves about {{ $value | humanize1024 }}B a second.",
            "It fills the network and the main thread long before its rate looks bad. Reads of parts of a collection move less.",
            "a whole document where a field would do; a list or hash that grows without bound",
            "read parts (HGET, LRANGE with limits); compress; split",
            "hotkeys",
            KEY,
        ),
        Alert(
            "HotKeySamplingStopped",
            'redis_sampling_up == 0 and redis_up == 1 unless on ($on) redis_sampling_source_info{reason=~"off|replica|standby"}',
            "2m",
            "warning",
            "Hot keys are not measured.",
            "Hot keys of {{ $labels.addr }} ({{ $labels.target }}) are not measured; the reason is in redis_sampling_source_info.",
            "A hot key would not be seen.",
            "`denied`: the user may not run MONITOR; `memory`: the stream is too wide; `server_limit`: required and not set; "
            "`breaker`, `watchdog`: see the log",
            "docs/operating.md has a table of all reasons and what to do",
            "self",
        ),
        Alert(
            "RedisSamplingLossy",
            "addr:redis_sampling_bursts_lost:ratio_rate15m > $lost_bursts_ratio",
            "15m",
            "warning",
            "Many observations end badly.",
            "{{ $value | humanizePercentage }} of the observations of {{ $labels.addr }} ({{ $labels.target }}) were cut or lost.",
            "Intervals get wide, and figures may be late.",
            "the exporter's host has no CPU left; a slow network; very large values in the stream",
            "look at redis_sampling_bursts_total by outcome; give the exporter CPU; move it nearer to Redis",
            "self",
        ),
        Alert(
            "RedisSamplingCostly",
            "redis_sampling_watched_throughput_ratio < $watched_throughput_ratio "
            "and on ($on) addr:redis_commands_processed:rate5m > $watched_min_commands",
            "15m",
            "warning",
            "Watching slows the server down.",
            "{{ $labels.addr }} ({{ $labels.target }}) runs at {{ $value | humanizePercentage }} of its speed while MONITOR is on.",
            "MONITOR is on for a small share of the time, so the mean cost is small, but it is there.",
            "a saturated server with small commands",
            "lower `sampling.max_duty` or `events_per_second`; off switches are in docs/operating.md",
            "self",
        ),
        Alert(
            "RedisSamplingUnlimited",
            "redis_sampling_server_limit_bytes == 0 and redis_sampling_up == 1",
            "1h",
            "info",
            "The server has no limit of its own for a reader that stalls.",
            "{{ $labels.addr }} ({{ $labels.target }}) would not end a client that does not read.",
            "If the exporter's host and its watchdog are lost together, only the server could end MONITOR. Sampling keeps "
            "its time on MONITOR shorter because of that.",
            "the default configuration of Redis",
            '`CONFIG SET client-output-buffer-limit "normal 67108864 33554432 10"`, or maxmemory-clients; see docs/operating.md',
            "self",
        ),
        Alert(
            "RedisHotKeyLabelsSuppressed",
            "increase(redis_hotkey_labels_suppressed_total[1h]) > 0",
            "5m",
            "info",
            "Some hot keys are not shown.",
            "{{ $value | humanize }} keys of {{ $labels.addr }} ({{ $labels.target }}) were not shown in the last hour.",
            "The bound on new series was reached: the keys are measured, but have no series of their own.",
            "hot keys that change all the time (session ids, dates in names)",
            "look at the key groups; raise `sampling.max_new_labels_per_hour` if Prometheus has room",
            "hotkeys",
        ),
    ),
)
