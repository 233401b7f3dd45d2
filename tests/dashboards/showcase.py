"""The fleet in the pictures: a shop's cache, sessions with a replica, a catalog in three shards, a queue.

In: a directory. Out: real servers under load, the real exporter, and a real Prometheus with our rules.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import redis
import yaml
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException

from exporter.demo.helper import Traffic
from exporter.demo.shop import Shop, Zipf
from tests.daemon import Prometheus
from tests.dashboards.stack import CACHE, cluster_of, rules
from tests.meanwhile import meanwhile
from tests.program import Exporter
from tests.sentinels import MASTER, Group
from tests.servers import KINDS, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCRAPE_SECONDS = 5
RATE_SECONDS = 4 * SCRAPE_SECONDS
"""What Grafana makes of `$__rate_interval` for this scrape interval."""
OPS = 900
PRODUCTS = 1_000


class Showcase:
    """What runs; the queue is the server that may be restarted while all watch."""

    def __init__(self, prometheus: Prometheus, queue: Server) -> None:
        self.prometheus = prometheus
        self.queue = queue


@contextmanager
def running(directory: Path) -> Iterator[Showcase]:
    """Start everything, keep it busy, and end it."""
    with ExitStack() as stack:

        def start(kind: str = "redis-7.0", **options: Any) -> Server:
            return stack.enter_context(Server(kind, **options))

        newest = "redis-8.10" if KINDS["redis-8.10"].binary else "redis-8.2"
        shop = start(newest, config=CACHE)
        sessions = Group(start)
        stack.push(sessions.__exit__)
        catalog = cluster_of(stack, start, shards=3, replicas=0)
        queue = start("valkey-9.1", config={"io-threads": "2"})
        primary, replica = sessions.servers
        stop = threading.Event()
        works: tuple[Callable[[Callable[[float], bool]], None], ...] = (
            Traffic(shop.port, OPS, Shop(seed=7)).run,
            partial(_visit, primary, replica),
            partial(_browse, catalog),
            partial(_queue, queue),
            partial(_maintain, shop),
        )
        for work in works:
            stack.enter_context(meanwhile(partial(work, stop.wait), stop))
        exporter = Exporter(directory, config=_settings(directory, shop, sessions, catalog, queue))
        stack.callback(exporter.stop)
        exporter.wait_until(timeout=30)
        prometheus = stack.enter_context(Prometheus(directory, _scraping(directory, exporter.port)))
        yield Showcase(prometheus, queue)


def _settings(directory: Path, shop: Server, sessions: Group, catalog: list[Server], queue: Server) -> dict[str, Any]:
    sentinel = {"master": MASTER, "nodes": [one.addr for one in sessions.sentinels]}
    path = directory / "products.db"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("create table products (id integer primary key, document text)")
        rows = [(n, json.dumps({"id": n, "text": "x" * 300})) for n in range(PRODUCTS)]
        base.executemany("insert into products values (?, ?)", rows)
    source = {"type": "sql", "url": f"sqlite:///{path}", "query": "select id, document from products"}
    job = {"name": "products", "target": "shop", "source": source, "key": "product:{id}", "every": "60s", "ttl": "90s"}
    return {
        "targets": [
            {"name": "shop", "url": shop.url},
            {"name": "sessions", "topology": "sentinel", "sentinel": sentinel},
            {"name": "catalog", "url": catalog[0].url},
            {"name": "queue", "url": queue.url},
        ],
        "warming": {"jobs": [job], "lease": "10s"},
        "keyspace": {"interval": "120s"},
    }


def _scraping(directory: Path, port: int) -> Path:
    document = {
        "global": {f"{name}_interval": f"{SCRAPE_SECONDS}s" for name in ("scrape", "evaluation")},
        "rule_files": [str(rules(directory))],
        "scrape_configs": [{"job_name": "hotkey-exporter", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
    }
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(document))
    return path


def _visit(primary: Server, replica: Server, ended: Callable[[float], bool]) -> None:
    """Sessions are written once, read often, half of the time from the replica."""
    random, visitors = Random(1), Zipf(3_000, 0.8)
    with closing(redis.Redis(port=primary.port)) as writer, closing(redis.Redis(port=replica.port)) as reader:
        while not ended(0.02):
            with suppress(redis.RedisError):
                key = f"session:{visitors.draw(random):05d}"
                if (writer if random.random() < 0.5 else reader).get(key) is None:
                    writer.set(key, "s" * 200, ex=900)


def _browse(catalog: list[Server], ended: Callable[[float], bool]) -> None:
    """Pages of a catalog; one of them is everybody's first."""
    random, pages = Random(2), Zipf(2_000, 1.0)
    client: RedisCluster | None = None
    while not ended(0.01):
        try:
            client = client or RedisCluster(host="127.0.0.1", port=catalog[0].port, socket_timeout=2)
            key = f"page:{pages.draw(random)}"
            if client.get(key) is None:
                client.set(key, "p" * 500, ex=600)
        except (redis.RedisError, RedisClusterException):
            ended(0.3)  # it is not ready yet
    if client:
        client.close()


def _queue(queue: Server, ended: Callable[[float], bool]) -> None:
    """Jobs come and go."""
    with closing(redis.Redis(port=queue.port)) as client:
        n = 0
        while not ended(0.02):
            n += 1
            with suppress(redis.RedisError):
                client.lpush("jobs:emails", f"order {n}")
                client.incr(f"jobs:sent:{n // 500}")
                client.rpop("jobs:emails")


def _maintain(shop: Server, ended: Callable[[float], bool]) -> None:
    """What happens now and then: saves, rewrites, slow commands, a mistake, and a write for which memory is short."""
    n = 0
    with closing(redis.Redis(port=shop.port)) as client:
        while not ended(20 if n else 1):
            n += 1
            for command in (["BGSAVE"] if n % 2 else ["BGREWRITEAOF"], ["DEBUG", "SLEEP", "0.02"], ["INCR", "orders"]):
                with suppress(redis.RedisError):
                    client.execute_command(*command)
            if n % 3 == 1:
                pipe = client.pipeline(transaction=False)
                for limit in ("1mb", CACHE["maxmemory"]):
                    pipe.config_set("maxmemory", limit)
                    pipe.set("report:daily", "r")
                with suppress(redis.RedisError):
                    pipe.execute(raise_on_error=False)
