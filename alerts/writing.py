"""Values and families in, the text of every generated file out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from alerts.families import FAMILIES
from alerts.rule import SEVERITIES, Values, dashboard, group

if TYPE_CHECKING:
    from alerts.rule import Alert, Family

NOTE = "# Written by `python -m alerts` from alerts/values.yaml and alerts/families; edit those.\n"


def read_values(text: str) -> Values:
    """Parse a values file; a KeyError names what is missing, or an alert in `waits` that does not exist."""
    given = yaml.safe_load(text)
    waits = given.get("waits") or {}
    for name in {*waits} - {alert.name for family in FAMILIES for alert in family.alerts}:
        raise KeyError(f"waits.{name}")
    return Values(given["job"], given["runbooks"].rstrip("/"), given["grafana"], given["thresholds"], waits)


def rule_files(values: Values) -> dict[str, str]:
    """Build Prometheus' rule files, one for each family, by file name."""
    return {f"{one.name}.yaml": NOTE + _dump({"groups": [group(one, values)]}) for one in FAMILIES}


def prometheus_rule(values: Values) -> str:
    """Build the same as a manifest for the Prometheus operator."""
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "hotkey-exporter", "labels": {"app.kubernetes.io/name": "hotkey-exporter"}},
        "spec": {"groups": [group(one, values) for one in FAMILIES]},
    }
    return NOTE + _dump(manifest)


def runbooks(values: Values) -> dict[str, str]:
    """Build the pages of the runbooks by file name: one for each alert, and their list."""
    pages = {"README.md": _contents()}
    for family in FAMILIES:
        for name in dict.fromkeys(one.name for one in family.alerts):
            pages[f"{name}.md"] = _page([one for one in family.alerts if one.name == name], family, values)
    return pages


def _contents() -> str:
    lines = [
        "# Runbooks",
        "",
        "One page for each alert of [alerts/rules](../../alerts/rules): what it means, where to look first, what to do.",
        "",
        *(f"* **{name}**: {text}." for name, text in SEVERITIES.items()),
    ]
    for family in FAMILIES:
        if family.alerts:
            lines += ["", f"## {family.title}", "", "| alert | severity | says |", "|---|---|---|"]
            for name in dict.fromkeys(one.name for one in family.alerts):
                same = [one for one in family.alerts if one.name == name]
                severities = ", ".join(dict.fromkeys(one.severity for one in same))
                lines.append(f"| [{name}]({name}.md) | {severities} | {same[0].summary} |")
    return "\n".join([*lines, ""])


def _page(same: list[Alert], family: Family, values: Values) -> str:
    first = same[0]
    lines = [f"# {first.name}", "", first.summary, "", first.why, "", "## When it fires", ""]
    lines += ["| severity | after | expression |", "|---|---|---|"]
    for one in same:
        cell = values.fill(one.expr).replace("|", "\\|")
        lines.append(f"| {one.severity} | {values.waits.get(one.name, one.wait) or 'at once'} | `{cell}` |")
    lines += ["", "## First look", ""]
    lines += ["* `/health/redis-alerts` and `/health/redis` of the exporter: what it sees right now."]
    lines += [f"* The dashboard `{dashboard(first, family)}`, where the alert's link opens it for this very node."]
    lines += ["", "## Likely causes", "", *_bullets(first.causes)]
    lines += ["", "## What to do", "", *_bullets(first.do), "", "## Tuning and silencing", ""]
    used = tuple(dict.fromkeys(name for one in same for name in one.values))
    if used:
        names = ", ".join(f"`{name}` ({values.thresholds[name]})" for name in used)
        lines.append(f"Change {names} in [alerts/values.yaml](../../alerts/values.yaml), then `python -m alerts`.")
    elif "threshold" in first.expr:
        lines.append("The limit is the exporter's own: `sampling` and `alerts` in its config.yaml; a reload is enough.")
    else:
        lines.append("There is nothing to tune: a state, not a limit.")
    matchers = " ".join(f"{name}=…" for name in ("target", "addr") if name in first.labels)
    lines += ["", "```", f"amtool silence add --duration=2h --comment=why alertname={first.name} {matchers}".rstrip()]
    return "\n".join([*lines, "```", ""])


def _bullets(text: str) -> list[str]:
    return [f"* {part.strip()[0].upper()}{part.strip()[1:].rstrip('.')}." for part in text.split(";")]


def _dump(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=4096, allow_unicode=True)
