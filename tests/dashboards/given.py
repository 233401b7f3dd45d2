"""What the page of `grafana/` draws: a dashboard's JSON and a running Prometheus in, panels with their answers out."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tests.dashboards.documents import WORDS, Asked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.daemon import Prometheus


@dataclass(frozen=True, slots=True)
class Span:
    """The time shown, in seconds since the epoch, and what Grafana derives from it and the scrape interval."""

    start: int
    end: int
    step: int
    rate: int

    def filled(self, expr: str, chosen: Mapping[str, str]) -> str:
        """The expression as Grafana sends it; `chosen` are the variables of which not everything is chosen."""
        for name, value in chosen.items():
            expr = expr.replace(f'"${name}"', f'"{value}"')
        one = Asked("", "", expr, frozenset(), "")
        return one.filled(rate=f"{self.rate}s", span=f"{self.end - self.start}s")


def given(
    document: Mapping[str, Any],
    prometheus: Prometheus,
    span: Span,
    *,
    chosen: Mapping[str, str] = MappingProxyType({}),
    opened: bool = False,
) -> dict[str, Any]:
    """Everything that the page needs, see `grafana/model.ts`; `opened` also shows the rows that are closed at first."""

    def asked(expr: str, *, over_time: bool) -> list[dict[str, Any]]:
        return _asked(prometheus, span.filled(expr, chosen), span, over_time=over_time)

    names = {"datasource": "Prometheus", **WORDS, **{name: value.replace("|", " + ") for name, value in chosen.items()}}
    panels = list(_opened(document["panels"]) if opened else document["panels"])
    shown = [panel for panel in panels if panel["type"] != "row"]
    return {
        "title": document["title"],
        "span": {"from": span.start * 1000, "to": span.end * 1000, "step": span.step * 1000},
        "variables": [
            {"label": one["label"], "value": names.get(one["name"], "All")} for one in document["templating"]["list"]
        ],
        "panels": panels,
        "answers": {
            f"{panel['id']},{target['refId']}": asked(target["expr"], over_time=target["range"])
            for panel in shown
            for target in panel["targets"]
        },
        "events": [
            {"at": at, "color": one["iconColor"]}
            for one in document["annotations"]["list"]
            if one["enable"] and "expr" in one
            for at in _events(asked(one["expr"], over_time=True), one["useValueForTime"], span)
        ],
    }


def _opened(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A closed row's panels stand where they would be if it alone were open."""
    down = 0
    for panel in panels:
        inside = panel.get("panels") or []
        yield _moved({**panel, "collapsed": False}, down)
        yield from (_moved(one, down) for one in inside)
        if inside:
            down += max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in inside) - panel["gridPos"]["y"] - 1


def _moved(panel: dict[str, Any], down: int) -> dict[str, Any]:
    return {**panel, "gridPos": {**panel["gridPos"], "y": panel["gridPos"]["y"] + down}}


def _asked(prometheus: Prometheus, expr: str, span: Span, *, over_time: bool) -> list[dict[str, Any]]:
    if over_time:
        spread = {"start": str(span.start), "end": str(span.end), "step": str(span.step)}
        answer = prometheus.get("/api/v1/query_range", query=expr, **spread)
    else:
        answer = prometheus.get("/api/v1/query", query=expr, time=str(span.end))
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def _events(found: list[dict[str, Any]], at_value: str | bool, span: Span) -> list[float]:
    """When, in milliseconds: the values of the series, or the first moment of each time that there is one."""
    moments: set[float] = set()
    for series in found:
        if at_value:
            moments |= {float(value) for _, value in series["values"]}
        else:
            times = [at for at, _ in series["values"]]
            moments |= {at * 1000 for at, before in zip(times, [0, *times], strict=False) if at - before > span.step}
    return sorted(at for at in moments if span.start < at / 1000 <= span.end)
