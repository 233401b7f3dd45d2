"""A whole fleet under load for the dashboards: real servers of every topology, the real exporter, a real Prometheus.

In: a directory. Out: a `Stack`, scraped by the two jobs of docs/dashboards.md, with labels as Kubernetes gives them.
"""

from __future__ import annotations

import sqlite3
import subprocess
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import redis
import yaml
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException

from tests.daemon import Prometheus
from tests.program import Exporter
from tests.sentinels import MASTER, Group
from tests.servers import ROOT, Server, free_port, make_tls, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRAPED = {"node": "worker-1", "pod": "hotkey-exporter-0", "namespace": "monitoring", "container": "exporter"}
DOCS = ROOT / "docs" / "dashboards.md"
CACHE = {
    "maxmemory": "64mb",
    "appendonly": "yes",
    "latency-monitor-threshold": "1",
    "slowlog-log-slower-than": "2000",
    "enable-debug-command": "yes",
    # With a limit of the server's own the whole stream is observed, and warmed keys can be told useful from wasted.
    "client-output-buffer-limit": "normal 67108864 33554432 10",
}


class Stack:
    """The running fleet."""

    def __init__(self, prometheus: Prometheus, exporter: Exporter) -> None:
        self.prometheus = prometheus
        self.exporter = exporter


@contextmanager
def running(directory: Path) -> Iterator[Stack]:
    """Start everything, keep it busy, and end it."""
    with ExitStack() as stack:

        def start(kind: str = "redis-7.0", **options: Any) -> Server:
            return stack.enter_context(Server(kind, **options))

        cache = start(config=CACHE)
        group = Group(start)
        stack.push(group.__exit__)
        cluster = cluster_of(stack, start, shards=3, replicas=1)
        files = make_tls(directory)
        encrypted = start(tls=files)
        newer = [start("redis-8.2"), start("valkey-9.1", config={"io-threads": "2"})]
        denied = start(config={"maxmemory-policy": "allkeys-lfu", "maxmemory": "32mb"})
        denied.client().execute_command("ACL", "SETUSER", "default", "-monitor")
        stack.enter_context(_busy([cache, *group.servers, *newer, denied], cluster, cache))
        targets = [_target("cache", cache.url), *(_target(f"new-{n}", one.url) for n, one in enumerate(newer))]
        targets += [_target("denied", denied.url), _target("gone", f"redis://127.0.0.1:{free_port()}")]
        # Each node for itself: by default any of them would lead to all six.
        targets += [_target(f"cluster-{n}", one.url) | {"topology": "standalone"} for n, one in enumerate(cluster)]
        targets.append({**_target("tls", encrypted.url), "tls": {"ca_file": str(files.ca)}})
        targets += [_target("watch", f"redis://{group.sentinels[0].addr}")]
        sentinel = {"master": MASTER, "nodes": [one.addr for one in group.sentinels]}
        targets.append({"name": "main", "topology": "sentinel", "sentinel": sentinel})
        exporter = Exporter(directory, config={**_settings(directory), "targets": targets})
        stack.callback(exporter.stop)
        exporter.wait_until(timeout=30)
        prometheus = stack.enter_context(Prometheus(directory, _scraping(directory, exporter.port)))
        yield Stack(prometheus, exporter)


def _target(name: str, url: str) -> dict[str, Any]:
    return {"name": name, "url": url}


def cluster_of(stack: ExitStack, start: Any, shards: int, replicas: int) -> list[Server]:
    """`shards` primaries with so many replicas each; they find together while the rest of the fleet starts."""
    settings = {"cluster-enabled": "yes", "cluster-node-timeout": "5000", "cluster-slot-stats-enabled": "yes"}
    servers = [start("redis-8.2", config=settings) for _ in range(shards * (1 + replicas))]
    command = [program("redis-cli", "redis-tools"), "--cluster", "create", *(one.addr for one in servers)]
    command += ["--cluster-replicas", f"{replicas}", "--cluster-yes"]
    creation = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    stack.callback(_end, creation)
    return servers


def _end(process: subprocess.Popen[bytes]) -> None:
    """It has long ended by itself, unless the nodes did not come together."""
    if process.poll() is None:
        process.kill()
    process.wait()


def _settings(directory: Path) -> dict[str, Any]:
    path = directory / "source.db"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("create table items (id integer primary key, name text)")
        base.executemany("insert into items values (?, ?)", [(n, f"item-{n}") for n in range(40)])
    source = {"type": "sql", "url": f"sqlite:///{path}", "query": "select id, name from items"}
    job = {"name": "items", "target": "cache", "source": source, "key": "item:{id}", "every": "3s", "ttl": "2s"}
    return {"sampling": {"window": "10s"}, "warming": {"jobs": [{**job, "jitter": "0%"}], "lease": "3s"}}


def _scraping(directory: Path, port: int) -> Path:
    """Prometheus' configuration: the job of our dashboards, and the one that the docs have for redis_exporter's."""
    documented = DOCS.read_text(encoding="utf-8").rpartition("```yaml")[2].partition("```")[0]
    [ours, theirs] = yaml.safe_load(documented)["scrape_configs"]
    theirs["scrape_interval"] = "4s"
    for job in (ours, theirs):
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"], "labels": SCRAPED}]
    path = directory / "prometheus.yml"
    document = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"},
        "rule_files": [str(rules(directory))],
        "scrape_configs": [ours, theirs],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def rules(directory: Path) -> Path:
    """The rules of the repository; alerts fire at once, since nobody waits here for their `for`."""
    groups = []
    for path in sorted((ROOT / "alerts" / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            group["rules"] = [_at_once(rule) for rule in group["rules"]]
            groups.append(group)
    path = directory / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


def _at_once(rule: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in rule.items() if name not in {"for", "keep_firing_for"}}


@contextmanager
def _busy(servers: list[Server], cluster: list[Server], cache: Server) -> Iterator[None]:
    """Reads, writes, misses, errors and hot keys on all servers, until the end."""
    stop = threading.Event()
    threads = [threading.Thread(target=_work, args=(one, stop)) for one in servers]
    threads += [threading.Thread(target=_work_on_cluster, args=(cluster, stop))]
    threads += [threading.Thread(target=_disturb, args=(cache, stop))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _work(server: Server, stop: threading.Event) -> None:
    client = redis.Redis(port=server.port, socket_timeout=2)
    n = 0
    while not stop.wait(0.1):
        n += 1
        with suppress(redis.RedisError):
            pipe = client.pipeline(transaction=False)
            for m in range(6):
                pipe.get("hot:key")
                pipe.get(f"item:{(n + m) % 20}")
            pipe.set("hot:key", "x" * 400, ex=30)
            pipe.set(f"user:{n % 50}:name", "y", ex=20)
            pipe.get(f"user:{n % 70}:name")
            pipe.hset(f"cart:{n % 9}", "count", n)
            pipe.incr(f"cart:{n % 9}")  # WRONGTYPE
            pipe.execute_command("GET")  # rejected
            pipe.execute(raise_on_error=False)
    client.close()


def _work_on_cluster(cluster: list[Server], stop: threading.Event) -> None:
    client: RedisCluster | None = None
    n = 0
    while not stop.wait(0.05):
        n += 1
        try:
            client = client or RedisCluster(host="127.0.0.1", port=cluster[0].port, socket_timeout=2)
            client.set(f"page:{n % 60}", "z", ex=60)
            client.get(f"page:{(n + 7) % 60}")
            client.get("page:1")
        except (redis.RedisError, RedisClusterException):
            stop.wait(0.3)  # it is not ready yet
    if client:
        client.close()


def _disturb(cache: Server, stop: threading.Event) -> None:
    """What happens now and then: a blocked server, a save, a rewrite, keys in another database."""
    client = redis.Redis(port=cache.port, socket_timeout=5)
    other = redis.Redis(port=cache.port, db=3, socket_timeout=5)
    while True:
        with suppress(redis.RedisError):
            other.set("report:7", "r", ex=60)
            client.execute_command("DEBUG", "SLEEP", "0.01")
            client.bgsave()
        if stop.wait(3):
            break
        with suppress(redis.RedisError):
            client.bgrewriteaof()
    client.close()
    other.close()
