"""No alert on healthy servers: what a real exporter saw of them, played to the rules for hours of promtool's clock.

`python -m tests.alerts.recording` makes the recordings.
"""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.alerts.promtool import RULES, failing
from tests.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)  # seconds of CPU, which a loaded machine stretches
DIRECTORY = ROOT / "tests" / "data" / "healthy"
STEP_SECONDS = 15
HOURS = 4
STRIDE = 16
"""Four minutes: two samples in the shortest range of the rules, five minutes."""
MOVES = re.compile(
    r"\w+(uptime_in_seconds|_total|_bucket|_count|_sum|_last_id|_repl_offset|_resyncs_full|_fsync|_offset_bytes|_timestamp_seconds)\{"
)
# Set-up: recording, and the targets in it.
ALONE = {
    "idle": ("fleet", "idle"),
    "a cache that is full and evicts": ("fleet", "full"),
    "without persistence": ("fleet", "bare"),
    "a master and its replica": ("fleet", "master|replica"),
    "two servers that are alone": ("fleet", "alone-."),
    "a cluster": ("fleet", "cluster-."),
}
TOGETHER = {
    "all of these": ("fleet", ".+"),
    "200,000 commands a second, Zipf": ("busy", ".+"),
    "an exporter that was restarted": ("restarted", ".+"),
}
# Info has no message, and these are true here: no server has a limit for a reader that stalls, on a busy one keys are over
# the threshold, and where all keys are alike more come to the top within an hour than may be shown.
TRUE = {"RedisSamplingUnlimited", "RedisHotKey", "RedisHotKeyLabelsSuppressed"}


def recorded(name: str, targets: str, stride: int) -> list[dict[str, str]]:
    """The series of a recording, of the targets that match, which then go on as they went.

    `stride` is how many steps of 15 s a sample stands for; with 1 the recording is played as it was, gaps and all.
    """
    found, gaps = [], ""
    for line in (DIRECTORY / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        series, _, text = line.partition("\t")
        values = text.split()
        target = re.search(r'[{,]target="([^"]*)"', series)
        if target is None or re.fullmatch(targets, target[1]):
            labelled = series.replace("{", '{job="hotkey-exporter",instance="e:9468",', 1)
            found.append({"series": labelled.replace(",}", "}"), "values": _values(series, values, stride)})
        if series.startswith("process_start_time_seconds"):
            gaps = " ".join("0" if value == "_" else "1" for value in values[:-1])
    before = gaps + " " if stride == 1 else ""
    return [*found, {"series": 'up{job="hotkey-exporter",instance="e:9468"}', "values": f"{before}1x{_more(stride)}"}]


def _values(series: str, values: list[str], stride: int) -> str:
    """Counters go on at their last pace, gauges at the median of their last three samples."""
    before = " ".join([*values[:-1], ""]) if stride == 1 else ""
    if values[-1] == "_":
        return f"{before}_x{_more(stride)}"
    last = [float(value) for value in values[-3:] if value != "_"]
    if MOVES.match(series):
        step = stride * (last[-1] - last[-2]) if len(last) > 1 else 0
        return f"{before}{last[-1]:f}{step:+f}x{_more(stride)}"
    return f"{before}{median(last):f}+0x{_more(stride)}"


def _more(stride: int) -> int:
    return HOURS * 3600 // STEP_SECONDS // stride if stride > 1 else 1800 // STEP_SECONDS


def judged(directory: Path, series: list[dict[str, str]], stride: int) -> str:
    """What promtool says of alerts that fired at any time and should not have; nothing if there were none."""
    window = f"{HOURS}h" if stride > 1 else "30m"
    chosen = ('severity=~"critical|warning"', f'severity="info",alertname!~"{"|".join(sorted(TRUE))}"')
    fired = " or ".join(f'count_over_time(ALERTS{{alertstate="firing",{one}}}[{window}])' for one in chosen)
    expected = {
        "expr": f"count by (alertname, severity, target) ({fired})",
        "eval_time": window,
        "exp_samples": [],
    }
    interval = f"{STEP_SECONDS * stride}s"
    document = {
        "rule_files": [str(path) for path in sorted(RULES.iterdir())],
        "evaluation_interval": interval,
        "tests": [{"interval": interval, "input_series": series, "promql_expr_test": [expected]}],
    }
    path = directory / "healthy.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    names, said = failing([path])
    return said if names else ""


@pytest.mark.parametrize("setup", [*TOGETHER, *(pytest.param(name, marks=pytest.mark.slow) for name in ALONE)])
def test_healthy_servers_raise_no_alert(setup: str, tmp_path: Path) -> None:
    """Nothing fires within four hours of health, nor within half an hour after a restart of the exporter."""
    recording, targets = {**ALONE, **TOGETHER}[setup]
    stride = 1 if recording == "restarted" else STRIDE
    assert judged(tmp_path, recorded(recording, targets, stride), stride) == ""


def test_the_same_servers_with_a_fault_do(tmp_path: Path) -> None:
    """The recordings reach the rules: one of the servers down, and another full, and both are named."""
    series = recorded("fleet", "idle|alone-1", STRIDE)
    for one in series:
        if one["series"].startswith("redis_up") and 'target="idle"' in one["series"]:
            one["values"] = f"0x{_more(STRIDE)}"
        if one["series"].startswith("redis_rdb_last_bgsave_status") and 'target="alone-1"' in one["series"]:
            one["values"] = f"0x{_more(STRIDE)}"
    said = judged(tmp_path, series, STRIDE)
    assert re.search(r'alertname="RedisDown".*target="idle"', said)
    assert re.search(r'alertname="RedisRdbSaveFailed".*target="alone-1"', said)
