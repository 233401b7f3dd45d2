"""Redis overview, fourth part: cluster and Sentinel."""

from __future__ import annotations

from dashboards.model import Column, Query, Row
from dashboards.panels import GREEN, OK_FAILED, RED, levels, lines, number, states, table
from dashboards.queries import (
    MASTERS,
    NODE_LEGEND,
    NODES,
    TARGET,
    by_node,
    gauge,
    rate,
    select,
    top,
    total,
)

MASTER_LEGEND = "{{master_name}} at {{addr}}"
PRIMARY = gauge("redis_node_info", where=MASTERS)
IN_CLUSTER = f"{gauge('redis_cluster_enabled')} == 1"
TOP = 10


def _slots(expr: str, kind: str = "") -> Query:
    """The slots that took most CPU time over the time shown."""
    busiest = total("redis_cluster_slot_cpu_seconds_total", *NODES, "slot")
    return Query(top(TOP, expr, *NODES, "slot", over=busiest), f"{kind}slot {{{{slot}}}} {NODE_LEGEND}")


CLUSTER = Row(
    "Cluster",
    (
        states(
            "State of the cluster",
            "As each node sees it.",
            f"{gauge('redis_cluster_state')} and on (target, addr) {IN_CLUSTER}",
            texts=OK_FAILED,
        ),
        lines(
            "Slots not served",
            "short",
            "Of 16,384: without an owner, failing, probably failing, as each node sees it.",
            Query(
                f"(16384 - {gauge('redis_cluster_slots_assigned')}) and on (target, addr) {IN_CLUSTER}",
                f"no owner {NODE_LEGEND}",
            ),
            Query(gauge("redis_cluster_slots_fail"), f"failing {NODE_LEGEND}"),
            Query(gauge("redis_cluster_slots_pfail"), f"probably failing {NODE_LEGEND}"),
        ),
        lines(
            "Slot coverage",
            "percentunit",
            "Share of all slots that are served.",
            f"{gauge('redis_cluster_slots_ok')} / 16384 and on (target, addr) {IN_CLUSTER}",
            maximum=1,
        ),
        lines(
            "Skew of commands",
            "none",
            "Commands per second of a primary over the mean of its cluster's primaries; 1 is fair.",
            f"{gauge('addr:redis_commands_processed:rate5m')} / on (target) group_left () "
            f"(max by (target) ({select('target:redis_cluster_commands_processed:mean_rate5m', scope=TARGET)}) > 0)"
            f" and on (target, addr) {PRIMARY}",
        ),
        lines(
            "Keys by shard",
            "short",
            "Of primaries.",
            f"{by_node('sum by (job, instance, target, addr) (' + select('redis_db_keys') + ')')} "
            f"and on (target, addr) ({IN_CLUSTER}) and on (target, addr) {PRIMARY}",
        ),
        lines(
            "Memory by shard",
            "bytes",
            "Of primaries.",
            f"{gauge('redis_memory_used_bytes')} and on (target, addr) ({IN_CLUSTER}) and on (target, addr) {PRIMARY}",
        ),
        lines(
            "Known nodes and shards",
            "short",
            "As each node counts them; they should agree.",
            Query(gauge("redis_cluster_known_nodes"), f"nodes {NODE_LEGEND}"),
            Query(gauge("redis_cluster_size"), f"shards {NODE_LEGEND}"),
        ),
        lines(
            "Messages on the cluster bus",
            "cps",
            "All nodes together.",
            Query(f"sum({rate('redis_cluster_messages_sent_total')})", "sent"),
            Query(f"sum({rate('redis_cluster_messages_received_total')})", "received"),
        ),
        lines(
            "Epoch",
            "none",
            "It rises with every failover.",
            gauge("redis_cluster_current_epoch"),
        ),
        lines(
            "Busiest slots: CPU",
            "percentunit",
            "Share of a core that commands on keys of a slot take (`cluster-slot-stats-enabled yes`, Redis 8.2 and newer).",
            _slots(rate("redis_cluster_slot_cpu_seconds_total", "slot")),
        ),
        lines(
            "Busiest slots: network",
            "Bps",
            "Bytes of commands and replies of a slot.",
            _slots(rate("redis_cluster_slot_network_input_bytes_total", "slot"), "in "),
            _slots(rate("redis_cluster_slot_network_output_bytes_total", "slot"), "out "),
        ),
        table(
            "Busiest slots: contents",
            "Keys and memory of the slots that lead by any measure.",
            (
                Column("Node", "addr"),
                Column("Slot", "slot", width=80),
                Column("Keys", unit="short", width=90),
                Column("Memory", unit="bytes", width=100),
            ),
            gauge("redis_cluster_slot_keys", "slot"),
            gauge("redis_cluster_slot_memory_bytes", "slot"),
            sort="Keys",
            width=8,
        ),
    ),
    closed=True,
)

SENTINEL = Row(
    "Sentinel",
    (
        number("Masters watched", "short", "As a Sentinel says.", f"max({gauge('redis_sentinel_masters')})"),
        number(
            "Sentinels in TILT",
            "short",
            "In TILT a Sentinel watches, but takes no part.",
            f"sum({gauge('redis_sentinel_tilt')})",
            thresholds=levels((0, GREEN), (1, RED)),
        ),
        states(
            "Status of masters",
            "As each Sentinel sees it, and whether enough Sentinels agree for a failover.",
            Query(gauge("redis_sentinel_master_status", "master_name"), f"status {MASTER_LEGEND}"),
            Query(gauge("redis_sentinel_master_ckquorum_status", "master_name"), f"quorum {MASTER_LEGEND}"),
            width=16,
            height=4,
            texts=OK_FAILED,
        ),
        lines(
            "Replicas of masters",
            "short",
            "Known, and those that are well.",
            Query(gauge("redis_sentinel_master_slaves", "master_name"), f"known {MASTER_LEGEND}"),
            Query(gauge("redis_sentinel_master_ok_slaves", "master_name"), f"well {MASTER_LEGEND}"),
        ),
        lines(
            "Sentinels of masters",
            "short",
            "Known, those that are well, and the quorum.",
            Query(gauge("redis_sentinel_master_sentinels", "master_name"), f"known {MASTER_LEGEND}"),
            Query(gauge("redis_sentinel_master_ok_sentinels", "master_name"), f"well {MASTER_LEGEND}"),
            Query(gauge("redis_sentinel_master_setting_ckquorum", "master_name"), f"quorum {MASTER_LEGEND}"),
            dashed="^quorum ",
        ),
        lines(
            "Silence of masters",
            "s",
            "Since a master last answered a Sentinel's PING.",
            Query(gauge("redis_sentinel_master_last_ok_ping_reply_seconds", "master_name"), MASTER_LEGEND),
        ),
    ),
    closed=True,
)

ROWS = (CLUSTER, SENTINEL)
