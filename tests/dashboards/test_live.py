"""Every query of every dashboard against a real Prometheus that scrapes the real exporter on a fleet under load."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.documents import Asked, asked
from tests.dashboards.stack import Stack, running
from tests.servers import ROOT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

NODES = 15
PATIENCE_SECONDS = 150
"""Most of this is for a busy machine: usually all of it is there 20 s after the start."""
EVENTS = "what it shows happens now and then"
NEWER = "a server that is newer than those here"
NO_TLS = "Valkey 9.1 says it of its certificates, and the build here has no TLS"
YOUNG = "needs hours or days on record"
# What may have no data here, and why. All else must have some.
EXCUSED = {
    ("hotkeys", "CPU time by key A"): NEWER,
    ("hotkeys", "Network by key A"): NEWER,
    ("hotkeys", "Accesses by key, counted by the server A"): NEWER,
    ("redis", "Busiest slots: contents B"): NEWER,
    ("redis", "Slow commands by name A"): NEWER,
    ("redis", "Longest slow command A"): NEWER,
    ("redis", "Duration of saves C"): EVENTS,
    ("redis", "Why TLS fails A"): EVENTS,
    **{("redis", f"Life of the certificates that servers have loaded {letter}"): NO_TLS for letter in "ABC"},
    ("exporter", "Certificates of the endpoint A"): "this exporter serves without TLS",
    ("warming", "Hit ratio of the target, before and after runs B"): YOUNG,
    ("slo", "Errors: burn over 1h and 5m A"): YOUNG,
    ("slo", "Errors: burn over 6h and 30m A"): YOUNG,
    ("slo", "Errors: burn over 6h and 30m B"): YOUNG,
    ("slo", "Errors: burn over 1d and 2h A"): YOUNG,
    ("slo", "Errors: burn over 1d and 2h B"): YOUNG,
    ("slo", "Errors: burn over 3d and 6h A"): YOUNG,
    ("slo", "Errors: burn over 3d and 6h B"): YOUNG,
    ("slo", "Errors: last hour A"): YOUNG,
    ("slo", "Time below the hit ratio objective A"): YOUNG,
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The fleet, once for all tests here."""
    with running(tmp_path_factory.mktemp("stack")) as started:
        yield started


def data(stack: Stack, one: Asked) -> list[dict[str, Any]]:
    """What Grafana would get: over time for what is drawn over time, else the last values."""
    expr = one.filled(rate="12s", span="30s")
    if one.kind in {"timeseries", "heatmap", "state-timeline", "stat", "annotation"}:
        now = int(time.time())
        spread = {"start": str(now - 4), "end": str(now), "step": "2"}
        found = stack.prometheus.get("/api/v1/query_range", query=expr, **spread)["data"]["result"]
        return [{"metric": series["metric"], "values": [value for _, value in series["values"]]} for series in found]
    return [{"metric": series["metric"], "values": [series["value"][1]]} for series in stack.prometheus.query(expr)]


def problem(one: Asked, found: list[dict[str, Any]]) -> str:
    """What is wrong with the data of a query; empty if nothing is."""
    if not found:
        excused = (one.dashboard, one.place) in EXCUSED or one.place == "Failovers"
        return "" if excused else "no data"
    # A table may have a row for each of the 20 keys shown of a node, a graph a few lines.
    bound = NODES * (6 if one.kind in {"timeseries", "heatmap", "state-timeline", "stat", "bargauge"} else 40)
    if len(found) > bound:
        return f"{len(found)} series"
    for series in found:
        if not all(math.isfinite(float(value)) for value in series["values"]):
            return f"not finite: {series}"
        absent = [label for label in one.labels if not series["metric"].get(label)]
        if absent and one.kind not in {"table", "annotation"}:
            return f"labels {absent} are not there: {series['metric']}"
    return ""


@pytest.mark.timeout(400)
def test_every_query_has_data(stack: Stack) -> None:
    """Every panel, variable and annotation: data, finite values, the labels of its legend, few series."""
    left = dict.fromkeys(asked(), "not asked")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left and time.monotonic() < deadline:
        left = {one: text for one in left if (text := problem(one, data(stack, one)))}
        time.sleep(1 if left else 0)
    assert [(one.dashboard, one.place, text, one.filled()) for one, text in left.items()] == []


@pytest.mark.timeout(400)
def test_labels_of_the_scrape_do_not_collide(stack: Stack) -> None:
    """With node, pod, namespace and container from service discovery, Prometheus has to rename none of our labels."""
    wait_for(lambda: stack.prometheus.query('redis_hotkey_accesses_per_second{pod!=""}'), PATIENCE_SECONDS, "a scrape")
    names = stack.prometheus.get("/api/v1/labels")["data"]
    assert [name for name in names if name.startswith("exported_")] == []


@pytest.mark.timeout(400)
def test_what_dashboards_of_redis_exporter_use_is_there(stack: Stack) -> None:
    """Each metric with the labels that known dashboards and rules of redis_exporter use; `instance` is the node."""
    facts = json.loads((ROOT / "tests" / "data" / "dashboards" / "redis_exporter_users.json").read_text())
    left = {(metric, tuple(labels)) for metric, labels in facts["series"].items()}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left and time.monotonic() < deadline:
        left = {(metric, labels) for metric, labels in left if not _there(stack, metric, labels)}
        time.sleep(1 if left else 0)
    assert left == set()
    [nodes] = stack.prometheus.query('count(count by (instance) (redis_up{job="redis"}))')
    [addresses] = stack.prometheus.query('count(redis_up{job="redis", instance=~"127.0.0.1:.+"})')
    assert nodes["value"][1] == addresses["value"][1] == str(NODES)


def _there(stack: Stack, metric: str, labels: tuple[str, ...]) -> bool:
    """Whether there is a series whose labels all have a value, under the job that is for them."""
    matchers = ", ".join(['job="redis"', 'instance=~".+:.+"', *(f'{label}!=""' for label in labels)])
    return bool(stack.prometheus.query(f"{metric}{{{matchers}}}"))
