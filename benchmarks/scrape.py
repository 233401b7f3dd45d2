"""How long a scrape takes, beside redis_exporter on the same server in the same run.

`python -m benchmarks.scrape [--scrapes N] [--cold N]`; the last line is one JSON object. Both exporters watch one Redis
under a steady load, without keys and with 200,000 of them; `/metrics` and `/scrape` of both are asked in turn over
kept-alive connections, so that noise hits all alike. redis_exporter collects while it is scraped, we answer from the
latest reading: that difference is the point of the comparison. Scrapes in quick succession find our text written
already; `cold` ones are so far apart that there is a new reading each time, and text that was written a moment before
the scrape was due, or has to be written by it.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.program import Exporter
from tests.servers import Server, free_port, program, wait_for

OPS = 1000
KEYS = (0, 200_000)
COLD_SECONDS = 1.1
"""Longer than the time between two of our readings."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked: of whom, and where."""

    who: str
    name: str
    port: int
    path: str


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scrapes", type=int, default=500)
    parser.add_argument("--cold", type=int, default=15)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        server = stack.enter_context(Server("redis-7.0"))
        stop = threading.Event()
        load = threading.Thread(target=traffic, args=(server.client(), stop))
        load.start()
        stack.callback(load.join)
        stack.callback(stop.set)
        pages = start(stack, server)
        figures: dict[str, Any] = {"benchmark": "scrape", "scrapes": arguments.scrapes}
        for keys in KEYS:
            fill(server, keys)
            figures[f"{keys}_keys"] = compare(pages, arguments.scrapes)
        ratios = [found["p50_ratio"] for keys in KEYS for found in figures[f"{keys}_keys"].values()]
        figures["p50_ratio"] = max(ratios)
        figures["cold"] = compare(pages, arguments.cold, COLD_SECONDS)
        figures["cold_p50_ratio"] = max(found["p50_ratio"] for found in figures["cold"].values())
        print(json.dumps(figures))


def start(stack: ExitStack, server: Server) -> list[Page]:
    """Start both exporters and wait until they answer."""
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
    return [
        Page("ours", "metrics", ours.port, "/metrics"),
        Page("redis_exporter", "metrics", theirs, "/metrics"),
        Page("ours", "scrape", ours.port, f"/scrape?target={server.addr}"),
        Page("redis_exporter", "scrape", theirs, f"/scrape?target=redis://{server.addr}"),
    ]


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


def fill(server: Server, keys: int) -> None:
    """Make so many keys beside those of the traffic."""
    pipe = server.client().pipeline(transaction=False)
    for n in range(keys):
        pipe.set(f"user:{n}", f"value-{n}")
        if n % 5000 == 4999:
            pipe.execute()
    pipe.execute()


def answers(port: int) -> bool:
    """Whether a scrape of this port succeeds."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/metrics")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False


def compare(pages: list[Page], scrapes: int, pause: float = 0.0) -> dict[str, Any]:
    """Ask all pages in turn, so many times, with a pause before each round; figures by page and by exporter."""
    connections = [http.client.HTTPConnection("127.0.0.1", page.port, timeout=10) for page in pages]
    times: list[list[float]] = [[] for _ in pages]
    bodies = [b""] * len(pages)
    for n in range(scrapes):
        time.sleep(pause)
        for place, page in enumerate(pages):
            began = time.perf_counter()
            connections[place].request("GET", page.path)
            answer = connections[place].getresponse()
            bodies[place] = answer.read()
            times[place].append(time.perf_counter() - began)
            if answer.status != http.client.OK:
                raise RuntimeError(f"{page.who} answered {answer.status} to {page.path}")
        if sys.stderr.isatty():
            print(f"\r{n + 1}/{scrapes} ", end="", file=sys.stderr)
    figures: dict[str, Any] = {}
    for page, spent, body in zip(pages, times, bodies, strict=True):
        figures.setdefault(page.name, {})[page.who] = {
            "p50_ms": round(1000 * statistics.median(spent), 3),
            "p95_ms": round(1000 * statistics.quantiles(spent, n=20)[18], 3),
            "bytes": len(body),
            "samples": sum(not line.startswith(b"#") for line in body.splitlines()),
        }
    for found in figures.values():
        found["p50_ratio"] = round(found["ours"]["p50_ms"] / found["redis_exporter"]["p50_ms"], 3)
    return figures


if __name__ == "__main__":
    main()
