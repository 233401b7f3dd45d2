"""What do many targets cost? CPU of all the exporter's processes, how old its readings are, how long a scrape takes.

`python -m benchmarks.fleet [--targets N] [--hang N] [--refuse N] [--seconds N]`; the last line is one JSON object. So
many small real servers that nobody uses: what is measured is what watching itself costs. Some may hang (SIGSTOP) and at
some addresses nobody listens, as in a fleet that is half broken. `oldest_reading_seconds` is of those that are well.
`scrape_*` are scrapes of `/metrics`, one every five seconds; another one behind it is read for the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.program import Exporter
from tests.servers import Server, free_port, wait_for

SCRAPE_SECONDS = 5.0
SETTLE_SECONDS = 15.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=100, help="how many in all")
    parser.add_argument("--hang", type=int, default=0, help="how many of them hang")
    parser.add_argument("--refuse", type=int, default=0, help="at how many of them nobody listens")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with ExitStack() as stack:
        print(json.dumps(measure(stack, options)))


def measure(stack: ExitStack, options: argparse.Namespace) -> dict[str, Any]:
    """Start everything, let it settle, and look at it for so many seconds."""
    servers = [stack.enter_context(Server("redis-7.0")) for _ in range(options.targets - options.refuse)]
    addresses = [server.addr for server in servers] + [f"127.0.0.1:{free_port()}" for _ in range(options.refuse)]
    config = {"targets": [{"name": f"t{n}", "url": f"redis://{addr}"} for n, addr in enumerate(addresses)]}
    exporter = Exporter(Path(stack.enter_context(tempfile.TemporaryDirectory())), config=config)
    stack.callback(exporter.stop)
    exporter.wait_until()
    wait_for(lambda: up(exporter) == len(servers), 60, "all to be up")
    for server in servers[: options.hang]:
        server.suspend()
    well = len(servers) - options.hang
    wait_for(lambda: up(exporter) == well, 60, "those that hang to be down")
    progress(f"{well} of {options.targets} targets are up")
    time.sleep(SETTLE_SECONDS)
    cpu, began, took, oldest, least = spent(exporter), time.monotonic(), [], 0.0, well
    while time.monotonic() < began + options.seconds:
        asked = time.monotonic()
        exporter.get("/metrics").raise_for_status()
        took.append(time.monotonic() - asked)
        samples = exporter.metrics()
        ages = [time.time() - value for _, value in samples["redis_stats_last_success_timestamp_seconds"]]
        oldest = max(oldest, sorted(ages)[well - 1])
        least = min(least, int(sum(value for _, value in samples["redis_up"])))
        time.sleep(SCRAPE_SECONDS)
    elapsed, after = time.monotonic() - began, spent(exporter)
    return {
        "benchmark": "fleet",
        "targets": options.targets,
        "hang": options.hang,
        "refuse": options.refuse,
        "seconds": round(elapsed, 1),
        "cpu": round((after - cpu) / elapsed, 4),
        "least_up": least,
        "oldest_reading_seconds": round(oldest, 2),
        "scrape_p50_ms": round(1000 * sorted(took)[len(took) // 2], 1),
        "scrape_worst_ms": round(1000 * max(took), 1),
        "rss_mb": round(exporter.rss() / 1e6, 1),
    }


def up(exporter: Exporter) -> int:
    """How many nodes are up."""
    return int(sum(value for _, value in exporter.metrics().get("redis_up", [])))


def spent(exporter: Exporter) -> float:
    """CPU seconds of the whole process tree so far."""
    times = [process.cpu_times() for process in exporter.processes()]
    return float(sum(one.user + one.system for one in times))


def progress(words: str) -> None:
    """What is going on, on stderr."""
    print(f"fleet: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
