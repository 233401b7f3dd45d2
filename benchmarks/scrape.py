"""How long a scrape takes, beside redis_exporter on the same server in the same run.

`python -m benchmarks.scrape [--scrapes N]`; the last line is one JSON object. Both exporters watch one Redis under a
steady load; scrapes alternate between them over kept-alive connections, so that noise hits both alike. redis_exporter
collects while it is scraped, we answer from the latest snapshot: that difference is the point of the comparison.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.program import Exporter
from tests.servers import Server, free_port, program, wait_for

OPS = 1000


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scrapes", type=int, default=1000)
    scrapes = parser.parse_args().scrapes
    with ExitStack() as stack:
        server = stack.enter_context(Server("redis-7.0"))
        stop = threading.Event()
        load = threading.Thread(target=traffic, args=(server.client(), stop))
        load.start()
        stack.callback(load.join)
        stack.callback(stop.set)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = Exporter(directory, redis_url=server.url).wait_until()
        stack.callback(ours.stop)
        theirs = free_port()
        peer = subprocess.Popen(
            [program("prometheus-redis-exporter", "prometheus-redis-exporter"),
             "--redis.addr", f"redis://{server.addr}", "--web.listen-address", f"127.0.0.1:{theirs}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(peer.wait)
        stack.callback(peer.terminate)
        wait_for(lambda: "redis_hotkey_accesses_per_second" in ours.metrics(), 15, "our first hot keys")
        wait_for(lambda: answers(theirs), 10, "redis_exporter")
        print(json.dumps(compare({"ours": ours.port, "redis_exporter": theirs}, scrapes)))


def traffic(client: Any, stop: threading.Event) -> None:
    """GETs and SETs, `OPS` a second, over some 500 keys."""
    began, sent = time.monotonic(), 0
    while not stop.wait(0.01):
        due = int((time.monotonic() - began) * OPS)
        pipe = client.pipeline(transaction=False)
        for n in range(sent, due):
            pipe.set(f"key:{n % 499}", n) if n % 5 == 0 else pipe.get(f"key:{n * n % 499}")
        sent = due
        pipe.execute()


def answers(port: int) -> bool:
    """Whether a scrape of this port succeeds."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/metrics")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False


def compare(ports: dict[str, int], scrapes: int) -> dict[str, Any]:
    """Scrape all ports in turn; milliseconds at the median and the 95th percentile, bytes and samples of the last."""
    connections = {name: http.client.HTTPConnection("127.0.0.1", port, timeout=10) for name, port in ports.items()}
    times: dict[str, list[float]] = {name: [] for name in ports}
    body = dict.fromkeys(ports, b"")
    for n in range(scrapes):
        for name, connection in connections.items():
            began = time.perf_counter()
            connection.request("GET", "/metrics")
            body[name] = connection.getresponse().read()
            times[name].append(time.perf_counter() - began)
        if sys.stderr.isatty():
            print(f"\r{n + 1}/{scrapes}", end="", file=sys.stderr)
    figures: dict[str, Any] = {"benchmark": "scrape", "scrapes": scrapes}
    for name, spent in times.items():
        figures[name] = {
            "p50_ms": round(1000 * statistics.median(spent), 3),
            "p95_ms": round(1000 * statistics.quantiles(spent, n=20)[18], 3),
            "bytes": len(body[name]),
            "samples": sum(not line.startswith(b"#") for line in body[name].splitlines()),
        }
    figures["p50_ratio"] = round(figures["ours"]["p50_ms"] / figures["redis_exporter"]["p50_ms"], 3)
    return figures


if __name__ == "__main__":
    main()
