"""Healthy servers as a real exporter saw them: set-ups go in, `tests/data/healthy/*.txt` come out.

`python -m tests.alerts.recording` starts them and takes four minutes. A file has one line for each series that a rule
asks for: its name and labels, then its value at each scrape, 15 s apart; `_` where there was none. Times are seconds since
the first scrape. Latency histograms are summed over commands, as the rule sums them.
"""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.alerts.promtool import committed
from tests.load import Load
from tests.meanwhile import meanwhile
from tests.program import Exporter
from tests.scenarios import zipf_only
from tests.servers import ROOT, Server, free_port, program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import redis

    from tests.program import Sample

DIRECTORY = ROOT / "tests" / "data" / "healthy"
PAUSE = 15
KIND = "redis-7.0"
SAVING = {"save": "3600 1 300 100 60 10000"}
FULL = {"maxmemory": "8mb", "maxmemory-policy": "allkeys-lru"}
Scrape = dict[str, float]


def asked() -> re.Pattern[str]:
    """Matches the names of all series that a rule asks for."""
    names = {name for rule in committed() for name in re.findall(r"\b[a-z_]+\b", rule["expr"])}
    return re.compile("|".join(sorted(names)))


def scrape(samples: Mapping[str, list[Sample]], names: re.Pattern[str], start: float) -> Scrape:
    """One scrape as series and their values, times relative to `start`."""
    found: Scrape = defaultdict(float)
    for name, some in samples.items():
        if not names.fullmatch(name):
            continue
        for labels, value in some:
            kept = {key: text for key, text in labels.items() if not (key == "cmd" and name.endswith("_bucket"))}
            series = name + "{" + ",".join(f'{key}="{text}"' for key, text in kept.items()) + "}"
            moment = name.endswith(("_timestamp_seconds", "start_time_seconds"))
            found[series] += value - start if moment else value
    return found


def take(exporter: Exporter, count: int, names: re.Pattern[str], start: float) -> dict[int, Scrape]:
    """Scrape so many times, at whole multiples of 15 s after `start`; by number."""
    first = math.ceil((time.time() - start - 1) / PAUSE)
    scrapes = {}
    for number in range(first, first + count):
        time.sleep(max(0.0, start + PAUSE * number - time.time()))
        scrapes[number] = scrape(exporter.metrics(), names, start)
    return scrapes


def write(name: str, scrapes: Mapping[int, Scrape], targets: str = ".+") -> None:
    """Write one file, of the targets that match and the exporter itself; a number without a scrape is a gap."""
    lines = []
    for series in sorted({series for one in scrapes.values() for series in one}):
        target = re.search(r'[{,]target="([^"]*)"', series)
        if target and not re.fullmatch(targets, target[1]):
            continue
        values = (scrapes.get(number, {}).get(series) for number in range(max(scrapes) + 1))
        lines.append(series + "\t" + " ".join("_" if value is None else f"{value:.6g}" for value in values))
    DIRECTORY.mkdir(exist_ok=True)
    (DIRECTORY / f"{name}.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


@contextmanager
def traffic(server: Server, act: Callable[[redis.Redis, random.Random], Any]) -> Iterator[None]:
    """A thread that does something about two hundred times a second."""
    stop, client, rng = threading.Event(), server.client(), random.Random(1)

    def work() -> None:
        while not stop.wait(0.005):
            act(client, rng)

    with meanwhile(work, stop):
        yield


def cached(client: redis.Redis, rng: random.Random) -> None:
    """Read a page of a shop, and fill the cache where it is missing."""
    key = f"page:{int(20_000 * rng.random() ** 3)}"
    if client.get(key) is None:
        client.set(key, b"x" * 800)


def cluster(stack: ExitStack) -> list[Server]:
    """Three masters with a replica each."""
    settings = {"cluster-enabled": "yes", "cluster-node-timeout": "5000"}
    servers = [
        stack.enter_context(Server(KIND, config={**settings, "cluster-port": f"{free_port()}"})) for _ in range(6)
    ]
    command = [program("redis-cli", "redis-tools"), "--cluster", "create", *(one.addr for one in servers)]
    subprocess.run([*command, "--cluster-replicas", "1", "--cluster-yes"], check=True, capture_output=True)
    for one in servers:
        wait_for(partial(_settled, one), 30, "the cluster")
    return servers


def _settled(server: Server) -> bool:
    with server.client(decode_responses=True) as client:
        state, said = client.info("replication"), client.execute_command("CLUSTER INFO")
    linked = state["role"] == "master" or state["master_link_status"] == "up"
    return linked and said["cluster_state"] == "ok"


def fleet(directory: Path, names: re.Pattern[str]) -> None:
    """Idle, a full cache, without persistence, a master and its replica, two that are alone, a cluster; a restart."""
    with ExitStack() as stack:
        server = partial(Server, KIND)
        idle, full, bare = (stack.enter_context(server(config=config)) for config in (SAVING, FULL, {}))
        master = stack.enter_context(server(config=SAVING))
        replica = stack.enter_context(server(config={**SAVING, "replicaof": f"127.0.0.1 {master.port}"}))
        alone = [stack.enter_context(server(config=SAVING)) for _ in range(2)]
        nodes = cluster(stack)
        filling = full.client()
        for number in range(12_000):
            filling.set(f"page:{number}", b"x" * 800)
        stack.enter_context(traffic(full, cached))
        for one in (bare, master, *alone):
            stack.enter_context(traffic(one, lambda client, rng: client.set(f"k:{rng.randrange(500)}", "v", ex=900)))
        wait_for(lambda: full.client().info("stats")["evicted_keys"], 60, "the cache to be full")
        named = {"idle": idle, "full": full, "bare": bare, "master": master, "replica": replica}
        named |= {f"alone-{number}": server for number, server in enumerate(alone)}
        named |= {f"cluster-{number}": server for number, server in enumerate(nodes)}
        targets = [{"name": name, "url": server.url} for name, server in named.items()]
        exporter = Exporter(directory, config={"targets": targets, "sampling": {"top": 5}}).wait_until(timeout=30)
        try:
            time.sleep(65)  # a window that is full
            start = time.time()
            before = take(exporter, 3, names, start)
            write("fleet", before)
            exporter.kill()
            exporter.restart()
            after = take(exporter, 5, names, start)
        finally:
            exporter.stop()
        write("restarted", before | after, "idle|master|replica|cluster-5")


def busy(directory: Path, names: re.Pattern[str]) -> None:
    """Two hundred thousand commands a second over a million keys, Zipf's exponent 1."""
    with Server(KIND) as server, Load(server.port, partial(zipf_only, 200_000, 1_000_000)):
        config = {"targets": [{"name": "busy", "url": server.url}]}
        exporter = Exporter(directory, config=config).wait_until()
        try:
            time.sleep(65)
            scrapes = take(exporter, 3, names, time.time())
        finally:
            exporter.stop()
    write("busy", scrapes)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for record in [{"fleet": fleet, "busy": busy}[name] for name in sys.argv[1:]] or [fleet, busy]:
            record(Path(place), asked())
