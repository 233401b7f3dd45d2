"""Hot keys, second part: where do the figures come from, and what does the server itself say?"""

from __future__ import annotations

from dashboards.model import Column, Query, Row
from dashboards.panels import lines, table
from dashboards.queries import KEY, gauge, rate, rates, select

KEY_LEGEND = "{{key}} (db {{db}}) {{addr}}"


def _key(metric: str) -> str:
    return gauge(metric, "db", "key", scope=KEY)


SOURCES = Row(
    "Where the figures come from",
    (
        table(
            "Sources",
            "Where the figures of each node come from and why: monitor (full: everything is counted; sampled: bursts), "
            "or what stands in for it. Source none says why there is nothing.",
            (
                Column("Target", "target"),
                Column("Node", "addr"),
                Column("Source", "source"),
                Column("Reason", "reason"),
                Column("Fresh", texts={"0": "no", "1": "yes"}),
            ),
            "max by (target, addr, source, reason) "
            f"({select('redis_sampling_source_info')} * on (job, instance, target, addr) group_left () "
            f"{select('redis_sampling_up')})",
            sort="Target",
            descending=False,
            width=12,
        ),
        lines(
            "Share of time observed",
            "percentunit",
            "How much of the time MONITOR is on: nearly all of it on a small server, a few percent on a busy one.",
            gauge("redis_sampling_duty_ratio"),
            width=6,
            maximum=1,
        ),
        lines(
            "Floor",
            "reqps",
            "Accesses per second below which a key may be missing; 0 while nothing is cut.",
            gauge("redis_sampling_floor"),
            width=6,
        ),
        lines(
            "Keys that were not shown",
            "cps",
            "New keys above `sampling.max_new_labels_per_hour`: measured, but without series of their own.",
            rate("redis_hotkey_labels_suppressed_total"),
        ),
        lines(
            "Different keys in the window",
            "short",
            "How many keys were seen at all.",
            gauge("redis_sampling_window_keys"),
        ),
        lines(
            "Observations by what ended them",
            "cps",
            "Complete, or a limit (events, bytes, time, lag, buffer) or a fault (killed, error).",
            Query(f"sum by (outcome) ({rates('redis_sampling_bursts_total', 'outcome')})", "{{outcome}}"),
            stack=True,
        ),
    ),
)

OTHERS = Row(
    "What the server says itself (HOTKEYS, LFU)",
    (
        lines(
            "CPU time by key",
            "percentunit",
            "Share of a core that commands on a key take, as HOTKEYS of Redis 8.6 and newer samples it.",
            Query(_key("redis_hotkey_cpu_seconds_per_second"), KEY_LEGEND),
            width=6,
        ),
        lines(
            "Network by key",
            "Bps",
            "Bytes of commands on a key and of their replies, as HOTKEYS of Redis 8.6 and newer samples them.",
            Query(_key("redis_hotkey_network_bytes_per_second"), KEY_LEGEND),
            width=6,
        ),
        lines(
            "Accesses by key, counted by the server",
            "reqps",
            "As HOTKEYS of Valkey estimates them in its own window.",
            Query(_key("redis_hotkey_server_accesses_per_second"), KEY_LEGEND),
            width=6,
        ),
        lines(
            "LFU counters",
            "none",
            "0 to 255: a rank and no rate, it grows with the logarithm of the accesses. Only under an LFU policy.",
            Query(_key("redis_hotkey_lfu_frequency"), KEY_LEGEND),
            width=6,
        ),
    ),
    closed=True,
)

ROWS = (SOURCES, OTHERS)
