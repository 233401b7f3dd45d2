"""How fast warming is, what it saves, and what it costs a reader beside it: real PostgreSQL, real Redis.

In: nothing; `--short` for the small form, `--draw` to write the figure into docs/figures. Out: one line of JSON.
`bulk_*`: keys a second from PostgreSQL into an empty Redis, the whole run included (connecting, the query, the lease).
`validation_*`: milliseconds of a session lookup through a cache-aside client whose database is 25 ms away (a delaying
TCP proxy), cold and warm. `reader_*`: the 99th percentile of single GETs alone, beside a run at full speed into another
server (what sharing the cores costs), beside one into the same server, and beside a fenced one.
`reader_queue_p99_ratio` is the third over the second: what is left is the server's queue.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks import drawing
from exporter.config import load
from exporter.courtesy import give_way
from exporter.topology import topology_of
from exporter.warm import surroundings
from exporter.warming.goals import goal_of, target_of
from exporter.warming.items import Outcome
from exporter.warming.progress import Progress, Report
from exporter.warming.runner import Request, Runner
from tests.databases import Database
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.config import Config

DELAY_SECONDS = 0.025
ROUNDS = 3
FENCED_KEYS = 20_000
READER = """
import json, select, sys, time, redis
cache = redis.Redis(port=int(sys.argv[1]))
cache.get("probe")
print("ready", flush=True)
found = []
while not select.select([sys.stdin], [], [], 0.0005)[0]:
    began = time.perf_counter()
    cache.get("probe")
    found.append(1e6 * (time.perf_counter() - began))
print(json.dumps(found))
"""
JOB = """
targets: [{{name: cache, url: "{redis}"}}]
warming:
  jobs:
    - name: sessions
      source: {{type: sql, url: "{database}", query: "select id, user_name, token from sessions order by seen desc"}}
      key: "session:{{id}}"
      policy: {policy}
      rate_limit: 1000000/s
      bytes_per_second: 1GiB
"""


def main() -> None:
    short = "--short" in sys.argv
    large = 20_000 if short else 100_000
    with Database("postgresql") as database, Server("redis-7.0") as server:
        database.sessions(large)
        small = min((run(server, database, 1000) for _ in range(5)), key=lambda report: report.seconds)
        whole = run(server, database, large)
        figures: dict[str, Any] = {
            "bulk_1000_seconds": round(small.seconds, 3),
            "bulk_keys": large,
            "bulk_keys_per_second": round(large / whole.seconds),
        }
        figures |= validation(server, database, 40 if short else 200)
        figures |= reader(server, database, 20_000)
    if "--draw" in sys.argv:
        names = {"alone": "alone", "other_server": "beside a run into another server",
                 "beside": "beside a run into the same server", "fenced": "beside a fenced run"}  # fmt: skip
        title = "A reader's 99th percentile on two cores that it shares with the run and the database"
        values = {name: figures[f"reader_{key}_p99_us"] for key, name in names.items()}
        drawing.save("warming-reader", drawing.bars(title, values, " \N{MICRO SIGN}s"))
    print(json.dumps({"benchmark": "warming", **figures}))


def run(server: Server, database: Database, limit: int) -> Report:
    """Warm an empty server once."""
    server.client().flushall()
    config = config_of(server, database)
    job = config.warming.jobs[0]
    runner = Runner(job, goal_of(config, job), topology_of(target_of(config, job)), threading.Event())
    report = as_the_program_does(runner, limit)
    assert report.keys["written"] == limit, report
    return report


def validation(server: Server, database: Database, lookups: int) -> dict[str, float]:
    """Milliseconds of a lookup through the cache, cold (each one a miss) and warm, with a database far away."""
    cache = server.client()
    with proxy(database.port) as port:
        parts = psycopg.conninfo.conninfo_to_dict(database.url)
        with psycopg.connect(**{**parts, "port": port}, autocommit=True) as connection:  # type: ignore[arg-type]

            def validate(number: int) -> float:
                began = time.perf_counter()
                if cache.get(f"session:{number}") is None:
                    row = connection.execute("select user_name, token from sessions where id = %s", [number]).fetchone()
                    cache.set(f"session:{number}", json.dumps(row), ex=600)
                return 1000 * (time.perf_counter() - began)

            validate(0)
            cache.flushall()
            cold = [validate(number) for number in range(lookups)]
            run(server, database, max(lookups, 1000))
            newest = int(connection.execute("select max(id) from sessions").fetchone()[0])  # type: ignore[index]
            warm = [validate(newest - number) for number in range(lookups)]
    figures = {f"validation_cold_p{p}_ms": quantile(cold, p) for p in (50, 95)}
    figures |= {f"validation_warm_p{p}_ms": quantile(warm, p) for p in (50, 95)}
    return figures | {"validation_speedup_p50": round(quantile(cold, 50) / quantile(warm, 50), 1)}


def reader(server: Server, database: Database, keys: int) -> dict[str, float]:
    """The 99th percentile of GETs (microseconds) by a process of its own: alone, and beside runs at full speed.

    Beside a run into another server it shares the cores with it and nothing else: what that costs is not the server's
    doing. Rounds are mixed, since a machine is not the same from one second to the next.
    """
    found: dict[str, list[float]] = {"alone": [], "other_server": [], "beside": []}
    with Server("redis-7.0") as other:
        for _ in range(ROUNDS):
            server.client().flushall()
            found["alone"] += measured(server.port, lambda: time.sleep(2))
            found["other_server"] += measured(server.port, lambda: run(other, database, keys))
            found["beside"] += measured(server.port, lambda: run(server, database, keys))
    server.client().flushall()
    found["fenced"] = measured(server.port, lambda: fenced(server, database, min(keys, FENCED_KEYS)))
    figures = {f"reader_{name}_p99_us": quantile(values, 99) for name, values in found.items()}
    ratios = {
        f"reader_{name}_p99_ratio": quantile(values, 99) / quantile(found["alone"], 99)
        for name, values in found.items()
    }
    del ratios["reader_alone_p99_ratio"]
    queue = quantile(found["beside"], 99) / quantile(found["other_server"], 99)
    return (
        figures
        | {name: round(value, 2) for name, value in ratios.items()}
        | {"reader_queue_p99_ratio": round(queue, 2)}
    )


def fenced(server: Server, database: Database, limit: int) -> Report:
    """The same job behind a fence, with the stream watched as `warm` does it."""
    config = config_of(server, database, "fenced")
    [job] = config.warming.jobs
    with surroundings(config, job) as (topology, streams):
        runner = Runner(job, goal_of(config, job), topology, threading.Event(), streams=streams)
        return as_the_program_does(runner, limit)


def as_the_program_does(runner: Runner, limit: int) -> Report:
    """Run in a thread that gives way to others."""
    with ThreadPoolExecutor(1, initializer=give_way) as pool:
        report = pool.submit(runner.run, Request("benchmark", limit=limit), Progress()).result()
    assert report.outcome is Outcome.COMPLETE, report
    return report


def config_of(server: Server, database: Database, policy: str = "nx") -> Config:
    """The configuration of the job."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.yaml"
        path.write_text(JOB.format(redis=server.url, database=database.url, policy=policy))
        return load(path, environ={})


def measured(port: int, work: Callable[[], object]) -> list[float]:
    """Latencies of single GETs, one every half millisecond, while `work` runs."""
    command = [sys.executable, "-c", READER, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    work()
    out, _ = process.communicate("end\n", timeout=10)
    found: list[float] = json.loads(out)
    return found


def quantile(values: list[float], percent: int) -> float:
    """A percentile."""
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 3)


@contextmanager
def proxy(port: int) -> Iterator[int]:
    """A TCP proxy in front of a port that holds every answer back for DELAY_SECONDS."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, drain: socket.socket, delay: float) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                time.sleep(delay)
                drain.sendall(chunk)
            drain.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for wire in (client, server):
                    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=pump, args=(client, server, 0.0), daemon=True).start()
                threading.Thread(target=pump, args=(server, client, DELAY_SECONDS), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield int(listener.getsockname()[1])
    listener.close()


if __name__ == "__main__":
    main()
