"""Are hot keys still counted rightly while the same daemon warms at full speed? Real PostgreSQL, real Redis.

`python -m benchmarks.warming_accuracy [--seconds N] [--draw]`; the last line is one JSON object. The load is known key
by key (`tests.load`: Zipf's law over 10,000 keys). Twice: without a job, and with one that overwrites 100,000 sessions
again and again without any limit of its own. `coverage` is the share of 95 % intervals of the fifty hottest keys that
hold the truth, `top_error` the mean error of the ten hottest; `commands_per_second` is the load, `written_per_second`
the warming.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import drawing
from benchmarks.accuracy import sampling
from tests.databases import Database
from tests.load import Load
from tests.program import Exporter
from tests.scenarios import zipf_only
from tests.servers import Server
from tests.verdict import verdict, windows

JUDGED = 50
QUERY = "select id, user_name, token from sessions"


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is. `window` is the daemon's in seconds, `seconds` is how long windows are collected."""

    sessions: int = 100_000
    per_second: float = 2000.0
    keys: int = 10_000
    window: int = 20
    seconds: int = 30


def main() -> None:
    """Run both and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=Size().seconds)
    parser.add_argument("--draw", action="store_true", help="write the figure into docs/figures")
    options = parser.parse_args()
    found = run(Size(seconds=options.seconds))
    if options.draw:
        title = "Share of 95 % intervals that hold the truth, fifty hottest keys"
        names = {"warming": "while warming", "without": "without"}
        drawing.save("warming-accuracy", drawing.bars(
            title, {name: 100 * found[key]["coverage"] for key, name in names.items()}, " %", 90))  # fmt: skip
    print(json.dumps({"benchmark": "warming_accuracy", **found}))


def run(size: Size) -> dict[str, dict[str, Any]]:
    """While warming, and without."""
    with Database("postgresql") as database:
        progress(f"{size.sessions:,} sessions into the database")
        database.sessions(size.sessions)
        return {"warming": watched(database, size, warms=True), "without": watched(database, size, warms=False)}


def watched(database: Database, size: Size, *, warms: bool) -> dict[str, Any]:
    """What the daemon said of a known load, against the truth."""
    with ExitStack() as stack:
        server = stack.enter_context(Server("redis-7.0"))
        load = stack.enter_context(Load(server.port, partial(zipf_only, size.per_second, size.keys)))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        exporter = Exporter(directory, redis_url=server.url, config=configuration(database, size, warms=warms))
        stack.callback(exporter.stop)
        exporter.wait_until()
        progress(f"the window fills, {'while warming' if warms else 'without'}")
        time.sleep(size.window + 2)
        before, began = written(exporter), time.monotonic()
        published = windows(exporter, size.seconds)
        rate = (written(exporter) - before) / (time.monotonic() - began)
        said = verdict(published, load.stop(), most=JUDGED)
        return {
            "windows": said.windows, "coverage": round(said.coverage, 4), "top_error": round(said.top_error, 4),
            "top_half_width": round(said.top_half_width, 4), "commands_per_second": round(said.commands_per_second),
            "written_per_second": round(rate), "sampling": sampling(exporter),
        }  # fmt: skip


def configuration(database: Database, size: Size, *, warms: bool) -> dict[str, Any]:
    """Budgets at their defaults; a job that never rests, or none."""
    sampled = {"sampling": {"window": f"{size.window}s", "top": JUDGED}}
    if not warms:
        return sampled
    source = {"type": "sql", "url": database.url, "query": QUERY}
    job = {"name": "sessions", "source": source, "key": "session:{id}", "policy": "always", "every": "1s"}
    fast = {"rate_limit": "1000000/s", "bytes_per_second": "1GiB"}
    return {**sampled, "warming": {"jobs": [{**job, **fast}]}}


def written(exporter: Exporter) -> float:
    """How many keys have been written in the runs that have ended."""
    return sum(value for _, value in exporter.metrics().get("redis_cache_warming_keys_total", []))


def progress(words: str) -> None:
    """What is going on, on stderr."""
    print(f"warming_accuracy: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
