"""What refresh-ahead saves: hot keys with a life of 10 s, 50 readers, real PostgreSQL 25 ms away, real Redis.

`python -m benchmarks.warming_ahead [--seconds N] [--draw]`; the last line is one JSON object. The readers have their
cache before a database that is behind a delaying proxy, and ask for twenty keys by Zipf's law, 2,500 reads a second.
Twice: a daemon whose job has `refresh_ahead: true`, and the same with `false`. `misses` are the readers'; `queries` are
all statements on the table in the database's own log, those of the daemon included.
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
from typing import Any

from benchmarks import drawing
from tests.databases import USER, Database
from tests.program import Exporter
from tests.proxies import Proxy
from tests.servers import Server, wait_for
from tests.warming.readers import Plan, Readers

GOAL = 0.05
DELAY_SECONDS = 0.025


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is. `ttl` and `seconds` are seconds; `seconds` are measured once the keys are known to be hot."""

    keys: int = 20
    readers: int = 50
    per_second: float = 2500.0
    ttl: int = 10
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took: misses of the readers, and statements that the database has seen."""

    misses: int
    queries: int
    hit_ratio: float


def main() -> None:
    """Run both and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=Size().seconds)
    parser.add_argument("--draw", action="store_true", help="write the figure into docs/figures")
    options = parser.parse_args()
    size = Size(seconds=options.seconds)
    ahead, without = run(size)
    if options.draw:
        title = f"Hot keys with a life of {size.ttl} s, {size.readers} readers, {size.seconds} s"
        drawing.save("warming-ahead", drawing.bars(title, {
            "misses, refresh-ahead": float(ahead.misses), "misses, without": float(without.misses),
            "queries, refresh-ahead": float(ahead.queries), "queries, without": float(without.queries),
        }))  # fmt: skip
    print(json.dumps(figures(size, ahead, without)))


def figures(size: Size, ahead: Cost, without: Cost) -> dict[str, Any]:
    """What is printed."""
    found: dict[str, Any] = {"benchmark": "warming_ahead", "seconds": size.seconds}
    for name, cost in {"ahead": ahead, "without": without}.items():
        found |= {f"{name}_misses": cost.misses, f"{name}_queries": cost.queries}
        found[f"{name}_hit_ratio"] = round(cost.hit_ratio, 5)
    return found | {
        "misses_ratio": round(ahead.misses / max(without.misses, 1), 4),
        "queries_ratio": round(ahead.queries / max(without.queries, 1), 4),
    }


def run(size: Size) -> tuple[Cost, Cost]:
    """With refresh-ahead, and without."""
    with Database("postgresql") as database:
        database.sessions(10 * size.keys)
        database.execute(f"alter role {USER} set log_statement = 'all'")
        with Proxy(database.port, delay=DELAY_SECONDS / 2) as proxy:
            url = database.url.replace(f":{database.port}/", f":{proxy.port}/")
            return measured(database, url, size, ahead=True), measured(database, url, size, ahead=False)


def measured(database: Database, url: str, size: Size, *, ahead: bool) -> Cost:
    """What readers miss and the database is asked, once the keys are known to be hot."""
    with ExitStack() as stack:
        server = stack.enter_context(Server("redis-7.0"))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        exporter = Exporter(directory, redis_url=server.url, config=job(url, size, ahead=ahead))
        stack.callback(exporter.stop)
        exporter.wait_until()
        readers = stack.enter_context(
            Readers(Plan(server.port, url, size.keys, size.readers, size.per_second, size.ttl))
        )
        wait_for(lambda: len(exporter.api_hotkeys()["hotkeys"]) >= size.keys, 60, "all keys to be hot")
        start = int(time.time()) + size.ttl
        sleep_until(start)
        before = queries(database)
        progress(f"{'with' if ahead else 'without'} refresh-ahead")
        sleep_until(start + size.seconds)
        asked = queries(database) - before
        seen = readers.stop()
        end = start + size.seconds
        return Cost(seen.missed(start, end), asked, seen.hit_ratio(start, end))


def job(url: str, size: Size, *, ahead: bool) -> dict[str, Any]:
    """The configuration: sampling and everything else at its defaults."""
    source = {"type": "sql", "url": url, "query": "select id, user_name, token from sessions"}
    one = {"name": "sessions", "source": source, "select": "hot", "key": "session:{id}", "ttl": f"{size.ttl}s"}
    return {"warming": {"jobs": [{**one, "refresh_ahead": ahead}]}}


def queries(database: Database) -> int:
    """How many statements on the table are in the database's log; a cursor on the server's side counts once."""
    lines = (database.directory / "server.log").read_text(errors="replace").splitlines()
    return sum("LOG:" in line and "from sessions" in line for line in lines)


def sleep_until(second: float) -> None:
    """Sleep until a moment of the clock."""
    time.sleep(max(0.0, second - time.time()))


def progress(words: str) -> None:
    """What is going on, on stderr."""
    print(f"warming_ahead: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
