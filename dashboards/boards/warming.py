"""Is the cache kept warm, and is it worth it?"""

from __future__ import annotations

from dashboards.choices import ALERTS, INSTANCE, JOB, JOBS, TARGETS, failovers, restarts, warmed
from dashboards.links import Uid
from dashboards.model import Column, Dashboard, Query, Row
from dashboards.panels import GREEN, GREY, ORANGE, RED, levels, lines, number, states, table
from dashboards.queries import NODE_LEGEND, RATE, TARGET, WARMING, by_node, quotient, rate, select

LEGEND = "{{job_name}} {{target}}"
BY = "target, job_name"


def _job(metric: str, where: str = "") -> str:
    return f"max by ({BY}) ({select(metric, where, WARMING)})"


def _grown(metric: str, *by: str, where: str = "") -> str:
    """Growth of a counter by job; only the leader's grows, so exporters are added up."""
    names = ", ".join((BY, *by))
    return f"sum by ({names}) (rate({select(metric, where, WARMING)}[{RATE}]))"


def _in_range(metric: str, where: str = "") -> str:
    return f"sum by ({BY}) (increase({select(metric, where, WARMING)}[$__range]))"


def _quantile(q: float) -> str:
    buckets = f"sum by ({BY}, le) (increase({select('redis_cache_warming_run_seconds_bucket', '', WARMING)}[$__range]))"
    return f"histogram_quantile({q}, {buckets}) > 0"


WRITTEN = 'result=~"written|refreshed"'
USEFUL, WASTED = "redis_cache_warming_useful_keys_total", "redis_cache_warming_wasted_keys_total"
HITS = select("redis_keyspace_hit_ratio", 'window="1m"', TARGET)
AGE = f"time() - {_job('redis_cache_warming_last_success_timestamp_seconds')}"

NOW = Row(
    "Now",
    (
        number(
            "Jobs",
            "short",
            "Warming jobs that are configured.",
            f"count({_job('redis_cache_warming_leader')})",
            area=False,
        ),
        number("Running", "short", "Jobs that run right now.", f"sum({_job('redis_cache_warming_running')})"),
        number(
            "Lowest coverage",
            "percentunit",
            "Share of the keys that the last run wanted that were in the cache at its end, the worst job.",
            f"min({_job('redis_cache_warming_coverage_ratio')})",
            maximum=1,
            thresholds=levels((0, RED), (0.9, ORANGE), (0.95, GREEN)),
        ),
        number(
            "Oldest success",
            "s",
            "Since the last complete run, the worst job.",
            f"max({AGE})",
            area=False,
        ),
        number(
            "Keys written",
            "short",
            "Keys written or refreshed in the time shown.",
            f"sum({_in_range('redis_cache_warming_keys_total', WRITTEN)})",
        ),
        number(
            "Useful",
            "percentunit",
            "Of the warmed keys whose whole life was observed: share that was read before it expired, in the time shown.",
            quotient(f"sum({_in_range(USEFUL)})", f"(sum({_in_range(USEFUL)}) + sum({_in_range(WASTED)}))"),
            maximum=1,
            area=False,
        ),
        table(
            "Jobs, one by one",
            "What each job has done in the time shown.",
            (
                Column("Job", "job_name"),
                Column("Target", "target"),
                Column("Running", texts={"0": "no", "1": "yes"}),
                Column("Last success", unit="s"),
                Column("Coverage", unit="percentunit", thresholds=levels((0, RED), (0.9, ORANGE), (0.95, GREY))),
                Column("Complete runs", unit="none"),
                Column("Other runs", unit="none"),
                Column("Written", unit="short"),
                Column("Failed", unit="short", thresholds=levels((0, GREY), (1, ORANGE))),
                Column("Missing at source", unit="short"),
                Column("Median run", unit="s"),
            ),
            _job("redis_cache_warming_running"),
            AGE,
            _job("redis_cache_warming_coverage_ratio"),
            _in_range("redis_cache_warming_runs_total", 'outcome="complete"'),
            _in_range("redis_cache_warming_runs_total", 'outcome!="complete"'),
            _in_range("redis_cache_warming_keys_total", WRITTEN),
            _in_range("redis_cache_warming_keys_total", 'result="failed"'),
            _in_range("redis_cache_warming_keys_total", 'result="missing_at_source"'),
            _quantile(0.5),
            sort="Last success",
            height=7,
        ),
    ),
)

RUNS = Row(
    "Runs",
    (
        states(
            "When jobs run",
            "Runs as they happen. A job that is always running is too slow for its interval.",
            Query(_job("redis_cache_warming_running"), LEGEND),
            texts={"0": ("idle", GREY), "1": ("running", GREEN)},
        ),
        lines(
            "Runs by outcome",
            "cps",
            "Complete, partial (some keys could not be warmed), aborted (by a guard), failed, not_leader.",
            Query(f"sum by (outcome) ({_grown('redis_cache_warming_runs_total', 'outcome')})", "{{outcome}}"),
            stack=True,
        ),
        lines(
            "Duration of runs",
            "s",
            "Median and 90th percentile of the runs in the time shown.",
            Query(_quantile(0.5), f"p50 {LEGEND}"),
            Query(_quantile(0.9), f"p90 {LEGEND}"),
        ),
        lines(
            "Keys by result",
            "cps",
            "Written, exists (was there already), refreshed, undone (was invalidated meanwhile), missing_at_source, "
            "failed, skipped.",
            Query(f"sum by (result) ({_grown('redis_cache_warming_keys_total', 'result')})", "{{result}}"),
            stack=True,
        ),
        lines(
            "Coverage",
            "percentunit",
            "Share of the keys that a run wanted that were in the cache at its end.",
            Query(_job("redis_cache_warming_coverage_ratio"), LEGEND),
            maximum=1,
            thresholds=levels((0.95, GREEN)),
            limit=0.95,
        ),
        lines(
            "Time since the last complete run",
            "s",
            "It should look like a saw.",
            Query(AGE, LEGEND),
        ),
    ),
)

WORTH = Row(
    "Is it worth it?",
    (
        lines(
            "Hit ratio of the target, before and after runs",
            "percentunit",
            "Share of lookups that found their key; the green marks are runs. Beside it the same hour of the day before.",
            by_node(HITS),
            Query(by_node(f"{HITS} offset 1d"), f"yesterday {NODE_LEGEND}"),
            width=12,
            maximum=1,
            dashed="^yesterday ",
        ),
        lines(
            "Misses of the target",
            "reqps",
            "What is missed is asked from the source. Good warming takes the peaks away.",
            rate("redis_keyspace_misses_total", scope=TARGET),
            width=12,
        ),
        lines(
            "Useful and wasted keys",
            "cps",
            "Warmed and then read before expiry, or not; only for keys whose whole life was observed in full.",
            Query(_grown(USEFUL), f"useful {LEGEND}"),
            Query(_grown(WASTED), f"wasted {LEGEND}"),
        ),
        lines(
            "How much of that was observed",
            "percentunit",
            "Share of the time since the first warmed key that was observed in full. Useful and wasted say nothing "
            "about the rest.",
            Query(_job("redis_cache_warming_attribution_observed_ratio"), LEGEND),
            maximum=1,
        ),
        lines(
            "Waiting saved",
            "percentunit",
            "Time of the source that readers did not have to wait for, per second.",
            Query(_grown("redis_cache_warming_source_seconds_saved_total"), LEGEND),
        ),
        states(
            "Leader",
            "Which exporter runs the job. More than one exporter may be ready; one has the lease.",
            Query(
                f"max by (instance, {BY}) ({select('redis_cache_warming_leader', '', WARMING)})",
                "{{instance}} {{job_name}} {{target}}",
            ),
            width=12,
            height=6,
            texts={"0": ("waiting", GREY), "1": ("leader", GREEN)},
        ),
        lines(
            "Evictions of the target",
            "cps",
            "Warming must not push out what is in use: a guard ends a run before it does.",
            rate("redis_evicted_keys_total", scope=TARGET),
            width=12,
            height=6,
        ),
    ),
)

BOARD = Dashboard(
    Uid.WARMING,
    "warming",
    "Redis cache warming",
    "What warming jobs do, whether they reach what they should, and whether anybody reads what they write.",
    (JOB, INSTANCE, TARGETS, JOBS),
    (ALERTS, restarts(TARGET), failovers(TARGET), warmed(WARMING)),
    (NOW, RUNS, WORTH),
)
