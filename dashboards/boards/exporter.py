"""Is the exporter well, and what does it cost the servers?"""

from __future__ import annotations

from dashboards.choices import ALERTS, EXPORTER_STARTS, INSTANCE, JOB, NODES, TARGETS
from dashboards.links import Uid
from dashboards.model import Column, Dashboard, Query, Row
from dashboards.panels import GREEN, ORANGE, RED, UP_DOWN, YES_NO, levels, lines, number, states, table
from dashboards.queries import EXPORTER, RATE, age, by_exporter, gauge, of_exporters, rate, rates, select

NO_TARGET = 'target=""'
LEGEND = "{{instance}}"
JOB_LEGEND = "{{job_name}} {{instance}}"


def _own(metric: str, *by: str, where: str = "") -> str:
    return by_exporter(_ours(metric, select(metric, where, EXPORTER)), *by)


def _grown(metric: str, *by: str, where: str = "") -> str:
    return by_exporter(_ours(metric, f"rate({select(metric, where, EXPORTER)}[{RATE}])"), *by)


def _ours(metric: str, expr: str) -> str:
    return expr if metric.startswith("hotkey_exporter_") else of_exporters(expr)


def _job_seconds(q: float) -> str:
    buckets = _grown("hotkey_exporter_job_seconds_bucket", "job_name", "le")
    return f"histogram_quantile({q}, {buckets}) > 0"


NOW = Row(
    "Now",
    (
        number(
            "Exporters up",
            "short",
            "Exporters that Prometheus reaches.",
            f"sum({_own('up')})",
            area=False,
            thresholds=levels((0, RED), (1, GREEN)),
        ),
        number(
            "Time of a scrape",
            "s",
            "The longest of the last scrapes. The exporter answers from memory; a slow server does not make it slow.",
            f"max({_own('scrape_duration_seconds')})",
            thresholds=levels((0, GREEN), (1, ORANGE), (5, RED)),
        ),
        number(
            "Series",
            "short",
            "Samples of one scrape, all exporters together.",
            f"sum({_own('scrape_samples_scraped')})",
        ),
        number(
            "Largest memory",
            "bytes",
            "Resident memory of the main process; the watchdog takes about 10 MB more.",
            f"max({_own('process_resident_memory_bytes')})",
        ),
        number(
            "CPU",
            "percentunit",
            "Share of a core of the main process.",
            f"max({_grown('process_cpu_seconds_total')})",
        ),
        number(
            "Configuration in use",
            "none",
            "Whether the configuration was usable when it was last read; an older one is kept otherwise.",
            f"min({_own('hotkey_exporter_config_last_reload_successful')})",
            area=False,
            texts={"0": ("rejected", RED), "1": ("read", GREEN)},
        ),
        table(
            "Exporters",
            "Each process, its version, and since when it runs with which configuration.",
            (
                Column("Exporter", "instance"),
                Column("Version", "version"),
                Column("Up for", unit="s"),
                Column("Configuration read", unit="s"),
                Column("Open files", unit="short"),
                Column("Of at most", unit="short"),
            ),
            f"max by (instance, version) ({select('hotkey_exporter_build_info', '', EXPORTER)} * "
            f"on (job, instance) group_left () (time() - {select('process_start_time_seconds', '', EXPORTER)}))",
            by_exporter(
                f"time() - {select('hotkey_exporter_config_last_reload_success_timestamp_seconds', '', EXPORTER)}"
            ),
            _own("process_open_fds"),
            _own("process_max_fds"),
            sort="Exporter",
            descending=False,
            height=5,
        ),
    ),
)

PROCESS = Row(
    "This process",
    (
        lines("Scrapes", "s", "How long Prometheus waited.", Query(_own("scrape_duration_seconds"), LEGEND)),
        lines(
            "Samples of a scrape",
            "short",
            "Cardinality: as scraped, and those of them that are new to Prometheus.",
            Query(_own("scrape_samples_scraped"), f"scraped {LEGEND}"),
            Query(_own("scrape_series_added"), f"new {LEGEND}"),
        ),
        lines(
            "Memory",
            "bytes",
            "Resident memory of the main process.",
            Query(_own("process_resident_memory_bytes"), LEGEND),
        ),
        lines("CPU time", "percentunit", "Share of a core.", Query(_grown("process_cpu_seconds_total"), LEGEND)),
        lines(
            "Log lines",
            "cps",
            "By level. Errors are worth a look; the log has one line for each.",
            Query(f"sum by (level) ({_grown('hotkey_exporter_log_events_total', 'level')})", "{{level}}"),
            stack=True,
        ),
        states(
            "Reachable",
            "Whether Prometheus reaches the exporter.",
            Query(_own("up"), LEGEND),
            texts=UP_DOWN,
        ),
        lines(
            "Runs of scheduled jobs",
            "cps",
            "By job and outcome.",
            Query(
                _grown("hotkey_exporter_job_runs_total", "job_name", "outcome"), "{{outcome}} {{job_name}} {{instance}}"
            ),
        ),
        lines(
            "Duration of scheduled jobs",
            "s",
            "90th percentile.",
            Query(_job_seconds(0.9), JOB_LEGEND),
        ),
        lines(
            "Since a job was last complete",
            "s",
            "It should look like a saw, one tooth a run.",
            Query(
                by_exporter(
                    f"time() - {select('hotkey_exporter_job_last_success_timestamp_seconds', '', EXPORTER)}", "job_name"
                ),
                JOB_LEGEND,
            ),
        ),
    ),
)

TLS = Row(
    "TLS of the endpoint",
    (
        lines(
            "Certificates of the endpoint",
            "s",
            "How long the exporter's own certificate (web) and that of its clients' authority (ca) are still good.",
            Query(
                by_exporter(
                    f"{select('redis_tls_certificate_not_after_timestamp_seconds', NO_TARGET, EXPORTER)} - time()",
                    "role",
                ),
                "{{role}} {{instance}}",
            ),
            width=24,
            height=5,
        ),
    ),
    closed=True,
)

COST = Row(
    "What watching costs the servers",
    (
        lines(
            "Share of time with MONITOR on",
            "percentunit",
            "Bounded by `sampling.max_duty` on a server without a limit of its own for a client that stops reading.",
            gauge("redis_sampling_duty_ratio"),
            maximum=1,
        ),
        lines(
            "Commands that servers showed us",
            "ops",
            "Bounded by `sampling.events_per_second`.",
            rate("redis_sampling_events_total"),
        ),
        lines(
            "Bytes that servers sent to show them",
            "Bps",
            "Bounded by `sampling.bytes_per_second`.",
            rate("redis_sampling_bytes_total"),
        ),
        lines(
            "Throughput while watched",
            "percentunit",
            "Commands per second while MONITOR is on over those of all the time: 1 means that watching costs nothing.",
            gauge("redis_sampling_watched_throughput_ratio"),
            maximum=1.05,
        ),
        lines(
            "Lag of reading",
            "s",
            "How far reading lagged behind the server when the last observation ended.",
            gauge("redis_sampling_lag_seconds"),
        ),
        lines(
            "Time observed",
            "percentunit",
            "Seconds observed per second, on the server's clock.",
            rate("redis_sampling_observed_seconds_total"),
            maximum=1,
        ),
        lines(
            "Observations by what ended them",
            "cps",
            "Complete is as planned; events, bytes and time are limits that were reached; the rest are faults.",
            Query(f"sum by (outcome) ({rates('redis_sampling_bursts_total', 'outcome')})", "{{outcome}}"),
            stack=True,
        ),
        lines(
            "Observations that did not take place",
            "cps",
            "By reason: docs/operating.md has a table of them.",
            Query(f"sum by (reason) ({rates('redis_sampling_skips_total', 'reason')})", "{{reason}}"),
            stack=True,
        ),
        lines(
            "Limit of the server itself",
            "bytes",
            "Size at which the server ends a client that does not read; 0 means never, or unreadable. Without one, the "
            "loss of exporter and watchdog together is bounded only by keeping MONITOR's share of time small.",
            gauge("redis_sampling_server_limit_bytes"),
        ),
        lines(
            "Time of servers taken by looking at keys",
            "percentunit",
            "SCAN and MEMORY USAGE, on the server's clock; `keyspace` bounds it.",
            rate("redis_keyspace_server_seconds_total"),
        ),
        lines(
            "Keys looked at",
            "percentunit",
            "How far the look is that is under way, and the share of keys that the figures of key groups are made of.",
            Query(gauge("redis_keyspace_look_progress_ratio"), "progress {{target}} {{addr}}"),
            Query(gauge("redis_keyspace_sampled_ratio"), "seen {{target}} {{addr}}"),
            maximum=1,
        ),
        table(
            "State of looking at keys",
            "What the keyspace sampler does, or why it cannot.",
            (
                Column("Target", "target"),
                Column("Node", "addr", width=135),
                Column("State", "reason"),
                Column("Looks/s", unit="cps"),
                Column("Age", unit="s"),
            ),
            "max by (target, addr, reason) "
            f"({select('redis_keyspace_state_info')} * on (job, instance, target, addr) group_left () "
            f"rate({select('redis_keyspace_looks_total')}[{RATE}]))",
            age("redis_keyspace_oldest_observation_timestamp_seconds"),
            sort="Target",
            descending=False,
            width=8,
        ),
    ),
)

FRESH = Row(
    "Is what it says fresh?",
    (
        lines(
            "Age of the sampling window",
            "s",
            "Since the window was last brought up to date.",
            age("redis_sampling_last_success_timestamp_seconds"),
            width=6,
        ),
        lines(
            "Age of INFO",
            "s",
            "Since INFO was last read. What is too old is withheld, not repeated.",
            age("redis_stats_last_success_timestamp_seconds"),
            width=6,
        ),
        lines(
            "Way of a canary",
            "s",
            "How long the last canary, a PING on a second connection, took until it was read in MONITOR's stream. About "
            "the length of an observation is fine; one that never comes is the reason silent of the source.",
            gauge("redis_sampling_canary_lag_seconds"),
            width=6,
        ),
        states("Sampling", "1 while the window is fresh.", gauge("redis_sampling_up"), texts=YES_NO, width=6),
    ),
)

BOARD = Dashboard(
    Uid.SELF,
    "exporter",
    "Redis hot key exporter",
    "Whether the exporter is well, and what it costs the servers that it watches.",
    (JOB, INSTANCE, TARGETS, NODES),
    (ALERTS, EXPORTER_STARTS),
    (NOW, PROCESS, COST, FRESH, TLS),
)
