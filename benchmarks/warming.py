"""How fast warming is, what it saves, and what it costs a reader beside it: real PostgreSQL, real Redis.

In: nothing; `--short` for the small form, `--draw` to write the figure into docs/figures. Out: one line of JSON.
`bulk_*`: keys a second from PostgreSQL into an empty Redis, the whole run included (connecting, the query, the lease).
`validation_*`: milliseconds of a session lookup through a cache-aside client whose database is 25 ms away (a delaying
TCP proxy), cold and warm. `reader_*`: the 99th percentile of single GETs alone, beside runs without a limit, at the
default `rate_limit`, into another server (what sharing the cores costs), and behind a fence; how many times that is the
one alone; and how many keys a second these runs wrote.
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
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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

T = TypeVar("T")
DELAY_SECONDS = 0.025
ROUNDS = 8
FENCED_PART = 4
NO_LIMIT = "1000000/s"
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
      rate_limit: {rate_limit}
      bytes_per_second: 1GiB
"""


def main() -> None:
    short = "--short" in sys.argv
    large = 20_000 if short else 100_000
    with Database("postgresql") as database, Server("redis-7.0") as server:
        database.sessions(large)
        small = min((into_an_empty_one(server, database, 1000) for _ in range(5)), key=lambda report: report.seconds)
        whole = into_an_empty_one(server, database, large)
        figures: dict[str, Any] = {
            "bulk_1000_seconds": round(small.seconds, 3),
            "bulk_keys": large,
            "bulk_keys_per_second": round(large / whole.seconds),
        }
        figures |= validation(server, database, 40 if short else 200)
        figures |= reader(server, database, 20_000, 2 if short else ROUNDS)
    if "--draw" in sys.argv:
        names = {"alone": "alone", "beside": "beside a run without a limit", "default": "beside a run at 20,000 keys/s",
                 "other_server": "beside a run into another server", "fenced": "beside a fenced run"}  # fmt: skip
        title = "A reader's 99th percentile on two cores that it shares with the run and the database"
        values = {name: figures[f"reader_{key}_p99_us"] for key, name in names.items()}
        drawing.save("warming-reader", drawing.bars(title, values, " \N{MICRO SIGN}s"))
    print(json.dumps({"benchmark": "warming", **figures}))


def into_an_empty_one(server: Server, database: Database, limit: int) -> Report:
    """Empty a server and warm it."""
    server.client().flushall()
    return run(server, database, limit)


def run(server: Server, database: Database, limit: int, rate_limit: str = NO_LIMIT) -> Report:
    """Warm an empty server once, without a limit unless one is given."""
    config = config_of(server, database, rate_limit=rate_limit)
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
            into_an_empty_one(server, database, max(lookups, 1000))
            newest = int(connection.execute("select max(id) from sessions").fetchone()[0])  # type: ignore[index]
            warm = [validate(newest - number) for number in range(lookups)]
    figures = {f"validation_cold_p{p}_ms": quantile(cold, p) for p in (50, 95)}
    figures |= {f"validation_warm_p{p}_ms": quantile(warm, p) for p in (50, 95)}
    return figures | {"validation_speedup_p50": round(quantile(cold, 50) / quantile(warm, 50), 1)}


def reader(server: Server, database: Database, keys: int, rounds: int) -> dict[str, float]:
    """The 99th percentile of GETs (microseconds) by a process of its own: alone, and beside runs of several kinds.

    Beside a run into another server it shares the cores with it and nothing else: what that costs is not the server's
    doing. Rounds are mixed, since a machine is not the same from one second to the next.
    """
    few = keys // FENCED_PART
    latencies: dict[str, list[float]] = {"alone": []}
    speeds: dict[str, list[float]] = {}
    with Server("redis-7.0") as other:
        runs: dict[str, Callable[[], Report]] = {
            "beside": partial(run, server, database, keys),
            "default": partial(run, server, database, keys, "20000/s"),
            "other_server": partial(run, other, database, keys),
            "fenced": partial(fenced, server, database, few),
        }
        for _ in range(rounds):
            latencies["alone"] += measured(server.port, partial(time.sleep, 1.0))[0]
            for name, work in runs.items():
                server.client().flushall()
                other.client().flushall()
                found, report = measured(server.port, work)
                latencies.setdefault(name, []).extend(found)
                speeds.setdefault(name, []).append(report.keys["written"] / report.seconds)
    alone = quantile(latencies["alone"], 99)
    return {
        **{f"reader_{name}_p99_us": quantile(values, 99) for name, values in latencies.items()},
        **{f"reader_{name}_p99_ratio": round(quantile(latencies[name], 99) / alone, 2) for name in runs},
        **{f"reader_{name}_keys_per_second": round(statistics.harmonic_mean(speeds[name])) for name in runs},
    }


def fenced(server: Server, database: Database, limit: int) -> Report:
    """The same job behind a fence, with the stream watched as `warm` does it."""
    config = config_of(server, database, policy="fenced")
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


@cache
def config_of(server: Server, database: Database, policy: str = "nx", rate_limit: str = NO_LIMIT) -> Config:
    """The configuration of the job; made once, since that takes a core for as long as some thousand keys do."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.yaml"
        path.write_text(JOB.format(redis=server.url, database=database.url, policy=policy, rate_limit=rate_limit))
        return load(path, environ={})


def measured(port: int, work: Callable[[], T]) -> tuple[list[float], T]:
    """Latencies of single GETs (microseconds), one every half millisecond, while `work` runs; and what that gives."""
    command = [sys.executable, "-c", READER, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    done = work()
    out, _ = process.communicate("end\n", timeout=10)
    return json.loads(out), done


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
