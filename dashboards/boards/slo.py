"""Are the objectives kept, and how fast is the budget being spent? From the recording rules of `alerts/`."""

from __future__ import annotations

from dashboards.choices import ALERTS, INSTANCE, JOB, NODES, TARGETS, failovers, restarts
from dashboards.links import Uid
from dashboards.model import Dashboard, Panel, Query, Row, TextBox
from dashboards.panels import GREEN, ORANGE, RED, levels, lines, number
from dashboards.queries import NODE_LEGEND, OVER_5M, by_node, gauge, rate, select

DOWN, REFUSED = "addr:redis_up:down_ratio_", "addr:redis_errors:ratio_rate"
MONTH = "30d"
# The windows of the pages and tickets of `alerts/`, and the factor above which each fires.
BURNS = (("1h", "5m", 14.4), ("6h", "30m", 6), ("1d", "2h", 3), ("3d", "6h", 1))


def _burn(record: str, window: str, objective: float) -> str:
    return f"{gauge(record + window)} / {1 - objective:.6g}"


def _left(record: str, objective: float) -> str:
    """Share of the month's budget that is left; of the time that is on record where that is less than a month."""
    spent = by_node(f"avg_over_time({select(record + '5m')}[{MONTH}])")
    return f"1 - {spent} / {1 - objective:.6g}"


def _budget(title: str, what: str, record: str, objective: float) -> tuple[Panel, ...]:
    shades = levels((0, RED), (0.0001, ORANGE), (0.25, GREEN))
    return (
        number(
            f"{title}: budget left",
            "percentunit",
            f"Share of the budget of 30 days that is left, the worst node: {1 - objective:.3%} of {what} may be lost.",
            f"min({_left(record, objective)})",
            width=6,
            height=6,
            area=False,
            thresholds=shades,
        ),
        number(
            f"{title}: last hour",
            "percentunit",
            f"Share of {what} that was good, the worst node.",
            f"1 - max({gauge(record + '1h')})",
            width=6,
            height=6,
            decimals=3,
            thresholds=levels((0, RED), (objective, GREEN)),
        ),
        lines(
            f"{title}: budget left over time",
            "percentunit",
            "By node. A step is an outage; a slope is something that is always a little broken.",
            _left(record, objective),
            width=12,
            height=6,
            minimum=None,
            maximum=1,
        ),
    )


def _burning(title: str, record: str, objective: float) -> tuple[Panel, ...]:
    return tuple(
        lines(
            f"{title}: burn over {long} and {short}",
            "none",
            f"How many times faster than allowed the budget is spent. An alert fires while both are above {factor:g}.",
            Query(_burn(record, long, objective), f"{long} {NODE_LEGEND}"),
            Query(_burn(record, short, objective), f"{short} {NODE_LEGEND}"),
            width=6,
            height=7,
            thresholds=levels((0, GREEN), (factor, RED)),
            limit=factor,
        )
        for long, short, factor in BURNS
    )


def board(availability: float, errors: float) -> Dashboard:
    """Build the dashboard for the objectives of `alerts/values.yaml`, shares of time and of commands."""
    faults = "OOM|LOADING|MISCONF|READONLY|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|BUSY|TRYAGAIN|max"
    return Dashboard(
        Uid.SLO,
        "slo",
        "Redis service level objectives",
        "What was promised, what is left of the budget, and how fast it is spent.",
        (JOB, INSTANCE, TARGETS, NODES, TextBox("hit_objective", "Hit ratio objective", "0.9")),
        (ALERTS, restarts(), failovers()),
        (
            Row(
                f"Availability: {availability:.3%} of the time",
                (
                    *_budget("Availability", "the time", DOWN, availability),
                    *_burning("Availability", DOWN, availability),
                ),
            ),
            Row(
                f"Errors: {errors:.3%} of commands are not refused",
                (
                    *_budget("Errors", "the commands", REFUSED, errors),
                    *_burning("Errors", REFUSED, errors),
                    lines(
                        "Errors that count",
                        "cps",
                        "Errors that are the server's and not the caller's, by prefix.",
                        Query(
                            rate("redis_errors_total", "err", where=f'err=~"{faults}"'), f"{{{{err}}}} {NODE_LEGEND}"
                        ),
                        width=24,
                        height=7,
                        stack=True,
                    ),
                ),
            ),
            Row(
                "Latency and hit ratio",
                (
                    lines(
                        "99th percentile",
                        "s",
                        "Time of commands on the server itself, over 5 minutes.",
                        f"{gauge('addr:redis_commands_latencies_seconds:p99_rate5m')} > 0",
                    ),
                    lines(
                        "Hit ratio",
                        "percentunit",
                        "Over 5 minutes; the line is the objective at the top of the page.",
                        gauge("redis_keyspace_hit_ratio", where=OVER_5M),
                        Query("vector($hit_objective)", "objective"),
                        maximum=1,
                        dashed="^objective$",
                    ),
                    lines(
                        "Time below the hit ratio objective",
                        "percentunit",
                        "Share of the last day.",
                        by_node(
                            f"avg_over_time(({select('redis_keyspace_hit_ratio', OVER_5M)} "
                            "< bool $hit_objective)[1d:1m])"
                        ),
                        maximum=1,
                    ),
                ),
            ),
        ),
        since="now-6h",
    )
