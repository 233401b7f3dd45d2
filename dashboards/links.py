"""Where a dashboard is found: its uid, and the link that opens it for the node, key or job of an alert. Pure.

`alerts/` makes its `dashboard_url` with `alert_url`; imports nothing, so that it can.
"""

from __future__ import annotations

from enum import StrEnum


class Uid(StrEnum):
    """The uids of the dashboards. They never change: alerts, bookmarks and runbooks lead to them."""

    HOT_KEYS = "hotkey-exporter-hotkeys"
    REDIS = "hotkey-exporter-redis"
    WARMING = "hotkey-exporter-warming"
    FLEET = "hotkey-exporter-fleet"
    SELF = "hotkey-exporter-self"
    SLO = "hotkey-exporter-slo"


VARIABLES = {
    Uid.HOT_KEYS: ("job", "instance", "target", "addr", "db", "key"),
    Uid.REDIS: ("job", "instance", "target", "addr"),
    Uid.WARMING: ("job", "instance", "target", "job_name"),
    Uid.FLEET: ("job", "instance", "target"),
    Uid.SELF: ("job", "instance", "target", "addr"),
    Uid.SLO: ("job", "instance", "target", "addr"),
}
"""The template variables of each dashboard that choose by a label; they are called as the label is."""


def alert_url(grafana: str, uid: Uid, labels: tuple[str, ...]) -> str:
    """Build the `dashboard_url` annotation of an alert, a template that Prometheus fills in.

    `grafana` is its root URL, `labels` the labels of the alert's expression: those that the dashboard chooses by are
    handed to it.
    """
    chosen = [f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in VARIABLES[uid] if name in labels]
    return f"{grafana.rstrip('/')}/d/{uid}" + ("?" + "&".join(chosen) if chosen else "")
