"""Dashboards in, Grafana's classic JSON and the files around it out. Pure.

The model is that of Grafana 10.4 (schemaVersion 39), which every newer one reads.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zlib import crc32

import yaml

from dashboards.grid import place
from dashboards.looks import DATASOURCE, panel_json
from dashboards.model import TextBox

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dashboards.grid import Place
    from dashboards.model import Annotation, Dashboard, Row, Variable

TAG = "hotkey-exporter"
FOLDER = "Redis"
PLACE = "/var/lib/grafana/dashboards/hotkey-exporter"
NOTE = "# Written by `python -m dashboards` from dashboards/; edit that.\n"


def panel_id(title: str) -> int:
    """Give a panel an id that stays when others come and go, so that links to it hold; titles differ in a dashboard."""
    return crc32(title.encode()) % 1_000_000 + 1


def dashboard_json(board: Dashboard, runbooks: str) -> dict[str, Any]:
    """Build a dashboard's JSON; `runbooks` is where the pages of the alerts are."""
    return {
        "annotations": {"list": [_builtin(), *(_annotation(one) for one in board.annotations)]},
        "description": board.description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": _links(runbooks),
        "liveNow": False,
        "panels": list(_rows(board.rows)),
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": [TAG, "redis"],
        "templating": {"list": [_datasource(), *(_variable(one) for one in board.variables)]},
        "time": {"from": board.since, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": board.title,
        "uid": str(board.uid),
        "version": 1,
        "weekStart": "",
    }


def json_text(document: dict[str, Any]) -> str:
    """Write JSON as it is committed."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def config_maps(boards: Iterable[tuple[Dashboard, dict[str, Any]]]) -> str:
    """Build a ConfigMap for each dashboard, with the label that Grafana's sidecar looks for; one would be too large."""
    return NOTE + "".join(
        "---\n"
        + yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": str(board.uid),
                    "labels": {"app.kubernetes.io/name": "hotkey-exporter", "grafana_dashboard": "1"},
                    "annotations": {"grafana_folder": FOLDER},
                },
                "data": {f"{board.uid}.json": json.dumps(document, ensure_ascii=False, separators=(",", ":"))},
            },
            sort_keys=False,
            width=1_000_000,
            allow_unicode=True,
        )
        for board, document in boards
    )


def provider() -> str:
    """Build Grafana's provisioning file that loads the dashboards from a directory."""
    one = {
        "name": TAG,
        "orgId": 1,
        "folder": FOLDER,
        "folderUid": TAG,
        "type": "file",
        "disableDeletion": True,
        "updateIntervalSeconds": 30,
        "allowUiUpdates": False,
        "options": {"path": PLACE, "foldersFromFilesStructure": False},
    }
    return NOTE + yaml.safe_dump({"apiVersion": 1, "providers": [one]}, sort_keys=False)


def datasources() -> str:
    """Build Grafana's provisioning file of Prometheus and Alertmanager, addresses and interval from the environment.

    Grafana reads `$NAME` in such files. `timeInterval` has to be the scrape interval, or `$__rate_interval` is wrong.
    """
    prometheus = {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": "$PROMETHEUS_URL",
        "isDefault": True,
        "jsonData": {
            "httpMethod": "POST",
            "timeInterval": "$SCRAPE_INTERVAL",
            "prometheusType": "Prometheus",
            "manageAlerts": True,
            "alertmanagerUid": "alertmanager",
        },
    }
    alertmanager = {
        "name": "Alertmanager",
        "uid": "alertmanager",
        "type": "alertmanager",
        "access": "proxy",
        "url": "$ALERTMANAGER_URL",
        "jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
    }
    return NOTE + yaml.safe_dump({"apiVersion": 1, "datasources": [prometheus, alertmanager]}, sort_keys=False)


def _rows(rows: Iterable[Row]) -> Iterable[dict[str, Any]]:
    top = 0
    for row in rows:
        places, end = place(row.panels, top + 1)
        panels = [_placed(panel_json(one, panel_id(one.title)), at) for one, at in zip(row.panels, places, strict=True)]
        heading = {
            "collapsed": row.closed,
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": top},
            "id": panel_id(f"row {row.title}"),
            "panels": panels if row.closed else [],
            "title": row.title,
            "type": "row",
        }
        yield heading
        if not row.closed:
            yield from panels
        top = top + 1 if row.closed else end


def _placed(panel: dict[str, Any], at: Place) -> dict[str, Any]:
    return {**panel, "gridPos": {"h": at.h, "w": at.w, "x": at.x, "y": at.y}}


def _links(runbooks: str) -> list[dict[str, Any]]:
    shared = {"icon": "external link", "tooltip": "", "asDropdown": False}
    others = {
        **shared,
        "type": "dashboards",
        "title": "Redis dashboards",
        "tags": [TAG],
        "url": "",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "asDropdown": True,
    }
    pages = {
        **shared,
        "type": "link",
        "title": "Runbooks",
        "tags": [],
        "url": f"{runbooks}/README.md",
        "icon": "doc",
        "tooltip": "What each alert means and what to do",
        "includeVars": False,
        "keepTime": False,
        "targetBlank": True,
    }
    return [others, pages]


def _builtin() -> dict[str, Any]:
    return {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }


def _annotation(one: Annotation) -> dict[str, Any]:
    return {
        "datasource": DATASOURCE,
        "enable": one.shown,
        "expr": one.expr,
        "hide": False,
        "iconColor": one.color,
        "name": one.name,
        "step": "30s",
        "tagKeys": "target,severity",
        "textFormat": one.text,
        "titleFormat": one.title,
        "useValueForTime": "on" if one.at_value else False,
    }


def _datasource() -> dict[str, Any]:
    return {
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "type": "datasource",
    }


def _variable(one: Variable | TextBox) -> dict[str, Any]:
    if isinstance(one, TextBox):
        chosen = {"selected": True, "text": one.value, "value": one.value}
        return {
            "current": chosen,
            "hide": 0,
            "label": one.label,
            "name": one.name,
            "options": [chosen],
            "query": one.value,
            "skipUrlSync": False,
            "type": "textbox",
        }
    return {
        "allValue": one.everything,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
        "hide": 0,
        "includeAll": True,
        "label": one.label,
        "multi": True,
        "name": one.name,
        "options": [],
        "query": {"query": one.query, "refId": f"{one.name}-variable"},
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }
