"""Which of all servers needs a look?"""

from __future__ import annotations

from dashboards.choices import ALERTS, EXPORTER_STARTS, INSTANCE, JOB, TARGETS, drill, failovers
from dashboards.links import Uid
from dashboards.model import Column, Dashboard, Link, Query, Row
from dashboards.panels import GREEN, GREY, ORANGE, RED, UP_DOWN, bars, levels, lines, number, states, table
from dashboards.queries import EXPORTER, NODE_LEGEND, OVER_5M, TARGET, by_node, by_target, quantile, quotient, top
from dashboards.queries import gauge as any_gauge
from dashboards.queries import rate as any_rate

TOP = 10
FIRING = f'ALERTS{{{EXPORTER}, target=~"$target|", alertstate="firing", severity=~"critical|warning"}}'
NODE_FIELDS = {"target": "Target", "addr": "Node"}


def gauge(metric: str, *by: str, where: str = "") -> str:
    """Write a gauge of the nodes of the targets chosen; this page has no choice of nodes."""
    return any_gauge(metric, *by, where=where, scope=TARGET)


def rate(metric: str, *by: str) -> str:
    """Write a rate of the nodes of the targets chosen."""
    return any_rate(metric, *by, scope=TARGET)


def _extreme(expr: str, over: str) -> str:
    return top(TOP, expr, "target", "addr", over=over)


def _mean(metric: str) -> str:
    return by_node(f"avg_over_time({metric}{{{TARGET}}}[$__range] @ end())")


KEYS = by_node(f"sum by (job, instance, target, addr) (redis_db_keys{{{TARGET}}})")
HOTTEST = by_node(f"redis_hotkey_share_ratio{{{TARGET}}}")
MEMORY = quotient(gauge("redis_memory_used_bytes"), gauge("redis_memory_max_bytes"))
OPS = rate("redis_commands_processed_total")
GROWTH = by_node(f"increase(redis_commands_processed_total{{{TARGET}}}[$__range] @ end())")
LOADED = by_node(f"increase(redis_cpu_user_main_thread_seconds_total{{{TARGET}}}[$__range] @ end())")


def alerts_table(runbooks: str) -> Row:
    """What is wrong right now; a click leads to the runbook of an alert."""
    runbook = Link("Its runbook", f'{runbooks}/${{__data.fields["Alert"]}}.md')
    columns = (
        Column("Alert", "alertname", width=240, link=runbook),
        Column("Severity", "severity", width=100),
        Column("Target", "target"),
        Column("Node", "addr", link=drill("Its node", Uid.REDIS, NODE_FIELDS)),
        Column("Key", "key"),
        Column("Warming job", "job_name"),
        Column("Exporter", "instance"),
        Column("Firing", unit="none", width=80),
    )
    firing = f"count by (alertname, severity, target, addr, key, job_name, instance) ({FIRING})"
    return Row(
        "What is wrong",
        (
            table(
                "Firing alerts",
                "Critical ones first, then warnings; alerts of severity info are context and not here. A click on an alert opens its runbook, one on a node its page.",
                columns,
                firing,
                sort="Severity",
                descending=False,
                width=16,
                height=9,
            ),
            states(
                "Nodes that do not answer",
                "By reason; a node that answers is absent.",
                Query(f"{gauge('redis_down_info', 'reason')}", f"{NODE_LEGEND}: {{{{reason}}}}"),
                height=9,
                texts={"1": ("down", RED)},
            ),
        ),
    )


NOW = Row(
    "Now",
    (
        number(
            "Targets",
            "short",
            "Deployments that are watched.",
            f"count(count by (target) ({gauge('redis_up')}))",
            area=False,
        ),
        number("Nodes up", "short", "Nodes that answer.", f"sum({gauge('redis_up')})"),
        number(
            "Nodes down",
            "short",
            "Nodes that do not answer.",
            f"count({gauge('redis_up')} == 0) or vector(0)",
            thresholds=levels((0, GREEN), (1, RED)),
        ),
        number(
            "Critical and warning alerts",
            "short",
            "Firing right now.",
            f"count({FIRING}) or vector(0)",
            thresholds=levels((0, GREEN), (1, ORANGE)),
        ),
        number("Commands now", "ops", "Commands per second of all nodes.", f"sum({OPS})"),
        number("Hot keys", "short", "Keys above the threshold.", f"sum({gauge('redis_hotkeys_over_threshold')})"),
    ),
)

NODES = Row(
    "Nodes",
    (
        table(
            "All nodes",
            "A click on a node opens its page, one on its largest share its hot keys.",
            (
                Column("Target", "target"),
                Column("Node", "addr", width=160, link=drill("Its page", Uid.REDIS, NODE_FIELDS)),
                Column("Role", "role", link=drill("Its hot keys", Uid.HOT_KEYS, NODE_FIELDS)),
                Column("Up", width=60, texts={"0": "down", "1": "up"}, thresholds=levels((0, RED), (1, GREEN))),
                Column("Commands/s", unit="ops", width=125),
                Column("Main thread", unit="percentunit", thresholds=levels((0, GREY), (0.85, ORANGE), (0.95, RED))),
                Column("p99", unit="µs"),
                Column("Memory", unit="bytes"),
                Column("Of limit", unit="percentunit"),
                Column("Keys", unit="short"),
                Column("Hit ratio", unit="percentunit"),
                Column("Largest share", unit="percentunit", thresholds=levels((0, GREY), (0.1, ORANGE), (0.5, RED))),
                Column("Hot keys", unit="short"),
                Column("Clients", unit="short"),
            ),
            "max by (target, addr, role) ("
            f"redis_up{{{TARGET}}} * on (job, instance, target, addr) group_left (role) redis_node_info{{{TARGET}}}"
            f" or redis_up{{{TARGET}}} == 0)",
            OPS,
            gauge("addr:redis_cpu_main_thread:ratio_rate5m"),
            quantile(0.99, "redis_commands_latencies_usec", scope=TARGET),
            gauge("redis_memory_used_bytes"),
            MEMORY,
            KEYS,
            gauge("redis_keyspace_hit_ratio", where=OVER_5M),
            HOTTEST,
            gauge("redis_hotkeys_over_threshold"),
            gauge("redis_connected_clients"),
            sort="Commands/s",
            height=10,
        ),
    ),
)

EXTREMES = Row(
    f"The {TOP} that stand out",
    (
        lines("Most commands", "ops", "Over the time shown.", Query(_extreme(OPS, GROWTH), NODE_LEGEND)),
        lines(
            "Busiest main threads",
            "percentunit",
            "Share of a core.",
            Query(_extreme(gauge("addr:redis_cpu_main_thread:ratio_rate5m"), LOADED), NODE_LEGEND),
            maximum=1,
        ),
        lines(
            "Fullest memories",
            "percentunit",
            "Share of maxmemory, of nodes that have one.",
            Query(
                _extreme(
                    f"({MEMORY})", f"({_mean('redis_memory_used_bytes')} / ({_mean('redis_memory_max_bytes')} > 0))"
                ),
                NODE_LEGEND,
            ),
            maximum=1,
        ),
        lines(
            "Lowest hit ratios",
            "percentunit",
            "Over 5 minutes.",
            Query(
                f"{gauge('redis_keyspace_hit_ratio', where=OVER_5M)} and on (target, addr) bottomk({TOP}, "
                + by_node(f'avg_over_time(redis_keyspace_hit_ratio{{{TARGET}, window="5m"}}[$__range] @ end())')
                + ")",
                NODE_LEGEND,
            ),
            maximum=1,
        ),
        lines(
            "Largest share of one key",
            "percentunit",
            "Of the accesses of its node: where one key decides.",
            Query(
                _extreme(HOTTEST, by_node(f"max_over_time(redis_hotkey_share_ratio{{{TARGET}}}[$__range] @ end())")),
                NODE_LEGEND,
            ),
            maximum=1,
        ),
        lines(
            "Slowest answers",
            "s",
            "To a PING of the exporter.",
            Query(_extreme(gauge("redis_ping_latency_seconds"), _mean("redis_ping_latency_seconds")), NODE_LEGEND),
        ),
    ),
)

TARGET_ROW = Row(
    "By target",
    (
        lines("Commands", "ops", "All nodes of a target.", Query(by_target(OPS), "{{target}}"), stack=True),
        lines(
            "Memory",
            "bytes",
            "All nodes of a target.",
            Query(by_target(gauge("redis_memory_used_bytes")), "{{target}}"),
            stack=True,
        ),
        lines(
            "Errors",
            "cps",
            "Error replies of all nodes of a target.",
            Query(by_target(rate("redis_total_error_replies")), "{{target}}"),
            stack=True,
        ),
        bars(
            "Versions",
            "short",
            "Nodes by version of the server.",
            Query(f"count by (redis_version) ({gauge('redis_instance_info', 'redis_version')})", "{{redis_version}}"),
        ),
        states("Nodes", "When each node answered.", gauge("redis_up"), texts=UP_DOWN),
        lines(
            "Evictions",
            "cps",
            "All nodes of a target.",
            Query(by_target(rate("redis_evicted_keys_total")), "{{target}}"),
            stack=True,
        ),
    ),
)


def board(runbooks: str) -> Dashboard:
    """Build the dashboard; `runbooks` is where their pages are."""
    return Dashboard(
        Uid.FLEET,
        "fleet",
        "Redis fleet",
        "All servers on one page: what is wrong, and what stands out.",
        (JOB, INSTANCE, TARGETS),
        (ALERTS, failovers(TARGET), EXPORTER_STARTS),
        (NOW, alerts_table(runbooks), NODES, EXTREMES, TARGET_ROW),
    )
