"""Lint rules for dashboards: a document in, findings out.

The first part has the rules of Grafana's dashboard-linter, by their names; the second what they do not see.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import promql_parser as promql

from tests.dashboards.documents import BUILT_IN, VARIABLE, Asked, label_values, panels
from tests.dashboards.promql import labels, selectors, unguarded, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Of Grafana's unit ids, those that stand for what the exporter has.
UNITS = {
    "short", "none", "percent", "percentunit", "s", "ms", "µs", "bytes", "Bps", "ops", "reqps", "wps", "cps",
}  # fmt: skip
# A selector that lets series without a target or instance through, on purpose.
EXCUSED = {"ALERTS": {"target"}}


def findings(name: str, document: Mapping[str, Any], questions: list[Asked]) -> list[str]:
    """All findings of all rules."""
    found = [*_templates(document), *_panels(document), *_layout(document), *_names(document)]
    for one in questions:
        found += [f"{one.place}: {text}" for text in _query(one)]
    return [f"{name}: {text}" for text in found]


def _templates(document: Mapping[str, Any]) -> Iterator[str]:
    variables = {one["name"]: one for one in document["templating"]["list"]}
    source = variables.get("datasource", {})
    if (source.get("type"), source.get("query"), source.get("label")) != ("datasource", "prometheus", "Data source"):
        yield "template-datasource-rule"
    for name, label in (("job", "Job"), ("instance", "Instance")):
        one = variables.get(name, {})
        if (one.get("type"), one.get("label"), one.get("multi"), one.get("allValue")) != ("query", label, True, ".+"):
            yield f"template-{name}-rule"
    for one in variables.values():
        if one["type"] != "query":
            continue
        if one["refresh"] != 2:
            yield f"template-on-time-change-reload-rule: {one['name']}"
        if one["datasource"]["uid"] != "${datasource}":
            yield f"template {one['name']} has its own data source"
        try:
            promql.parse(Asked("", "", label_values(one["query"]["query"])[0], frozenset(), "").filled())
        except (ValueError, AssertionError):
            yield f"template-label-promql-rule: {one['name']}"
    if document["editable"]:
        yield "uneditable-dashboard"


def _panels(document: Mapping[str, Any]) -> Iterator[str]:
    for panel in panels(document):
        title = panel["title"]
        if panel["datasource"]["uid"] != "${datasource}" or any(
            one["datasource"]["uid"] != "${datasource}" for one in panel["targets"]
        ):
            yield f"panel-datasource-rule: {title}"
        if not title or not panel["description"].endswith("."):
            yield f"panel-title-description-rule: {title}"
        if panel["fieldConfig"]["defaults"]["unit"] not in UNITS:
            yield f"panel-units-rule: {title}"
        if not panel["targets"] or not all(one["expr"] for one in panel["targets"]):
            yield f"panel-no-targets-rule: {title}"
        if panel["type"] in {"graph", "singlestat", "table-old"}:
            yield f"an old type: {title}"


def _query(one: Asked) -> Iterator[str]:
    try:
        tree = promql.parse(one.filled(rate="100003s", choices="chosen"))
    except ValueError as error:
        yield f"target-promql-rule: {error}"
        return
    yield from _selectors(one, tree)
    for call in walk(tree):
        rated = isinstance(call, promql.Call) and call.func.name in {"rate", "irate"}
        if rated and call.args[0].range.total_seconds() != 100003:
            yield "target-rate-interval-rule"
        if isinstance(call, promql.AggregateExpr) and str(call.op) in {"count_values", "quantile"}:
            yield f"unbounded: {call.op}"
    counted = {
        selector.name
        for call in walk(tree)
        if isinstance(call, promql.Call) and call.func.name in {"rate", "irate", "increase"}
        for selector in selectors(call)
    }
    bare = {selector.name for selector in selectors(tree)} - counted
    if any(name.endswith(("_total", "_bucket")) for name in bare) and one.kind != "variable":
        yield "target-counter-agg-rule"
    left = labels(tree)
    if left is None and one.kind != "annotation":
        yield "labels of the scrape multiply its series"
    if left is not None and not one.labels <= left:
        yield f"its legend names labels that are gone: {sorted(one.labels - left)}"
    for divisor in unguarded(tree):
        yield f"a division by what may be 0: {divisor}"


def _selectors(one: Asked, tree: Any) -> Iterator[str]:
    for selector in selectors(tree):
        given = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        for label in ("job", "instance"):
            own = one.place in {"$job", "$instance"} and one.kind == "variable"
            if given.get(label) != "chosen" and not own:
                yield f"target-{label}-rule: {selector.name}"
        if selector.name in EXCUSED:
            continue
        if selector.name.startswith(("redis_", "addr:")) and "target" not in given and one.place != "$target":
            yield f"a selector that the target's choice does not reach: {selector.name}"


def _layout(document: Mapping[str, Any]) -> Iterator[str]:
    taken: Counter[tuple[int, int]] = Counter()
    identities: Counter[int] = Counter()
    for panel in document["panels"]:
        for one in (panel, *panel.get("panels", ())):
            identities[one["id"]] += 1
            at = one["gridPos"]
            if at["x"] < 0 or at["x"] + at["w"] > 24 or at["w"] < 1 or at["h"] < 1:
                yield f"outside the grid: {one['title']}"
        at = panel["gridPos"]
        taken.update((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"]))
    if taken and max(taken.values()) > 1:
        yield "panels overlap"
    if identities and max(identities.values()) > 1:
        yield f"an id twice: {[one for one, count in identities.items() if count > 1]}"
    titles = Counter(one["title"] for one in panels(document))
    if max(titles.values()) > 1:
        yield f"a title twice: {[one for one, count in titles.items() if count > 1]}"
    for panel in panels(document):
        letters = [one["refId"] for one in panel["targets"]]
        if len(set(letters)) != len(letters):
            yield f"a refId twice: {panel['title']}"


def _names(document: Mapping[str, Any]) -> Iterator[str]:
    known = {one["name"] for one in document["templating"]["list"]} | BUILT_IN
    for text in _texts({key: value for key, value in document.items() if key != "links"}):
        for match in VARIABLE.finditer(text):
            name = match[1] or match[2]
            if name not in known and not name.isdigit() and name != "__all":
                yield f"${name} is no variable"
    if document["id"] is not None or "__inputs" in document:
        yield "what provisioning stumbles over"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
