"""Refresh-ahead against a real server: what is written meanwhile is left alone, and holds nobody else up."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from exporter.config import load
from exporter.topology import topology_of
from exporter.warming.goals import goal_of, target_of
from exporter.warming.refresh import Refresher
from tests.warming import sources

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.servers import Server

JOB = """
targets: [{{name: cache, url: "{url}"}}]
warming:
  jobs:
    - name: s
      source: {{type: python, call: "tests.warming.sources:by_key"}}
      key: "session:{{id}}"
      ttl: 10m
      refresh_ahead: true
"""


def test_a_key_that_is_written_meanwhile_holds_nobody_up(
    redis_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten keys near their end one is written by its application while all are loaded: it stays, nine are renewed."""
    (tmp_path / "job.yaml").write_text(JOB.format(url=redis_server.url))
    config = load(tmp_path / "job.yaml", environ={})
    [job] = config.warming.jobs
    client: Any = redis_server.client()
    for number in range(10):
        client.set(f"session:{number}", "old", px=400)
    once = iter([600])

    def writes() -> None:
        for seconds in once:
            client.set("session:4", "fresh", ex=seconds)

    monkeypatch.setattr(sources, "meanwhile", writes)

    refresher = Refresher(job, goal_of(config, job), topology_of(target_of(config, job)), threading.Event())
    results = refresher.run([(0, b"session:%d" % number, 1.0) for number in range(10)])
    refresher.close()

    assert {name: count for name, count in results.items() if count} == {"refreshed": 9, "skipped": 1}
    assert client.get("session:4") == b"fresh"
    assert json.loads(client.get("session:5"))["id"] == "5"
    assert min(client.ttl(f"session:{number}") for number in range(10)) > 60
