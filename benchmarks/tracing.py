"""What a span costs: spans with three attributes, made as the daemon makes them and sent to a collector on loopback.

In: nothing. Out: one line of JSON, in microseconds per span. `span_us` is what a span takes the thread that makes it,
the median of rounds between which they leave; `flood_us` the same with no pause, beside the thread that sends;
`logged_us` a span with the log's correlation id around its work, as a job run has it; `off_us` a span while tracing is
off; `cpu_us` what the whole process spends on one, sending included. The collector is a process of its own and counts
what arrives: with `arrived` of `made`, the rest did not fit into the queue (which is bounded) during the flood.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

from exporter import tracing
from exporter.config.settings import Tracing
from exporter.log import correlation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

ROUNDS = 40
SPANS = 400
PAUSE_SECONDS = 0.1
"""Enough for a batch to leave."""
ABOUT = {"db.system.name": "redis", "server.address": "10.0.0.5", "server.port": 6379}


class Collector(BaseHTTPRequestHandler):
    """Takes batches of spans and counts the spans."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        """Take a batch."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - in its process only
            ExportTraceServiceRequest,
        )

        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
        with self.server.arrived.get_lock():
            self.server.arrived.value += sum(len(scope.spans) for scope in scopes)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def collect(port: Connection, arrived: Any) -> None:
    """Run a collector; its port goes through `port`."""
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        server.arrived = arrived  # type: ignore[attr-defined]
        port.send(server.server_address[1])
        server.serve_forever()


@contextmanager
def collector() -> Iterator[tuple[str, Any]]:
    """A running collector: its address, and the number of spans that it got."""
    spawn = multiprocessing.get_context("spawn")
    arrived, (ours, theirs) = spawn.Value("q", 0), spawn.Pipe()
    process = spawn.Process(target=collect, args=(theirs, arrived), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}", arrived
    finally:
        process.kill()
        process.join()


def per_span(work: Callable[[], None], pause: float = PAUSE_SECONDS) -> float:
    """Microseconds per call, the median of all rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(SPANS):
            work()
        found.append(1e6 * (time.perf_counter() - began) / SPANS)
        time.sleep(pause)
    return statistics.median(found)


def span() -> None:
    """One span."""
    with tracing.span("warming.write", ABOUT, kind="CLIENT"):
        pass


def logged() -> None:
    """One span and the correlation of its lines."""
    with tracing.span("warming.write", ABOUT, kind="CLIENT"), correlation():
        pass


def measure() -> dict[str, float]:
    """All figures."""
    found = {"off_us": per_span(span, 0)}
    with collector() as (url, arrived):
        tracing.start(Tracing(enabled=True, endpoint=url), "hotkey-exporter", "0")
        began = time.process_time()
        found |= {"span_us": per_span(span), "logged_us": per_span(logged)}
        found["cpu_us"] = 1e6 * (time.process_time() - began) / (2 * ROUNDS * SPANS)
        found["flood_us"] = per_span(span, 0)
        began = time.monotonic()
        tracing.stop()
        found |= {"stop_seconds": time.monotonic() - began, "made": 3 * ROUNDS * SPANS, "arrived": arrived.value}
    return found


if __name__ == "__main__":
    figures = {name: round(value, 2) for name, value in measure().items()}
    print(json.dumps({"benchmark": "tracing", "cpus": os.cpu_count(), **figures}))
