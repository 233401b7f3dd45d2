"""One ACL line for each feature: exactly that user can do exactly that, on every server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.check import check
from exporter.config import load
from exporter.warm import Options, warm
from tests.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.check import NodeReport
    from tests.servers import Server

ASKED_BY = {
    "statistics": {"CONFIG GET", "SLOWLOG", "LATENCY LATEST"},
    "hot keys": {"MONITOR", "RESET", "COMMAND"},
    "facts": {"TYPE", "OBJECT ENCODING", "PTTL", "MEMORY USAGE"},
    "groups": {"SCAN", "TIME", "TYPE", "PTTL", "MEMORY USAGE"},
}


def lines() -> list[str]:
    """The lines of the page: statistics first, then hot keys, facts, groups, warming."""
    page = (ROOT / "docs" / "least-privilege.md").read_text()
    return [line for line in page.splitlines() if line.startswith("ACL SETUSER ")]


def report(server: Server) -> NodeReport:
    """What `check` says with that user."""
    [node] = check(load(None, redis_url=f"redis://exporter:pw@{server.addr}", environ={})).nodes
    return node


def test_each_line_is_enough_and_no_more(any_server: Server, tmp_path: Path) -> None:
    """With the line of a feature its commands are allowed, without it those that only it needs are not."""
    base, *others = lines()
    client = any_server.client()
    for place, feature in enumerate(ASKED_BY):
        client.execute_command("ACL DELUSER exporter")
        client.execute_command(*base.replace("PASSWORD", "pw").split())
        if place:
            client.execute_command(*others[place - 1].split())
        node = report(any_server)
        assert node.up, (feature, node.detail)
        allowed = {name for name, may in node.allowed.items() if may}
        assert ASKED_BY[feature] & node.allowed.keys() <= allowed, feature
        more = set().union(*ASKED_BY.values()) - ASKED_BY["statistics"] - ASKED_BY[feature]
        assert not more & allowed, feature
    warms(any_server, base, others[-1], tmp_path)


def warms(server: Server, base: str, line: str, directory: Path) -> None:
    """The line for warming lets a job write what it shall write."""
    client = server.client()
    client.execute_command("ACL DELUSER exporter")
    client.execute_command(*base.replace("PASSWORD", "pw").split())
    client.execute_command(*line.split())
    (directory / "records.jsonl").write_text('{"id": 1, "v": "x"}\n{"id": 2, "v": "y"}\n')
    config = directory / "warm.yaml"
    jobs = "".join(
        f"""
    - name: {kind}
      source: {{type: file, path: {directory}/records.jsonl}}
      key: "{kind}:{{id}}"
      value: {{type: {kind}}}
"""
        for kind in ("json", "hash")
    )
    config.write_text(f"targets: [{{name: cache, url: 'redis://exporter:pw@{server.addr}'}}]\nwarming:\n  jobs:{jobs}")
    reports = warm(load(config, environ={}), Options())
    assert [(one.job_name, one.outcome.value) for one in reports] == [("json", "complete"), ("hash", "complete")]
    assert sorted(client.keys("*:1")) == [b"hash:1", b"json:1"]
