"""How long until a new hot key shows? A key of 5,000 accesses a minute appears, and /metrics is asked until it shows.

`python -m benchmarks.detection [--trials N] [--draw]`; the last line is one JSON object. Twice: on a server that does
50,000 GET/s by Zipf's law over 100,000 keys, of which the exporter sees one in ten, and on one that does 1,500, all of
which it sees. The exporter is asked ten times a second, after its window has filled. `half_width` is what the interval
says at that first moment, relative to the estimate. No peer stands beside it: redis-py's Monitor would have to be
counted by hand, and HOTKEYS knows no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import drawing
from tests.load import Load
from tests.program import Exporter
from tests.scenarios import zipf_only
from tests.servers import Server

PER_SECOND = 5000 / 60
FILL_SECONDS = 62
GIVE_UP_SECONDS = 20.0
SIZES = {"busy": 50_000.0, "small": 1500.0}


def main() -> None:
    """Run both and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--draw", action="store_true", help="write the figure into docs/figures")
    options = parser.parse_args()
    times: dict[str, list[float]] = {}
    figures: dict[str, Any] = {"benchmark": "detection", "trials": options.trials}
    for name, ops in SIZES.items():
        trials = run(name, ops, options.trials)
        times[f"{ops:,.0f} commands/s"] = [seconds for seconds, _ in trials]
        figures[name] = {
            "p50_seconds": round(statistics.median(seconds for seconds, _ in trials), 2),
            "p95_seconds": round(sorted(seconds for seconds, _ in trials)[int(0.95 * (len(trials) - 1))], 2),
            "worst_seconds": round(max(seconds for seconds, _ in trials), 2),
            "half_width": round(statistics.median(width for _, width in trials), 3),
        }
    if options.draw:
        title = "Time until a new key of 5,000 accesses a minute is in /metrics"
        drawing.save("detection", drawing.steps(title, times, " s"))
    print(json.dumps(figures))


def run(name: str, ops: float, trials: int) -> list[tuple[float, float]]:
    """For each new key: seconds until it was shown, and how sure the interval was then."""
    with ExitStack() as stack:
        server = stack.enter_context(Server("redis-7.0"))
        stack.enter_context(Load(server.port, partial(zipf_only, ops, 100_000)))
        exporter = Exporter(Path(stack.enter_context(tempfile.TemporaryDirectory())), redis_url=server.url)
        stack.callback(exporter.stop)
        exporter.wait_until()
        progress(f"{name}: the window fills, {FILL_SECONDS} s")
        time.sleep(FILL_SECONDS)
        client = server.client()
        return [trial(f"{name}:{n}", client, exporter) for n in range(trials)]


def trial(key: str, client: Any, exporter: Exporter) -> tuple[float, float]:
    """Ask for one new key, evenly, until the exporter shows it."""
    began, sent, asked = time.monotonic(), 0, 0.0
    while (now := time.monotonic()) < began + GIVE_UP_SECONDS:
        while sent < (now - began) * PER_SECOND:
            client.get(key)
            sent += 1
        if now > asked + 0.1:
            asked = now
            if (width := shown(key, exporter)) is not None:
                progress(f"{key}: {time.monotonic() - began:.2f} s")
                return time.monotonic() - began, width
        time.sleep(0.005)
    return GIVE_UP_SECONDS, float("inf")


def shown(key: str, exporter: Exporter) -> float | None:
    """The half-width of a key's interval over its estimate; None while it has no series."""
    text = exporter.get("/metrics", params={"collect[]": "hotkeys"}).text
    values = {
        line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if f'key="{key}"' in line
    }
    rate = values.get("redis_hotkey_accesses_per_second")
    if not rate:
        return None
    ends = (values[f"redis_hotkey_accesses_per_second_{end}"] for end in ("low", "high"))
    low, high = ends
    return (high - low) / 2 / rate


def progress(words: str) -> None:
    """What is going on, on stderr."""
    print(f"detection: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
