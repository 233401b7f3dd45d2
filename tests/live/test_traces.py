"""Traces of the real program at a real receiver of OTLP: from the HTTP request to the write on Redis, in one trace."""

from __future__ import annotations

import gzip
import json
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import bcrypt
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.program import StartExporter
    from tests.servers import Server

# Long form: on a machine with eight runs beside it, one of two runs took more than 5 s to end with tracing on.
pytestmark = pytest.mark.slow
AUTH = ("admin", "corr3ct-horse")
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = PARENT[3:35]


class Handler(BaseHTTPRequestHandler):
    """A collector at `/v1/traces`, and everywhere else an API with one record, which remembers who asked."""

    server: Any

    def do_POST(self) -> None:
        """Take spans."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += list(scope.spans)
        self.answer(b"")

    def do_GET(self) -> None:
        """Give the record."""
        self.server.parents.append(self.headers.get("traceparent", ""))
        self.answer(b'[{"id": 1, "name": "c4n4ry-value"}]')

    def answer(self, body: bytes) -> None:
        """Answer with 200."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver() -> Iterator[Any]:
    """A running one, with its `spans`, `parents` and `url`."""
    server: Any
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.spans, server.parents = [], []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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


def test_a_dead_collector_holds_up_nothing(redis_server: Server, start_exporter: StartExporter) -> None:
    """With nobody to take spans it works as ever, and ends within 5 s, of which at most 3 for the last spans."""
    config = {
        "targets": [{"name": "cache", "url": redis_server.url}],
        "tracing": {"enabled": True, "endpoint": "http://127.0.0.1:1"},
    }  # fmt: skip
    exporter = start_exporter(config=config, wait="").wait_until("/-/ready", 40)
    assert exporter.get("/metrics").status_code == 200
    exporter.stop()
