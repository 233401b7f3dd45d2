"""How long is a cache cold after FLUSHALL? The daemon with a default job, real PostgreSQL, real Redis; and without it.

`python -m benchmarks.warming_flush [--seconds N] [--draw]`; the last line is one JSON object. Readers with a cache
before their database read 100,000 sessions by Zipf's law, 1,000 reads a second; the cache is full; FLUSHALL. The job
has all its settings at their defaults, and nobody tells the daemon. `warm_*` is with it, `cold_*` the same without a
daemon: what the readers put back themselves. `hit_ratio` is that of the last ten seconds; `seconds_to_90` is the first
second that reached 90 % and from which on it was 90 % in the mean; `source_queries` are the readers' own, the query of
the job comes on top of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import drawing
from tests.databases import Database
from tests.program import Exporter
from tests.servers import Server, wait_for
from tests.warming.readers import Plan, Readers

if TYPE_CHECKING:
    from tests.warming.readers import Seen

GOAL = 0.9
LAST_SECONDS = 10
QUERY = "SELECT id, user_name, token FROM sessions ORDER BY seen DESC"


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is. `seconds` are measured behind the flush, and `before` it."""

    keys: int = 100_000
    readers: int = 20
    per_second: float = 1000.0
    seconds: int = 60
    before: int = 5


@dataclass(frozen=True, slots=True)
class Course:
    """The hit ratio of each second, from `before` the flush on, and what the database was asked behind it."""

    ratios: tuple[float, ...]
    last: float
    to_goal: int | None
    queries: int


def main() -> None:
    """Run both and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=Size().seconds)
    parser.add_argument("--draw", action="store_true", help="write the figure into docs/figures")
    options = parser.parse_args()
    size = Size(seconds=options.seconds)
    warm, cold = run(size)
    if options.draw:
        curves = {
            name: [(second - size.before + 1.5, ratio) for second, ratio in enumerate(course.ratios)]
            for name, course in {"default job": warm, "without warming": cold}.items()
        }
        title = f"Hit ratio around FLUSHALL, {size.keys:,} sessions, {size.per_second:,.0f} reads/s"
        drawing.save("warming-flush", drawing.curves(title, curves, ("seconds since FLUSHALL", "hit ratio"), line=GOAL))
    print(json.dumps(figures(size, warm, cold)))


def figures(size: Size, warm: Course, cold: Course) -> dict[str, Any]:
    """What is printed."""
    found: dict[str, Any] = {"benchmark": "warming_flush", "keys": size.keys, "reads_per_second": size.per_second}
    for name, course in {"warm": warm, "cold": cold}.items():
        found[f"{name}_seconds_to_90"] = course.to_goal
        found[f"{name}_hit_ratio_at_{size.seconds}_s"] = round(course.last, 4)
        found[f"{name}_source_queries"] = course.queries
    return found | {"source_queries_ratio": round(warm.queries / max(cold.queries, 1), 3)}


def run(size: Size) -> tuple[Course, Course]:
    """The same flush with the daemon and without it."""
    with ExitStack() as stack:
        database = stack.enter_context(Database("postgresql"))
        server = stack.enter_context(Server("redis-7.0"))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        progress(f"{size.keys:,} sessions into the database")
        database.sessions(size.keys)
        exporter = Exporter(directory, redis_url=server.url, config=job(database))
        stack.callback(exporter.stop)
        filled(server, size)
        warm = flushed(server, database, size)
        filled(server, size)
        exporter.stop()
        return warm, flushed(server, database, size)


def job(database: Database) -> dict[str, Any]:
    """The configuration: what a job needs, and nothing else."""
    source = {"type": "sql", "url": database.url, "query": QUERY}
    return {"warming": {"jobs": [{"name": "sessions", "source": source, "key": "session:{id}"}]}}


def filled(server: Server, size: Size) -> None:
    """Wait until the cache is full."""
    client = server.client()
    wait_for(lambda: client.dbsize() >= size.keys, 120, "the cache to be full")


def flushed(server: Server, database: Database, size: Size) -> Course:
    """Readers, a flush at the beginning of a second, and what they see until the end."""
    with Readers(Plan(server.port, database.url, size.keys, size.readers, size.per_second)) as readers:
        at = int(time.time()) + 1 + size.before
        sleep_until(at)
        server.client().flushall()
        progress("flushed")
        sleep_until(at + size.seconds)
        return course(readers.stop(), at, size)


def course(seen: Seen, at: int, size: Size) -> Course:
    """What the readers saw, counted from the flush."""
    end = at + size.seconds
    warm = (n for n in range(size.seconds) if min(seen.hit_ratio(at + n, stop) for stop in (at + n + 1, end)) >= GOAL)
    return Course(
        ratios=tuple(seen.hit_ratio(second, second + 1) for second in range(at - size.before + 1, end)),
        last=seen.hit_ratio(max(at, end - LAST_SECONDS), end),
        to_goal=next((n + 1 for n in warm), None),
        queries=seen.missed(at, end),
    )


def sleep_until(second: float) -> None:
    """Sleep until a moment of the clock."""
    time.sleep(max(0.0, second - time.time()))


def progress(words: str) -> None:
    """What is going on, on stderr."""
    print(f"warming_flush: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
