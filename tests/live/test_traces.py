"""Traces of the real program at a real receiver of OTLP: from the HTTP request to the write on Redis, in one trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import bcrypt
import httpx
import pytest

from tests.collector import receiver
from tests.listener import Listener
from tests.servers import wait_for

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from tests.program import StartExporter
    from tests.servers import Server

AUTH = ("admin", "corr3ct-horse")
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = PARENT[3:35]


def test_one_trace_from_the_request_to_the_write(
    tmp_path: Path, redis_server: Server, start_exporter: StartExporter
) -> None:
    """A run asked for over HTTP: request, job, fetch and write are one trace, which logs and source know."""
    web = tmp_path / "web.json"
    hashed = bcrypt.hashpw(AUTH[1].encode(), bcrypt.gensalt(4)).decode()
    web.write_text(json.dumps({"basic_auth_users": {AUTH[0]: hashed}}))
    with receiver() as collector:
        job = {
            "name": "sessions", "on_start": False, "key": "session:{id}",
            "source": {"type": "http", "url": f"{collector.url}/records"},
        }  # fmt: skip
        config = {
            "targets": [{"name": "cache", "url": redis_server.url}], "web": {"config_file": str(web)},
            "tracing": {"enabled": True, "endpoint": collector.url}, "warming": {"jobs": [job]},
        }  # fmt: skip
        exporter = start_exporter(config=config, wait="").wait_until("/-/healthy", 40)
        url = f"{exporter.url}/api/v1/warming/sessions"
        asked = httpx.post(url, auth=AUTH, headers={"traceparent": PARENT}, trust_env=False)
        assert asked.status_code == 202
        assert asked.headers["traceparent"].startswith(PARENT[:36])
        wait_for(lambda: '"warming.run"' in exporter.log, 30, "the run")
        openmetrics = exporter.get("/metrics", auth=AUTH, headers={"Accept": "application/openmetrics-text"}).text
        exporter.stop()  # the last spans leave before it ends
        ours = {span.name: span for span in collector.spans if span.trace_id.hex() == TRACE}
        parents = collector.parents
    assert {
        "POST /api/v1/warming/{job}", "job warming", "warming.plan", "warming.fence", "warming.fetch", "warming.write",
    } <= ours.keys()  # fmt: skip
    assert ours["POST /api/v1/warming/{job}"].parent_span_id.hex() == PARENT[36:52]
    assert ours["job warming"].parent_span_id == ours["POST /api/v1/warming/{job}"].span_id
    assert ours["warming.write"].parent_span_id == ours["job warming"].span_id
    assert [parent[3:35] for parent in parents] == [TRACE]
    [line] = [json.loads(one) for one in exporter.log.splitlines() if '"warming.run"' in one]
    assert line["trace_id"] == TRACE
    assert f'# {{trace_id="{TRACE}"' in openmetrics
    assert redis_server.client().get("session:1") is not None
    assert b"c4n4ry" not in b"".join(span.SerializeToString() for span in collector.spans)


class Silent(Listener):
    """Takes whatever is sent, and never answers."""

    def meet(self, plain: socket.socket) -> None:
        """Read until the other side gives up."""
        while plain.recv(65536):
            pass


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "nobody"])
def test_a_dead_collector_holds_up_nothing(redis_server: Server, start_exporter: StartExporter, silent: bool) -> None:
    """With a collector that never answers, or none, it works as ever, and ends in order within 3 s."""
    listener = Silent() if silent else None
    config = {
        "targets": [{"name": "cache", "url": redis_server.url}],
        "tracing": {"enabled": True, "endpoint": f"http://127.0.0.1:{listener.port if listener else 1}"},
    }  # fmt: skip
    exporter = start_exporter(config=config, wait="").wait_until("/-/ready", 40)
    assert exporter.get("/metrics").status_code == 200
    exporter.stop()
    if listener:
        listener.close()
    [stopped] = [json.loads(line) for line in exporter.log.splitlines() if '"app.stopped"' in line]
    assert stopped["seconds"] < 3
