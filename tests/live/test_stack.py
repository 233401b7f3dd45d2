"""`deploy/stack`, the program behind `make stack`: what it starts works together, and ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from tests.servers import ROOT, dies_with_us, free_port, program, runs, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


def asked(url: str) -> Any:
    """The JSON at a URL, or nothing yet."""
    try:
        return httpx.get(url, trust_env=False, timeout=5).raise_for_status().json()
    except httpx.HTTPError:
        return None


@pytest.mark.timeout(240)
def test_the_stack_comes_up_as_a_whole_and_ends_as_a_whole(redis_server: Server, tmp_path: Path) -> None:
    """Prometheus scrapes the exporter, has all rules without an error, and tells Alertmanager of the Watchdog."""
    program("prometheus", "prometheus")
    program("prometheus-alertmanager", "prometheus-alertmanager")
    ports = {name: str(free_port()) for name in ("EXPORTER_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT")}
    env = {**os.environ, **ports, "REDIS_URL": redis_server.url, "SCRAPE_INTERVAL": "1s", "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*dies_with_us(), ROOT / "deploy" / "stack"], env=env, cwd=tmp_path) as stack:
        prometheus = f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}/api/v1"
        alertmanager = f"http://127.0.0.1:{ports['ALERTMANAGER_PORT']}/api/v2/alerts"
        try:
            wait_for(lambda: healthy(prometheus), 90, "every target to be scraped and every rule to be well")
            wait_for(lambda: "Watchdog" in names(alertmanager), 60, "the Watchdog to reach Alertmanager")
            tree = psutil.Process(stack.pid).children(recursive=True)
        finally:
            stack.send_signal(signal.SIGTERM)
            stack.wait(15)
    wait_for(lambda: not any(map(runs, tree)), 5, f"these to end: {tree}")
    assert [*tmp_path.glob("hotkey-stack.*")] == []


def healthy(prometheus: str) -> bool:
    """Whether all three are up, and the rules have been evaluated without an error."""
    targets, rules = asked(f"{prometheus}/targets"), asked(f"{prometheus}/rules")
    if not targets or not rules:
        return False
    up = {one["labels"]["job"] for one in targets["data"]["activeTargets"] if one["health"] == "up"}
    states = {rule["health"] for group in rules["data"]["groups"] for rule in group["rules"]}
    return up == {"hotkey-exporter", "prometheus", "alertmanager"} and states == {"ok"}


def names(alertmanager: str) -> set[str]:
    """The alerts that Alertmanager knows."""
    return {one["labels"]["alertname"] for one in asked(alertmanager) or ()}
