"""A real receiver of OTLP over HTTP on loopback, for tests of traces: spans come in and are kept."""

from __future__ import annotations

import gzip
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Handler(BaseHTTPRequestHandler):
    """A collector at `/v1/traces`, and everywhere else an API with one record, which remembers who asked."""

    server: Any

    def do_POST(self) -> None:
        """Take spans, or refuse them with the `status` of the moment."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.tokens.append(self.headers.get("Authorization", ""))
        if self.server.status != 200:
            self.answer(b"", self.server.status)
            return
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

    def answer(self, body: bytes, status: int = 200) -> None:
        """Answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver() -> Iterator[Any]:
    """A running one: its `url`, the `spans` and `tokens` that it got, the `parents` of those who asked the API.

    Its `status` can be changed.
    """
    server: Any
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.spans, server.tokens, server.parents, server.status = [], [], [], 200
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
