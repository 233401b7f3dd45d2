"""The committed dashboards as tests read them: JSON in, every panel and everything that is asked of Prometheus out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOCUMENTS: Mapping[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "dashboards" / "json").glob("*.json"))
}
VARIABLE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")
LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
BUILT_IN = {"__rate_interval", "__range", "__interval", "__url_time_range", "__data"}
WORDS = {"hit_objective": "0.9"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One expression that a dashboard has Prometheus evaluate; `labels` are those that its legend or table names."""

    dashboard: str
    place: str
    expr: str
    labels: frozenset[str]
    kind: str

    def filled(self, rate: str = "5m", span: str = "1h", choices: str = ".*") -> str:
        """The expression as Grafana sends it with everything chosen."""
        given = {"__rate_interval": rate, "__interval": rate, "__range": span, **WORDS}

        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            return given.get(name, choices)

        return VARIABLE.sub(value, self.expr)


def panels(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel that is not a row, those in closed rows included."""
    for panel in document["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def asked() -> list[Asked]:
    """Everything that the dashboards ask: panels, variables, annotations."""
    return [one for name, document in DOCUMENTS.items() for one in _asked(name, document)]


def _asked(name: str, document: Mapping[str, Any]) -> Iterator[Asked]:
    for panel in panels(document):
        for target in panel["targets"]:
            place = f"{panel['title']} {target['refId']}"
            yield Asked(name, place, target["expr"], _labels(panel, target), panel["type"])
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = label_values(variable["query"]["query"])
            expr = f"count by ({label}) ({selector})"
            yield Asked(name, f"${variable['name']}", expr, frozenset({label}), "variable")
    for annotation in document["annotations"]["list"]:
        if "expr" in annotation:
            found = frozenset(LABEL.findall(annotation["titleFormat"] + annotation["textFormat"]))
            yield Asked(name, annotation["name"], annotation["expr"], found, "annotation")


def label_values(query: str) -> tuple[str, str]:
    """The selector and the label of `label_values(selector, label)`."""
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert match, query
    return match[1], match[2]


def _labels(panel: Mapping[str, Any], target: Mapping[str, Any]) -> frozenset[str]:
    if panel["type"] != "table":
        return frozenset(LABEL.findall(target["legendFormat"]))
    organize = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
    columns = frozenset(one for one in organize["renameByName"] if not one.startswith("Value"))
    # Only the first query has to have every column; the others are joined to it by the labels that they have.
    return columns if target["refId"] == "A" else frozenset()
