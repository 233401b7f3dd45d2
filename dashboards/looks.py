"""Panels in, their part of Grafana's classic JSON out: type, queries, options and how fields are shown. Pure."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from dashboards.model import Bars, Heat, Lines, Number, States, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dashboards.model import Column, Link, Look, Panel, Threshold

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
WIDE, HIGH = 12, 8
"""From this size on a legend has room for figures."""
LEAST_COLUMN_WIDTH = 60
LEAST_SHARE = 0.01
TYPES: Mapping[type[Look], str] = {
    Lines: "timeseries",
    Number: "stat",
    Table: "table",
    Bars: "bargauge",
    Heat: "heatmap",
    States: "state-timeline",
}


def panel_json(panel: Panel, identity: int) -> dict[str, Any]:
    """Build a panel without its place."""
    return {
        "datasource": DATASOURCE,
        "description": panel.description,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "id": identity,
        "links": [],
        "options": _options(panel),
        "targets": [_target(panel, n) for n in range(len(panel.queries))],
        "title": panel.title,
        **({"transformations": _joined(panel, panel.look)} if isinstance(panel.look, Table) else {}),
        "transparent": False,
        "type": TYPES[type(panel.look)],
    }


def _target(panel: Panel, n: int) -> dict[str, Any]:
    over_time = not isinstance(panel.look, Table | Bars)
    formats = {Table: "table", Heat: "heatmap"}
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "exemplar": False,
        "expr": panel.queries[n].expr,
        "format": formats.get(type(panel.look), "time_series"),
        "instant": not over_time,
        "legendFormat": panel.queries[n].legend,
        "range": over_time,
        "refId": ascii_uppercase[n],
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = {
        "color": {"mode": _color_mode(panel)},
        "custom": _custom(panel),
        "links": [_link(one) for one in panel.links],
        "mappings": _mappings(panel.texts),
        "thresholds": _thresholds(panel.thresholds),
        "unit": panel.unit,
    }
    limits = {"min": panel.minimum, "max": panel.maximum, "decimals": panel.decimals}
    return found | {name: value for name, value in limits.items() if value is not None}


def _color_mode(panel: Panel) -> str:
    if isinstance(panel.look, States) or (panel.thresholds and isinstance(panel.look, Number | Bars)):
        return "thresholds"
    return "palette-classic"


def _custom(panel: Panel) -> dict[str, Any]:
    match panel.look:
        case Lines(stack=stack, limit=limit):
            # Without it Grafana draws a share that is always 0 on an axis up to 10,000 %.
            least = {"axisSoftMax": LEAST_SHARE} if panel.unit == "percentunit" and panel.maximum is None else {}
            return {
                **least,
                "axisPlacement": "auto",
                "drawStyle": "line",
                "fillOpacity": 40 if stack else 0,
                "lineInterpolation": "linear",
                "lineWidth": 1,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"group": "A", "mode": "normal" if stack else "none"},
                "thresholdsStyle": {"mode": "dashed" if limit is not None else "off"},
            }
        case Table():
            # Grafana's own least width, 150, makes a table of many columns scroll sideways.
            cell = {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False}
            return {**cell, "minWidth": LEAST_COLUMN_WIDTH}
        case States():
            return {"fillOpacity": 70, "lineWidth": 0}
        case Heat():
            return {"scaleDistribution": {"type": "linear"}}
    return {}


def _options(panel: Panel) -> dict[str, Any]:
    tooltip = {"mode": "multi", "sort": "desc"}
    match panel.look:
        case Lines():
            wide = panel.width >= WIDE and panel.height >= HIGH
            calcs = ["mean", "max", "lastNotNull"] if wide else []
            mode = "table" if wide else "list"
            return {
                "legend": {"calcs": calcs, "displayMode": mode, "placement": "bottom", "showLegend": True},
                "tooltip": tooltip,
            }
        case Number(area=area, colored=colored):
            return {
                "colorMode": "value" if colored else "none",
                "graphMode": "area" if area else "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "reduceOptions": LAST,
                "showPercentChange": False,
                "textMode": "value",
                "wideLayout": True,
            }
        case Table(sort=sort, descending=descending):
            return {"cellHeight": "sm", "showHeader": True, "sortBy": [{"desc": descending, "displayName": sort}]}
        case Bars():
            return {
                "displayMode": "basic",
                "minVizHeight": 16,
                "minVizWidth": 8,
                "namePlacement": "auto",
                "orientation": "horizontal",
                "reduceOptions": LAST,
                "showUnfilled": True,
                "sizing": "auto",
                "valueMode": "color",
            }
        case Heat():
            return {
                "calculate": False,
                "cellGap": 1,
                "color": {
                    "exponent": 0.5,
                    "fill": "dark-orange",
                    "mode": "scheme",
                    "reverse": False,
                    "scheme": "Oranges",
                    "steps": 64,
                },
                "filterValues": {"le": 1e-9},
                "legend": {"show": True},
                "rowsFrame": {"layout": "auto"},
                "showValue": "never",
                "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
                "yAxis": {"axisPlacement": "left", "reverse": False, "unit": panel.unit},
            }
        case States():
            return {
                "alignValue": "left",
                "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
                "mergeValues": True,
                "rowHeight": 0.8,
                "showValue": "auto",
                "tooltip": {"mode": "single", "sort": "none"},
            }


def _thresholds(given: Iterable[Threshold]) -> dict[str, Any]:
    """Grafana's first step has no value: it is the colour below all others."""
    steps = [{"color": one.color, "value": one.value} for one in given]
    if steps and steps[0]["value"] == 0:
        steps[0]["value"] = None
    else:
        steps.insert(0, {"color": "text", "value": None})
    return {"mode": "absolute", "steps": steps}


def _mappings(texts: Mapping[str, tuple[str, str]] | None) -> list[dict[str, Any]]:
    if not texts:
        return []
    options = {
        value: {"color": color, "index": n, "text": text} for n, (value, (text, color)) in enumerate(texts.items())
    }
    return [{"options": options, "type": "value"}]


def _link(one: Link) -> dict[str, Any]:
    return {"targetBlank": False, "title": one.title, "url": one.url}


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    match panel.look:
        case Lines(dashed=pattern) if pattern:
            properties = [
                {"id": "custom.lineStyle", "value": {"dash": [10, 10], "fill": "dash"}},
                {"id": "custom.fillOpacity", "value": 0},
                {"id": "custom.stacking", "value": {"group": "A", "mode": "none"}},
            ]
            return [{"matcher": {"id": "byRegexp", "options": f"/{pattern}/"}, "properties": properties}]
        case Table(columns=columns):
            styled = ((one.title, _properties(one)) for one in columns)
            return [
                {"matcher": {"id": "byName", "options": title}, "properties": found} for title, found in styled if found
            ]
    return []


def _properties(column: Column) -> list[dict[str, Any]]:
    found: list[tuple[str, Any]] = []
    if column.unit:
        found.append(("unit", column.unit))
    if column.label:
        found.append(("custom.filterable", True))
    if column.width:
        found.append(("custom.width", column.width))
    if column.thresholds:
        found.append(("thresholds", _thresholds(column.thresholds)))
        found.append(("custom.cellOptions", {"type": "color-text"}))
        found.append(("color", {"mode": "thresholds"}))
    if column.texts:
        options = {value: {"index": n, "text": text} for n, (value, text) in enumerate(column.texts.items())}
        found.append(("mappings", [{"options": options, "type": "value"}]))
    if column.link:
        found.append(("links", [_link(column.link)]))
    return [{"id": name, "value": value} for name, value in found]


def _joined(panel: Panel, look: Table) -> list[dict[str, Any]]:
    """Join the queries' frames by their labels, then keep, order and name the columns."""
    values = (f"Value #{letter}" for letter, _ in zip(ascii_uppercase, panel.queries, strict=False))
    single = len(panel.queries) == 1
    fields = [column.label or ("Value" if single and next(values) else next(values, "")) for column in look.columns]
    titles = {field: column.title for field, column in zip(fields, look.columns, strict=True)}
    organize = {
        "excludeByName": {},
        "includeByName": {},
        "indexByName": {field: n for n, field in enumerate(fields)},
        "renameByName": titles,
    }
    return [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": fields}}},
        {"id": "organize", "options": organize},
    ]
