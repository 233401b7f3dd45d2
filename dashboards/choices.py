"""Variables, annotations and links that several dashboards share. Pure."""

from __future__ import annotations

from dashboards.links import VARIABLES, Uid
from dashboards.model import Annotation, Link, Variable
from dashboards.queries import EXPORTER, MASTERS, NODE, TARGET, by_exporter, by_node, gauge, of_exporters, select

JOB = Variable("job", "Job", "label_values(hotkey_exporter_build_info, job)")
INSTANCE = Variable("instance", "Instance", 'label_values(hotkey_exporter_build_info{job=~"$job"}, instance)')
TARGETS = Variable("target", "Target", f"label_values(redis_up{{{EXPORTER}}}, target)")
NODES = Variable("addr", "Node", f"label_values(redis_up{{{TARGET}}}, addr)")
DATABASES = Variable("db", "Database", f"label_values(redis_hotkey_accesses_per_second{{{NODE}}}, db)", ".*")
KEYS = Variable("key", "Key", f"label_values(redis_hotkey_accesses_per_second{{{NODE}}}, key)", ".*")
JOBS = Variable("job_name", "Warming job", f"label_values(redis_cache_warming_leader{{{TARGET}}}, job_name)")

# Alerts of the exporter itself have no target: an empty one is let through, or nobody would see them.
ALERTS = Annotation(
    "Alerts",
    f'ALERTS{{{EXPORTER}, target=~"$target|", alertstate="firing", severity=~"warning|critical"}}',
    "{{alertname}} ({{severity}})",
    "{{target}} {{addr}}",
    "red",
)
EXPORTER_STARTS = Annotation(
    "Exporter starts",
    f"{by_exporter(of_exporters(f'process_start_time_seconds{{{EXPORTER}}}'))} * 1000",
    "Exporter started",
    "{{instance}}",
    "blue",
    at_value=True,
)


def restarts(scope: str = NODE) -> Annotation:
    """Starts of Redis, at the second that the server names."""
    expr = f"{gauge('redis_start_time_seconds', scope=scope)} * 1000"
    return Annotation("Restarts", expr, "Redis started", "{{target}} {{addr}}", "purple", at_value=True)


def failovers(scope: str = NODE) -> Annotation:
    """A node is primary that was a replica a minute ago."""
    now = gauge("redis_node_info", where=MASTERS, scope=scope)
    before = by_node(select("redis_node_info", 'role="slave"', scope) + " offset 1m")
    expr = f"{now} and on (target, addr) {before}"
    return Annotation("Failovers", expr, "Replica became primary", "{{target}} {{addr}}", "orange")


def warmed(scope: str = TARGET) -> Annotation:
    """Complete runs of warming jobs, at the second that they ended."""
    expr = (
        f"max by (target, job_name) ({select('redis_cache_warming_last_success_timestamp_seconds', '', scope)}) * 1000"
    )
    return Annotation("Warming runs", expr, "{{job_name}} has run", "{{target}}", "green", at_value=True)


def drill(title: str, uid: Uid, fields: dict[str, str]) -> Link:
    """Write a link from a row of a table to a dashboard; `fields` gives the column that holds each variable's value."""
    assert set(fields) <= set(VARIABLES[uid]), uid
    chosen = "".join(f'&var-{name}=${{__data.fields["{column}"]:percentencode}}' for name, column in fields.items())
    return Link(title, f"/d/{uid}?${{datasource:queryparam}}&${{__url_time_range}}{chosen}")
