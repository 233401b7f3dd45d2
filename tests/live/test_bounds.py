"""Everything is bounded: memory, labels, what a huge value can do, and where a secret can appear."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import redis

from tests.live.test_faults import sampled
from tests.servers import wait_for

if TYPE_CHECKING:
    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

MEBIBYTE = 1 << 20


def settled(exporter: Exporter) -> int:
    """RSS of all processes after a few scrapes."""
    for _ in range(20):
        exporter.metrics()
    return exporter.rss()


def test_an_idle_daemon_is_small(redis_server: Server, exporter: Exporter) -> None:
    """RSS of all its processes, idle, after scrapes: at most 75 MB."""
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    for path in ("/", "/health/redis", "/api/v1/hotkeys", "/api/v1/status"):
        assert exporter.get(path).status_code == 200
    assert settled(exporter) <= 75_000_000


def test_huge_values_and_long_keys_pass_by(redis_server: Server, exporter: Exporter) -> None:
    """64 MB values, 1 MB keys and thousands of short-lived clients: RSS grows by at most 16 MB, sampling goes on."""
    client = redis_server.client(socket_timeout=60)
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    client.set("warm", "up")
    before = settled(exporter)
    value, binary = b"v" * (64 * MEBIBYTE), os.urandom(16 * MEBIBYTE)
    for n in range(3):
        client.set(f"huge:{n}", value)
        client.set(f"binary:{n}", binary)
    for n in range(30):
        client.get(b"%d:" % n + b"k" * MEBIBYTE)
    for n in range(2000):
        with redis.Redis(host="127.0.0.1", port=redis_server.port) as short:
            short.get(f"client:{n % 50}")
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    grown = settled(exporter) - before
    assert grown <= 16 * MEBIBYTE, f"grew by {grown / MEBIBYTE:.1f} MiB"
    bursts = {labels["outcome"]: value for labels, value in exporter.metrics()["redis_sampling_bursts_total"]}
    assert bursts["bytes"] + bursts["time"] + bursts["error"] >= 1
    labels = [labels["key"] for labels, _ in exporter.metrics()["redis_hotkey_accesses_per_second"]]
    assert all(len(label) <= 128 for label in labels)


SECRETS = ("val-5ecret", "auth-5ecret", "eval-5ecret", "url-5ecret", "hello-5ecret")


def test_no_secret_is_ever_shown(start_server: StartServer, start_exporter: StartExporter) -> None:
    """A secret as value, AUTH, HELLO AUTH, EVAL argument or in the URL: nowhere in logs, metrics, API, pages."""
    server = start_server(password="url-5ecret")
    exporter = start_exporter("--debug", redis_url=server.url)
    client = server.client()
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    for _ in range(60):
        client.set("plain", "val-5ecret")
        client.eval("return ARGV[1]", 0, "eval-5ecret")
        client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, "scripted", "eval-5ecret")
        for refused in (("AUTH", "auth-5ecret"), ("HELLO", "2", "AUTH", "default", "hello-5ecret")):
            try:
                client.execute_command(*refused)
            except redis.RedisError:
                client.connection_pool.disconnect()
    wait_for(lambda: "plain" in exporter.get("/metrics").text, 5, "the key to be shown")
    server.kill()
    wait_for(lambda: exporter.metrics()["redis_up"][0][1] == 0, 5, "the outage")
    pages = ("/metrics", "/", "/health", "/health/redis", "/health/redis-alerts", "/api/v1/hotkeys", "/api/v1/status")
    shown = exporter.log + "".join(exporter.get(page).text for page in pages)
    assert [secret for secret in SECRETS if secret in shown] == []
