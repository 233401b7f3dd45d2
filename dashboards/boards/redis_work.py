"""Redis overview, first part: how it is now, what it is asked, how fast it answers, what it refuses."""

from __future__ import annotations

from dashboards.boards.commands import READS, WRITES
from dashboards.choices import drill
from dashboards.links import Uid
from dashboards.model import Column, Query, Row
from dashboards.panels import GREEN, GREY, ORANGE, RED, UP_DOWN, heat, levels, lines, number, states, table
from dashboards.queries import (
    MASTERS,
    NODE_LEGEND,
    NODES,
    OVER_5M,
    gauge,
    quantile,
    quotient,
    rate,
    rates,
    select,
    top,
    total,
)

TOP = 10
BY_COMMAND = f"{{{{cmd}}}} {NODE_LEGEND}"


def _busiest(expr: str) -> str:
    """The commands that took most time over the time shown, of each node."""
    return top(TOP, expr, *NODES, "cmd", over=total("redis_commands_duration_seconds_total", *NODES, "cmd"))


def _called(expr: str) -> str:
    return top(TOP, expr, *NODES, "cmd", over=total("redis_commands_total", *NODES, "cmd"))


CALLS = rate("redis_commands_total", "cmd")
TIME = rate("redis_commands_duration_seconds_total", "cmd")
LATENCY = "redis_commands_latencies_usec"

NOW = Row(
    "Now",
    (
        number(
            "Nodes up",
            "short",
            "Nodes that answer, of those that are watched.",
            f"sum({gauge('redis_up')})",
            area=False,
        ),
        number(
            "Nodes down",
            "short",
            "Nodes that do not answer; the table has the reason.",
            f"count({gauge('redis_up')} == 0) or vector(0)",
            thresholds=levels((0, GREEN), (1, RED)),
        ),
        number(
            "Shortest uptime",
            "s",
            "Since the node that was started last was started.",
            f"min({gauge('redis_uptime_in_seconds')})",
            area=False,
        ),
        number("Commands now", "ops", "Commands per second.", f"sum({rate('redis_commands_processed_total')})"),
        number(
            "Lowest hit ratio",
            "percentunit",
            "Share of lookups of the last 5 minutes that found their key, the worst node.",
            f"min({gauge('redis_keyspace_hit_ratio', where=OVER_5M)})",
            maximum=1,
        ),
        number(
            "Busiest main thread",
            "percentunit",
            "Share of one core; at 100 % every client waits for every other.",
            f"max({gauge('addr:redis_cpu_main_thread:ratio_rate5m')})",
            maximum=1,
            thresholds=levels((0, GREEN), (0.85, ORANGE), (0.95, RED)),
        ),
        table(
            "Nodes",
            "Which node plays which part, with what limits. A click on a node shows it alone, or its hot keys.",
            (
                Column("Target", "target"),
                Column(
                    "Node",
                    "addr",
                    width=160,
                    link=drill("Only this node", Uid.REDIS, {"target": "Target", "addr": "Node"}),
                ),
                Column("Role", "role", link=drill("Its hot keys", Uid.HOT_KEYS, {"target": "Target", "addr": "Node"})),
                Column("Shard", "shard"),
                Column("Group", "replication_group"),
                Column("Mode", "redis_mode"),
                Column("Version", "redis_version"),
                Column("Eviction", "maxmemory_policy"),
                Column("Uptime", unit="s"),
                Column("Memory", unit="bytes"),
                Column("Limit", unit="bytes", texts={"0": "no limit"}),
                Column("Clients", unit="short"),
                Column("Of at most", unit="short"),
            ),
            "max by (target, addr, role, shard, replication_group, redis_mode, redis_version, maxmemory_policy) ("
            f"{select('redis_node_info')} * on (job, instance, target, addr) "
            "group_left (redis_mode, redis_version, maxmemory_policy) "
            f"(0 * {select('redis_instance_info')} + on (job, instance, target, addr) group_left () "
            f"{select('redis_uptime_in_seconds')}))",
            gauge("redis_memory_used_bytes"),
            gauge("redis_memory_max_bytes"),
            gauge("redis_connected_clients"),
            gauge("redis_config_maxclients"),
            sort="Target",
            descending=False,
        ),
        states(
            "Reachable, or why not",
            "While a node is down all there is of it is the reason.",
            gauge("redis_up"),
            Query(f"0 * {gauge('redis_down_info', 'reason')}", f"{NODE_LEGEND}: {{{{reason}}}}"),
            width=12,
            texts=UP_DOWN,
        ),
        states(
            "Role",
            "Who is primary, over time. A change is a failover.",
            Query(f"{gauge('redis_node_info', where=MASTERS)} or 0 * {gauge('redis_up')}", NODE_LEGEND),
            width=12,
            texts={"0": ("replica or other", GREY), "1": ("primary", GREEN)},
        ),
    ),
)

COMMANDS = Row(
    "Commands",
    (
        lines("Commands", "ops", "Commands per second by node.", rate("redis_commands_processed_total")),
        lines(
            "Most called commands",
            "ops",
            f"The {TOP} with most calls over the time shown.",
            Query(_called(CALLS), BY_COMMAND),
            stack=True,
        ),
        lines(
            "Reads and writes",
            "ops",
            "Calls of commands that read or write keys, as the server's command table has them; scripts are in neither.",
            Query(f"sum({rates('redis_commands_total', where=READS)})", "reads"),
            Query(f"sum({rates('redis_commands_total', where=WRITES)})", "writes"),
        ),
        lines(
            "Time by command",
            "percentunit",
            f"Share of the main thread's time, the {TOP} largest over the time shown. This is what to make cheaper.",
            Query(_busiest(TIME), BY_COMMAND),
            stack=True,
        ),
        lines(
            "Mean time of a call",
            "s",
            "Of the commands that take most time in all. Nothing where a command is not called.",
            Query(_busiest(f"({quotient(TIME, CALLS)})"), BY_COMMAND),
        ),
        lines(
            "I/O events",
            "cps",
            "Reads from and writes to sockets, and those of them that I/O threads did.",
            Query(f"sum({rate('redis_total_reads_processed')})", "reads"),
            Query(f"sum({rate('redis_total_writes_processed')})", "writes"),
            Query(f"sum({rate('redis_io_threaded_reads_processed')})", "reads by I/O threads"),
            Query(f"sum({rate('redis_io_threaded_writes_processed')})", "writes by I/O threads"),
        ),
    ),
)

SPEED = Row(
    "Latency",
    (
        heat(
            "Time of commands",
            "µs",
            "How many calls took how long on the server itself, without the network; Redis 7.0 and newer.",
            f"sum by (le) ({rates(LATENCY + '_bucket', 'le')})",
            width=12,
        ),
        lines(
            "Percentiles of all commands",
            "µs",
            "From the same histogram. The last one is what a page with a thousand lookups waits for.",
            *(
                Query(quantile(q, LATENCY), f"{name} {NODE_LEGEND}")
                for q, name in ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"))
            ),
            width=12,
        ),
        lines(
            "99th percentile by command",
            "µs",
            "Of the commands that take most time in all.",
            Query(_busiest(f"({quantile(0.99, LATENCY, 'cmd')})"), BY_COMMAND),
        ),
        lines(
            "Since the start: 99.9th percentile by command",
            "µs",
            "As the server itself has it in `latencystats`: it forgets nothing, so an old outage stays visible.",
            Query(_busiest(gauge("redis_latency_percentiles_usec", "cmd", where='quantile="99.9"')), BY_COMMAND),
        ),
        lines(
            "PING",
            "s",
            "How long a node took to answer the exporter: with the network, and with whatever blocks the server.",
            gauge("redis_ping_latency_seconds"),
        ),
        lines(
            "Latency spikes",
            "s",
            "What the server's own latency monitor has caught (`latency-monitor-threshold` switches it on).",
            Query(gauge("redis_latency_spike_duration_seconds", "event_name"), f"{{{{event_name}}}} {NODE_LEGEND}"),
        ),
        lines(
            "Event loop",
            "µs",
            "Mean length of a turn of the event loop, and how much of it is commands; Redis 7.2 and newer.",
            Query(gauge("redis_instantaneous_eventloop_duration_usec"), f"turn {NODE_LEGEND}"),
            Query(
                quotient(rate("redis_eventloop_duration_cmd_sum_usec_total"), rate("redis_eventloop_cycles_total")),
                f"commands {NODE_LEGEND}",
            ),
        ),
        lines(
            "Slow commands",
            "cps",
            "New entries of the slow log per second; its length says nothing, it is capped.",
            rate("redis_slowlog_last_id"),
        ),
        table(
            "Slow log",
            "What it holds and how long the last entry took. `SLOWLOG GET` shows command and client.",
            (
                Column("Target", "target"),
                Column("Node", "addr"),
                Column("Entries", unit="short"),
                Column("Last took", unit="s"),
            ),
            gauge("redis_slowlog_length"),
            gauge("redis_last_slow_execution_duration_seconds"),
            sort="Last took",
            height=5,
        ),
    ),
)

ERRORS = Row(
    "Errors",
    (
        lines(
            "Errors by prefix",
            "cps",
            "WRONGTYPE and NOAUTH are the caller's; OOM, LOADING, MISCONF, READONLY, BUSY are the server's.",
            Query(rate("redis_errors_total", "err"), f"{{{{err}}}} {NODE_LEGEND}"),
            stack=True,
        ),
        lines(
            "Failed calls",
            "cps",
            "Calls that failed while they ran, by command.",
            Query(f"{rate('redis_commands_failed_calls_total', 'cmd')} > 0", BY_COMMAND),
        ),
        lines(
            "Rejected calls",
            "cps",
            "Calls that were refused before they ran: no permission, no memory, wrong number of arguments.",
            Query(f"{rate('redis_commands_rejected_calls_total', 'cmd')} > 0", BY_COMMAND),
        ),
        lines(
            "All error replies",
            "cps",
            "By node; unexpected ones are errors that a replica got from its master's stream.",
            Query(rate("redis_total_error_replies"), NODE_LEGEND),
            Query(rate("redis_unexpected_error_replies"), f"unexpected {NODE_LEGEND}"),
        ),
        lines(
            "Access denied",
            "cps",
            "Attempts that the server refused, by what was wrong: the password, the command, the key, the channel.",
            *(
                Query(f"sum({rate(f'redis_acl_access_denied_{what}_total')})", what)
                for what in ("auth", "cmd", "key", "channel")
            ),
            stack=True,
        ),
        lines(
            "Disconnected clients",
            "cps",
            "Clients that the server closed since they did not read their replies or sent too much at once.",
            Query(f"sum({rate('redis_client_output_buffer_limit_disconnections_total')})", "output buffer"),
            Query(f"sum({rate('redis_client_query_buffer_limit_disconnections_total')})", "query buffer"),
        ),
    ),
)

VALKEY = Row(
    "Command log (Valkey) and slow log by command (Redis 8)",
    (
        lines(
            "Entries of the command log",
            "short",
            "Slow commands, large requests and large replies.",
            *(
                Query(gauge(f"redis_commandlog_{kind}_length"), f"{kind.replace('_', ' ')} {NODE_LEGEND}")
                for kind in ("slow", "large_request", "large_reply")
            ),
        ),
        lines(
            "Slow commands by name",
            "cps",
            "Calls that entered the slow log, by command; Redis 8.4 and newer.",
            Query(rate("redis_commands_slowlog_total", "cmd"), BY_COMMAND),
        ),
        lines(
            "Longest slow command",
            "s",
            "By command; Redis 8.4 and newer.",
            Query(gauge("redis_commands_slowlog_duration_seconds_max", "cmd"), BY_COMMAND),
        ),
    ),
    closed=True,
)

ROWS = (NOW, COMMANDS, SPEED, ERRORS, VALKEY)
