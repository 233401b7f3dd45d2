"""The dashboard of the exporter beside others that Prometheus scrapes, by promtool on invented series."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from tests.dashboards.documents import asked
from tests.servers import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.dashboards.documents import Asked

# What everything that is scraped has.
SHARED = re.compile(r"\b(up|process_\w+|scrape_\w+)\{")
OURS, THEIRS = 'job="hotkey-exporter",instance="e:9468"', 'job="node",instance="n:9100"'


def test_it_is_about_exporters_only(tmp_path: Path) -> None:
    """With everything chosen, no process of others is counted or drawn, and an exporter that died is still seen."""
    questions = [one for one in asked() if one.dashboard == "exporter" and SHARED.search(one.expr)]
    assert questions
    metrics = sorted({metric for one in questions for metric in SHARED.findall(one.expr)})
    series = {f"{metric}{{{OURS}}}": "1x30" for metric in metrics}
    series |= {f"{metric}{{{THEIRS}}}": "9x30" for metric in metrics}
    series[f'hotkey_exporter_build_info{{{OURS},version="1"}}'] = "1x10 stale"
    checks = [check for one in questions for check in _checks(one)]
    given = [{"series": one, "values": values} for one, values in series.items()]
    path = tmp_path / "exporters.yaml"
    path.write_text(yaml.safe_dump({"tests": [{"interval": "1m", "input_series": given, "promql_expr_test": checks}]}))
    command = [program("promtool", "prometheus"), "test", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _checks(one: Asked) -> Iterator[dict[str, Any]]:
    """One figure is that of our process; what is drawn by exporter is one of them. `up` outlives what it says."""
    expr = one.filled(choices=".+")
    if expr.startswith("max by (instance"):
        only = [{"labels": '{instance="e:9468"}', "value": 1}]
        yield {"expr": f"count by (instance) ({expr})", "eval_time": "5m", "exp_samples": only}
        return
    value = 0 if "rate(" in expr else 1
    for at in ("5m", "20m"):
        yield {"expr": expr, "eval_time": at, "exp_samples": [{"labels": "{}", "value": value}]}
