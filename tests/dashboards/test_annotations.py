"""The events that are drawn over all panels, by Prometheus' own evaluation of invented series."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.dashboards.documents import DOCUMENTS, asked
from tests.servers import program

if TYPE_CHECKING:
    from pathlib import Path

LABELS = 'job="j",instance="e:9468",target="t",addr="{addr}"'
OLD, NEW = (f"redis_node_info{{{LABELS.format(addr=addr)}" for addr in ("a:6379", "b:6379"))
# A primary dies after three minutes, and its replica becomes primary.
FAILOVER = {
    f'{OLD},role="master"}}': "1 1 1 stale",
    f'{NEW},role="slave"}}': "1 1 1 stale",
    f'{NEW},role="master"}}': "_ _ _ 1x10",
}


def question(name: str) -> str:
    """The expression of an annotation of the Redis overview."""
    [one] = [one for one in asked() if (one.dashboard, one.place) == ("redis", name)]
    return one.filled()


@pytest.mark.parametrize(
    ("name", "series", "expected"),
    [
        ("Failovers", FAILOVER, {"2m": {}, "3m": {'{target="t", addr="b:6379"}': 1}, "6m": {}}),
        ("Failovers", {f'{OLD},role="master"}}': "1x10", f'{NEW},role="slave"}}': "1x10"}, {"5m": {}}),
        (
            "Restarts",
            {f"redis_start_time_seconds{{{LABELS.format(addr='a:6379')}}}": "1700000000x3 1700000300x9"},
            {
                "2m": {'{target="t", addr="a:6379"}': 1_700_000_000_000},
                "6m": {'{target="t", addr="a:6379"}': 1_700_000_300_000},
            },
        ),
    ],
)
def test_events_are_seen_when_they_happen(
    name: str, series: dict[str, str], expected: dict[str, dict[str, float]], tmp_path: Path
) -> None:
    """A failover is marked once, where a replica was promoted, and not while nothing happens; a restart at its time."""
    checks: list[dict[str, Any]] = [
        {
            "expr": question(name),
            "eval_time": at,
            "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
        }
        for at, samples in expected.items()
    ]
    given = [{"series": one, "values": values} for one, values in series.items()]
    path = tmp_path / "events.yaml"
    path.write_text(yaml.safe_dump({"tests": [{"interval": "1m", "input_series": given, "promql_expr_test": checks}]}))
    command = [program("promtool", "prometheus"), "test", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_dashboard_marks_alerts() -> None:
    """Alerts are drawn on all dashboards; restarts or starts of the exporter on those about nodes or itself."""
    for name, document in DOCUMENTS.items():
        names = {one["name"] for one in document["annotations"]["list"]}
        assert "Alerts" in names, name
        assert names & {"Restarts", "Exporter starts"}, name
