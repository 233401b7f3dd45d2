"""Which keys are hot, how hot, and how sure is that?"""

from __future__ import annotations

from dashboards.boards.hotkeys_sources import ROWS
from dashboards.choices import (
    ALERTS,
    DATABASES,
    INSTANCE,
    JOB,
    KEYS,
    NODES,
    TARGETS,
    drill,
    failovers,
    restarts,
    warmed,
)
from dashboards.links import Uid
from dashboards.model import Column, Dashboard, Query, Row
from dashboards.panels import GREEN, GREY, ORANGE, RED, bars, levels, lines, number, table
from dashboards.queries import KEY, MASTERS, by_node, by_target, gauge, quotient, rate, select, top

BY_KEY = ("db", "key")
KEY_LEGEND = "{{key}} (db {{db}}) {{addr}}"
GROUP_LEGEND = "{{key_group}} {{target}}"
TOP = 10
RATE = "redis_hotkey_accesses_per_second"
BY_GROUP = ("db", "key_group")
PRIMARIES = (
    f"({rate('redis_commands_processed_total')} and on (target, addr) {gauge('redis_node_info', where=MASTERS)})"
)


def _key(metric: str, *by: str) -> str:
    return gauge(metric, *BY_KEY, *by, scope=KEY)


def _hottest(metric: str) -> str:
    """A figure of the keys that were accessed most over the whole time shown."""
    over = f"max by (target, addr, db, key) (avg_over_time({select(RATE, scope=KEY)}[$__range] @ end()))"
    return top(TOP, _key(metric), "target", "addr", *BY_KEY, over=over)


def _groups(metric: str) -> str:
    """A figure of the key groups that are largest by it, all nodes of a target added up."""
    largest = f"sum by (target, key_group) (avg_over_time({select(metric)}[$__range] @ end()))"
    whole = by_target(gauge(metric, "db", "key_group"), "key_group")
    return top(TOP, whole, "target", "key_group", over=largest)


NOW = Row(
    "Now",
    (
        number(
            "Hot keys",
            "short",
            "Keys whose rate is above the threshold even at the low end of the interval.",
            f"sum({gauge('redis_hotkeys_over_threshold')})",
            thresholds=levels((0, GREEN), (1, ORANGE)),
        ),
        number(
            "Hottest key",
            "reqps",
            "Accesses per second of the most accessed key.",
            f"max({_key(RATE)})",
        ),
        number(
            "Largest share",
            "percentunit",
            "The largest share that one key has of its node's accesses. Above the threshold (10 % by default) the key "
            "decides how the node does.",
            f"max({_key('redis_hotkey_share_ratio')})",
            maximum=1,
            thresholds=levels((0, GREEN), (0.1, ORANGE), (0.5, RED)),
        ),
        number(
            "Accesses shown",
            "percentunit",
            "Share of all key accesses that the keys of this page make up. The rest is spread over many keys.",
            f"avg({by_node('sum by (job, instance, target, addr) (' + select('redis_hotkey_share_ratio') + ')')})",
            maximum=1,
        ),
        number(
            "Nodes measured",
            "percentunit",
            "Share of the nodes that are up whose hot keys are being measured right now.",
            quotient(f"sum({gauge('redis_sampling_up')})", f"sum({gauge('redis_up')})"),
            area=False,
            maximum=1,
            thresholds=levels((0, RED), (0.5, ORANGE), (1, GREEN)),
        ),
        number(
            "Widest interval",
            "percentunit",
            "Half the width of the 95 % interval over the estimate, the worst of the keys shown; 0 where everything is "
            "counted in full.",
            f"max({quotient('(' + _key(RATE + '_high') + ' - ' + _key(RATE + '_low') + ')', '2 * ' + _key(RATE))})",
        ),
        table(
            "Hot keys, one by one",
            "The keys of the window. Low and high are the ends of the 95 % interval: equal to the rate where everything "
            "was observed. Over the threshold counts the low end only. A click on a key shows it alone.",
            (
                Column(
                    "Key",
                    "key",
                    width=280,
                    link=drill(
                        "Only this key",
                        Uid.HOT_KEYS,
                        {"target": "Target", "addr": "Node", "db": "Database", "key": "Key"},
                    ),
                ),
                Column("Database", "db", width=105),
                Column("Target", "target"),
                Column(
                    "Node",
                    "addr",
                    width=170,
                    link=drill("Its node", Uid.REDIS, {"target": "Target", "addr": "Node"}),
                ),
                Column("Accesses/s", unit="reqps"),
                Column("Low", unit="reqps"),
                Column("High", unit="reqps"),
                Column("Share", unit="percentunit", thresholds=levels((0, GREY), (0.1, ORANGE), (0.5, RED))),
                Column("Writes", unit="percentunit"),
                Column("Low / threshold", unit="none", thresholds=levels((0, GREY), (1, ORANGE))),
                Column("Size", unit="bytes"),
                Column("Expires in", unit="s"),
            ),
            _key(RATE),
            _key(f"{RATE}_low"),
            _key(f"{RATE}_high"),
            _key("redis_hotkey_share_ratio"),
            _key("redis_hotkey_write_ratio"),
            _key("redis_hotkey_low_to_threshold_ratio"),
            _key("redis_hotkey_memory_bytes"),
            _key("redis_hotkey_ttl_seconds"),
            sort="Accesses/s",
            height=12,
        ),
    ),
)

TRENDS = Row(
    "Trends",
    (
        lines(
            "Accesses of the hottest keys",
            "reqps",
            f"The {TOP} keys with the highest mean over the time shown, and the threshold above which a key is hot.",
            Query(_hottest(RATE), KEY_LEGEND),
            Query(f"max({gauge('redis_hotkey_threshold_accesses_per_second')})", "threshold"),
            dashed="^threshold$",
            width=12,
            height=9,
        ),
        lines(
            "Share of the hottest keys",
            "percentunit",
            "Each key's share of its node's accesses.",
            Query(_hottest("redis_hotkey_share_ratio"), KEY_LEGEND),
            width=12,
            height=9,
            maximum=1,
        ),
        lines(
            "Writes to the hottest keys",
            "wps",
            "A written key cannot simply be cached in the client; one that is only read can.",
            Query(f"{_hottest(RATE)} * on (target, addr, db, key) {_key('redis_hotkey_write_ratio')}", KEY_LEGEND),
        ),
        lines(
            "Bytes moved by the hottest keys",
            "Bps",
            "Accesses times size: a large value that is read often fills the network long before its rate looks bad. "
            "Reads of parts of a collection move less.",
            Query(f"{_hottest(RATE)} * on (target, addr, db, key) {_key('redis_hotkey_memory_bytes')}", KEY_LEGEND),
        ),
        lines(
            "Remaining life of the hottest keys",
            "s",
            "A hot key that is about to expire is a stampede on the source. Keys without expiry are absent.",
            Query(_hottest("redis_hotkey_ttl_seconds"), KEY_LEGEND),
        ),
        lines(
            "How sure: interval of the keys chosen",
            "reqps",
            "Estimate and both ends of the 95 % interval. Choose one key at the top of the page.",
            Query(_hottest(RATE), KEY_LEGEND),
            Query(_hottest(f"{RATE}_low"), f"low {KEY_LEGEND}"),
            Query(_hottest(f"{RATE}_high"), f"high {KEY_LEGEND}"),
            width=16,
            dashed="^(low|high) ",
        ),
        table(
            "What the keys are",
            "Type, encoding and slot. A small collection has a compact encoding (listpack, intset).",
            (
                Column("Key", "key"),
                Column("Type", "type", width=75),
                Column("Encoding", "encoding", width=105),
                Column("Slot", "slot", width=70),
                Column("Rate", unit="reqps", width=95),
            ),
            "max by (target, addr, db, key, type, encoding, slot) "
            f"({select('redis_hotkey_info', scope=KEY)} * on (job, instance, target, addr, db, key) group_left () "
            f"{select(RATE, scope=KEY)})",
            sort="Rate",
            width=8,
        ),
    ),
)

SPREAD = Row(
    "Groups and nodes",
    (
        lines(
            "Accesses by key group",
            "reqps",
            f"Names with their variable parts folded (`session:*`); the {TOP} largest, all nodes of a target together.",
            Query(_groups("redis_key_group_accesses_per_second"), GROUP_LEGEND),
            stack=True,
        ),
        lines(
            "Keys by group",
            "short",
            "How many keys a group has, extrapolated from what SCAN has shown.",
            Query(_groups("redis_key_group_count"), GROUP_LEGEND),
            stack=True,
        ),
        lines(
            "Memory by group",
            "bytes",
            "What the keys of a group take, extrapolated from MEMORY USAGE.",
            Query(_groups("redis_key_group_memory_usage_bytes"), GROUP_LEGEND),
            stack=True,
        ),
        table(
            "Key groups",
            "All keys of a group. Low and high are the ends of the 95 % interval: equal once every key was seen.",
            (
                Column("Group", "key_group", width=340),
                Column("Database", "db", width=105),
                Column("Target", "target"),
                Column("Node", "addr", width=135),
                Column("Accesses/s", unit="reqps"),
                Column("Keys", unit="short"),
                Column("Keys, low", unit="short"),
                Column("Keys, high", unit="short"),
                Column("Memory", unit="bytes"),
                Column("Memory, low", unit="bytes"),
                Column("Memory, high", unit="bytes"),
                Column("Expiring", unit="percentunit"),
                Column("Median life", unit="s"),
            ),
            gauge("redis_key_group_accesses_per_second", *BY_GROUP),
            gauge("redis_key_group_count", *BY_GROUP),
            gauge("redis_key_group_count_low", *BY_GROUP),
            gauge("redis_key_group_count_high", *BY_GROUP),
            gauge("redis_key_group_memory_usage_bytes", *BY_GROUP),
            gauge("redis_key_group_memory_usage_bytes_low", *BY_GROUP),
            gauge("redis_key_group_memory_usage_bytes_high", *BY_GROUP),
            gauge("redis_key_group_expiring_ratio", *BY_GROUP),
            gauge("redis_key_group_ttl_seconds", *BY_GROUP, where='percentile="50"'),
            sort="Accesses/s",
            height=9,
        ),
        bars(
            "Skew between the nodes of a target",
            "none",
            "Commands per second of a primary over the mean of its target's primaries: 1 is fair. A key cannot be split "
            "by adding shards, so look here before you add one.",
            f"{PRIMARIES} / on (target) group_left () (avg by (target) ({PRIMARIES}) > 0)",
        ),
        bars(
            "Accesses of the hottest key by node",
            "reqps",
            "Where the hottest key of each node makes up the skew, the remedy is the key and not the cluster.",
            by_node(_key(RATE)),
        ),
        table(
            "Largest keys",
            "The largest keys that SCAN and MEMORY USAGE have seen, by type.",
            (
                Column("Key", "key"),
                Column("Type", "type", width=75),
                Column("DB", "db", width=65),
                Column("Node", "addr", width=130),
                Column("Size", unit="bytes", width=80),
            ),
            gauge("redis_bigkey_memory_bytes", *BY_KEY, "type"),
            sort="Size",
            width=8,
        ),
    ),
)

BOARD = Dashboard(
    Uid.HOT_KEYS,
    "hotkeys",
    "Redis hot keys",
    "Which keys are hot, how hot, and how sure is that.",
    (JOB, INSTANCE, TARGETS, NODES, DATABASES, KEYS),
    (ALERTS, restarts(), failovers(), warmed()),
    (NOW, TRENDS, SPREAD, *ROWS),
)
