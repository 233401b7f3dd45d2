"""From a fault to a message: real Redis, exporter, Prometheus and Alertmanager, and the files that users deploy."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.alerts.pipeline import pipeline
from tests.meanwhile import meanwhile
from tests.servers import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.alerts.pipeline import Message, Pipeline
    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

FAST, SLOWER = 30, 5
"""How many times as fast waits and intervals pass: a minute is two seconds, or twelve."""
QUICK = {"enrich": {"enabled": False}, "keyspace": {"enabled": False}}


def pair(start_server: StartServer) -> tuple[Server, Server]:
    """A primary and its replica, whose link is up."""
    primary = start_server(config={"repl-diskless-sync-delay": "0"})
    replica = start_server(config={"replicaof": f"127.0.0.1 {primary.port}"})
    linked(replica)
    return primary, replica


def linked(replica: Server) -> None:
    """Wait until a replica has its master."""
    wait_for(lambda: replica.client().info("replication")["master_link_status"] == "up", 20, "the replica's link")


def watched(primary: Server, replica: Server, **more: Any) -> dict[str, Any]:
    """A configuration with both servers, each a target of its own."""
    targets = [{"name": "shop", "url": primary.url}, {"name": "copy", "url": replica.url}]
    return {**QUICK, "targets": targets, **more}


@contextmanager
def hot_key(server: Server, key: str) -> Iterator[None]:
    """A thread that reads one key a hundred times a second, six times the threshold."""
    stop, client = threading.Event(), server.client()

    def read() -> None:
        while not stop.wait(0.01):
            client.get(key)

    with meanwhile(read, stop):
        yield


@pytest.mark.timeout(240)
def test_a_server_that_ends_pages_and_its_replica_is_silent(
    start_server: StartServer, start_exporter: StartExporter, tmp_path: Path
) -> None:
    """The page says who, why and what to do, and that the replica lost its master is not told; then it is resolved."""
    primary, replica = pair(start_server)
    exporter = start_exporter(config=watched(primary, replica), wait="").wait_until(timeout=60)
    with pipeline(tmp_path, exporter.port, FAST, 1) as alerting:
        webhook = alerting.webhook
        assert webhook.wait("Watchdog").receiver == "dead-mans-switch"
        primary.kill()
        page = webhook.wait("RedisDown")
        assert (page.receiver, page.labels["addr"]) == ("page", primary.addr)
        assert page.annotations["description"].endswith("is down for the exporter: refused.")
        assert page.annotations["runbook_url"].endswith("/RedisDown.md")
        assert f"var-addr={primary.addr.replace(':', '%3A')}" in page.annotations["dashboard_url"]
        wait_for(lambda: "RedisReplicaLinkDown" in alerting.suppressed(), 30, "the replica's alert to be inhibited")
        assert "RedisReplicaLinkDown" not in [name for _, name, _ in webhook.heard()]
        primary.start()
        assert webhook.wait("RedisDown", "resolved").receiver == "page"


@dataclass(frozen=True, slots=True)
class Scene:
    """A pair of servers, one more from which a cache is warmed, their exporter, and the way of its alerts."""

    primary: Server
    replica: Server
    origin: Server
    exporter: Exporter
    alerting: Pipeline


def replica_cut_off(scene: Scene) -> None:
    """A ticket for the replica, resolved when it is linked again."""
    alerting, replica = scene.alerting, scene.replica
    since = time.monotonic()
    replica.client().execute_command("REPLICAOF", "127.0.0.1", free_port())
    told = alerting.webhook.wait("RedisReplicaLinkDown", since=since)
    _in_time(alerting, told, since, "ticket")
    replica.client().execute_command("REPLICAOF", "127.0.0.1", scene.primary.port)
    linked(replica)
    alerting.webhook.wait("RedisReplicaLinkDown", "resolved", since=since, timeout=150)


def hot(scene: Scene) -> None:
    """A ticket for the key, in time from when the exporter is sure of it: the low end of an interval has to rise."""
    alerting, begun = scene.alerting, time.monotonic()

    def sure() -> bool:
        active = scene.exporter.get("/health/redis-alerts").json()["alerts"]
        return any(one["key"] == "sale" and one["severity"] == "warning" for one in active)

    with hot_key(scene.primary, "sale"):
        wait_for(sure, 60, "the key to be over the threshold")
        since = time.monotonic()
        told = alerting.webhook.wait("RedisHotKey", since=begun, severity="warning", key="sale")
        _in_time(alerting, told, since, "ticket")
    alerting.webhook.wait("RedisHotKey", "resolved", since=begun, timeout=200, key="sale", severity="warning")


def source_down(scene: Scene) -> None:
    """A ticket for the warming job, resolved when its source is back."""
    alerting, exporter, origin = scene.alerting, scene.exporter, scene.origin

    def failed() -> float:
        runs = exporter.metrics()["redis_cache_warming_runs_total"]
        return sum(count for labels, count in runs if labels["outcome"] == "failed")

    origin.kill()
    begun = time.monotonic()
    wait_for(failed, 30, "a run to fail")
    # The runs that succeeded leave the rule's range first, of half an hour, here half a minute.
    told = alerting.webhook.wait("CacheWarmingFailed", since=begun, timeout=200)
    _in_time(alerting, told, begun, "ticket", more=30 + 3)
    origin.start()
    alerting.webhook.wait("CacheWarmingFailed", "resolved", since=begun, timeout=200)


def stopped(scene: Scene) -> None:
    """One page for the server, and nothing of what follows from it."""
    alerting, primary, since = scene.alerting, scene.primary, time.monotonic()
    primary.kill()
    _in_time(alerting, alerting.webhook.wait("RedisDown", since=since), since, "page")
    inhibited = {"RedisReplicaLinkDown", "RedisAvailabilityBurn"}
    wait_for(lambda: inhibited <= alerting.suppressed(), 120, "what the page says already to be inhibited")
    assert {name for _, name, _ in alerting.webhook.heard(since)} == {"RedisDown"}
    primary.start()
    linked(scene.replica)
    alerting.webhook.wait("RedisDown", "resolved", since=since, timeout=60)


def exporter_killed(scene: Scene) -> None:
    """One page for the exporter."""
    alerting, exporter, since = scene.alerting, scene.exporter, time.monotonic()
    exporter.kill()
    _in_time(alerting, alerting.webhook.wait("HotkeyExporterDown", since=since), since, "page")
    exporter.restart()
    alerting.webhook.wait("HotkeyExporterDown", "resolved", since=since, timeout=60)


def _in_time(alerting: Pipeline, told: Message, since: float, receiver: str, more: float = 0) -> None:
    """Three intervals and the `for`, and for a ticket the 30 s that it may wait for others of its kind."""
    name = told.labels["alertname"]
    wait = {"page": 0, "ticket": 30 / alerting.factor}[receiver]
    bar = 3 * alerting.scrape_seconds + alerting.wait_seconds(name) + wait + more
    print(f"{name}: told after {told.at - since:.1f} s; the bar is {bar:.1f} s")
    assert told.receiver == receiver
    assert told.at - since <= bar, (name, told.at - since, bar)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", [replica_cut_off, hot, source_down, stopped, exporter_killed])
def test_every_fault_is_told_in_time_and_resolved(
    fault: Callable[[Scene], None], start_server: StartServer, start_exporter: StartExporter, tmp_path: Path
) -> None:
    """Within three intervals and the `for`, five times as fast as what is deployed."""
    primary, replica = pair(start_server)
    origin = start_server()
    origin.client().mset({f"product:{n}": n for n in range(100)})
    job = {"name": "products", "source": {"type": "redis", "url": origin.url, "match": "product:*"}, "ttl": "1h"}
    warming = {"jobs": [{**job, "target": "shop", "every": "3s"}]}
    exporter = start_exporter(config=watched(primary, replica, warming=warming), wait="").wait_until(timeout=60)
    with pipeline(tmp_path, exporter.port, SLOWER, 3) as alerting:
        fault(Scene(primary, replica, origin, exporter, alerting))
