"""What a rule is: typed alerts and recording rules, written as Prometheus' rule files. Pure.

An expression names values of the values file as `$name`, so that a threshold stands in one place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from string import Template
from typing import TYPE_CHECKING, Any

from dashboards.links import Uid, alert_url

if TYPE_CHECKING:
    from collections.abc import Mapping

# What identifies a node: two exporters may watch the same one, and are two voices then.
NODE = ("job", "instance", "target", "addr")
ON = "job, instance, target, addr"
SEVERITIES = {
    "critical": "a person is paged: users are hurt now, or will be within the hour",
    "warning": "a ticket: to be looked at within a working day",
    "info": "no message of its own; context for the alerts beside it",
    "none": "the pipeline's own heartbeat",
}


@dataclass(frozen=True, slots=True)
class Values:
    """The values file: addresses, thresholds by name, and other waits for some alerts, by the alert's name."""

    job: str
    runbooks: str
    grafana: str
    thresholds: Mapping[str, float | str]
    waits: Mapping[str, str] = field(default_factory=dict)

    def fill(self, expr: str) -> str:
        """Put the values into an expression, as one line; an unknown name is a KeyError."""
        return Template(" ".join(expr.split())).substitute({**self.thresholds, "job": self.job, "on": ON})


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording rule, named `level:metric:operations`."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert and its page in the runbooks.

    `wait` is Prometheus' `for`. `labels` are the labels of its expression that its texts may name. `why` says what it
    means for users, `causes` and `do` are lists, separated by semicolons. `component` is a label to route by. Of alerts with the same `topic` the critical one makes
    the others of its node silent: Alertmanager inhibits them. `extra` are further labels.
    """

    name: str
    expr: str
    wait: str
    severity: str
    summary: str
    description: str
    why: str
    causes: str
    do: str
    component: str = "redis"
    labels: tuple[str, ...] = NODE
    topic: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> tuple[str, ...]:
        """The names of the values that its expression uses."""
        names = (match[1] for match in re.finditer(r"\$(\w+)", self.expr))
        return tuple(dict.fromkeys(name for name in names if name not in {"job", "on"}))


@dataclass(frozen=True, slots=True)
class Family:
    """Rules that belong together: one group, one file."""

    name: str
    title: str
    dashboard: Uid = Uid.REDIS
    recordings: tuple[Recording, ...] = ()
    alerts: tuple[Alert, ...] = ()


def group(family: Family, values: Values) -> dict[str, Any]:
    """Build one group of a rule file."""
    rules: list[dict[str, Any]] = []
    for recording in family.recordings:
        rule: dict[str, Any] = {"record": recording.record, "expr": values.fill(recording.expr)}
        rules.append(rule | ({"labels": dict(recording.labels)} if recording.labels else {}))
    rules.extend(_alerting(alert, family, values) for alert in family.alerts)
    return {"name": f"hotkey-exporter-{family.name}", "rules": rules}


def dashboard(alert: Alert, family: Family) -> Uid:
    """Choose the dashboard to look at: the exporter's own, the one of all nodes, or that of the family."""
    if alert.component == "self":
        return Uid.SELF
    return Uid.FLEET if alert.component == "fleet" and "addr" not in alert.labels else family.dashboard


def _alerting(alert: Alert, family: Family, values: Values) -> dict[str, Any]:
    topic = {"topic": alert.topic} if alert.topic else {}
    wait = values.waits.get(alert.name, alert.wait)
    return {
        "alert": alert.name,
        "expr": values.fill(alert.expr),
        **({"for": wait} if wait else {}),
        "labels": {"severity": alert.severity, "component": alert.component, **topic, **alert.extra},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{values.runbooks}/{alert.name}.md",
            "dashboard_url": alert_url(values.grafana, dashboard(alert, family), alert.labels),
        },
    }
