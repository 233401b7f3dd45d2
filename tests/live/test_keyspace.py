"""Looking at the keys of real servers: right, cheap, and without a trace in the server's own counters."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import KINDS, wait_for

if TYPE_CHECKING:
    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

QUICK = {"interval": "1s", "server_share": "20%", "step": "1ms"}
QUIET = {"enrich": {"enabled": False}, "sampling": {"source": "off"}, "keys": {"mask": []}}


def family(exporter: Exporter, name: str, label: str = "key_group") -> dict[str, float]:
    """One family of database 0 by one of its labels."""
    return {labels[label]: value for labels, value in exporter.metrics().get(name, []) if labels["db"] == "0"}


def looks(exporter: Exporter) -> float:
    """How many looks were finished."""
    samples = exporter.metrics().get("redis_keyspace_looks_total", [])
    return samples[0][1] if samples else 0.0


def fill(server: Server, shares: dict[str, int], seed: int = 5) -> dict[str, list[int]]:
    """Strings of skewed sizes in groups of skewed sizes; returns for each group its number of keys and their bytes."""
    chance = random.Random(seed)
    client: Any = server.client(socket_timeout=60)
    for name, count in shares.items():
        for start in range(0, count, 5000):
            pipe = client.pipeline(transaction=False)
            for n in range(start, min(count, start + 5000)):
                pipe.set(f"{name}:{n}", "x" * int(chance.lognormvariate(4, 1)))
            pipe.execute()
    truth = {}
    for name, count in shares.items():
        total = 0
        for start in range(0, count, 5000):
            pipe = client.pipeline(transaction=False)
            for n in range(start, min(count, start + 5000)):
                pipe.memory_usage(f"{name}:{n}")
            total += sum(pipe.execute())
        truth[f"{name}:*"] = [count, total]
    return truth


def skewed(keys: int) -> dict[str, int]:
    """Eight groups, each half of the one before."""
    whole = sum(2.0**-n for n in range(8))
    return {f"group{chr(97 + n)}": int(keys * 2.0**-n / whole) for n in range(8)}


@pytest.mark.parametrize("kind", ["redis-7.0", "valkey-9.1"])
def test_what_is_there_is_found(kind: str, start_server: StartServer, start_exporter: StartExporter) -> None:
    """On Redis and Valkey: groups of two databases, the largest keys of each type, and who expires."""
    server = start_server(kind)
    client: Any = server.client()
    for n in range(300):
        client.set(f"user:{n}:cart", "x" * 100, px=600_000 if n % 2 else None)
    client.rpush("queue:mails", *range(3000))
    client.hset("profile:1", mapping={str(n): "y" * 50 for n in range(500)})
    client.set("banner", "z" * 100_000)
    other: Any = server.client(db=7)
    other.set("user:1:cart", "x")
    exporter = start_exporter(redis_url=server.url, config={**QUIET, "keyspace": QUICK})
    wait_for(lambda: looks(exporter) >= 1, 20, "a look")
    assert family(exporter, "redis_key_group_count")["user:*:cart"] == 300
    counts = {(s[0]["db"], s[0]["key_group"]): s[1] for s in exporter.metrics()["redis_key_group_count"]}
    assert counts["7", "user:*:cart"] == 1
    memory = sum(client.memory_usage(f"user:{n}:cart") for n in range(300))
    assert family(exporter, "redis_key_group_memory_usage_bytes")["user:*:cart"] == memory
    assert 0.2 < family(exporter, "redis_key_group_expiring_ratio")["user:*:cart"] < 0.8
    lives = {s[0]["percentile"]: s[1] for s in exporter.metrics()["redis_key_group_ttl_seconds"]}
    assert 500 < lives["50"] <= 600
    types = {s[0]["key"]: s[0]["type"] for s in exporter.metrics()["redis_bigkey_memory_bytes"]}
    assert (types["banner"], types["queue:mails"], types["profile:1"]) == ("string", "list", "hash")
    assert family(exporter, "redis_bigkey_memory_bytes", "key")["banner"] == client.memory_usage("banner")


def test_looking_leaves_no_trace(any_server: Server, start_exporter: StartExporter) -> None:
    """On every server, after the types of the largest keys are known: looks move no hits, misses, errors and no LFU."""
    leaves_no_trace("allkeys-lfu", any_server, start_exporter)


def test_looking_lets_keys_idle(redis_server: Server, start_exporter: StartExporter) -> None:
    """The same for the idle time that LRU goes by."""
    leaves_no_trace("allkeys-lru", redis_server, start_exporter)


def leaves_no_trace(policy: str, server: Server, start_exporter: StartExporter) -> None:
    """Compare the server's own counters before and after three looks that ask for no lives."""
    client: Any = server.client()
    client.config_set("maxmemory", "64mb")
    client.config_set("maxmemory-policy", policy)
    for n in range(500):
        client.set(f"user:{n}", "x")
    word = "freq" if policy.endswith("lfu") else "idletime"
    exporter = start_exporter(redis_url=server.url, config={**QUIET, "keyspace": {**QUICK, "ttl_samples": 0}})
    wait_for(lambda: looks(exporter) >= 1, 20, "a look")
    watched: Any = server.client()
    frequency, began = [watched.object(word, f"user:{n}") for n in range(50)], time.monotonic()
    stats, errors = client.info("stats"), client.info("errorstats")
    wait_for(lambda: looks(exporter) >= 4, 40, "three more looks")
    after = client.info("stats")
    assert (after["keyspace_hits"], after["keyspace_misses"]) == (stats["keyspace_hits"], stats["keyspace_misses"])
    assert client.info("errorstats") == errors
    now = [watched.object(word, f"user:{n}") for n in range(50)]
    if word == "freq":
        assert all(one <= before for one, before in zip(now, frequency, strict=True))
    else:
        idle = int(time.monotonic() - began)
        assert all(one >= before + idle - 2 for one, before in zip(now, frequency, strict=True))


def test_our_hits_are_left_out(redis_server: Server, start_exporter: StartExporter) -> None:
    """Lives and types cost the server hits of ours, and the published ratio stays the application's."""
    client: Any = redis_server.client()
    pipe = client.pipeline(transaction=False)
    for n in range(2000):
        pipe.set(f"user:{n}", "x", px=600_000)
    for _ in range(200):
        pipe.get("absent")
    pipe.execute()
    client.config_resetstat()
    exporter = start_exporter(redis_url=redis_server.url, config={**QUIET, "keyspace": QUICK})
    wait_for(lambda: looks(exporter) >= 1, 20, "a look")
    for _ in range(50):
        client.get("user:1")
        client.get("absent")
    wait_for(lambda: looks(exporter) >= 3, 30, "two more looks")
    assert client.info("stats")["keyspace_hits"] > 150
    ratios = {labels["window"]: value for labels, value in exporter.metrics()["redis_keyspace_hit_ratio"]}
    assert ratios["5m"] == pytest.approx(0.5, abs=0.02)


def test_extrapolated_groups(redis_server: Server, start_exporter: StartExporter) -> None:
    """Eight skewed groups: while the look grows the intervals cover the truth; at its end the figures are the truth."""
    truth = fill(redis_server, skewed(25_000))
    config = {**QUIET, "keyspace": {"server_share": "2%", "interval": "1h"}}
    exporter = start_exporter(redis_url=redis_server.url, config=config)
    covered = tried = 0
    while looks(exporter) < 1:
        metrics = exporter.metrics()
        ratio = metrics.get("redis_keyspace_sampled_ratio", [({}, 1.0)])[0][1]
        if 0.1 < ratio < 1:
            values = {
                name: {labels["key_group"]: value for labels, value in metrics[f"redis_key_group_{name}"]}
                for name in ("count_low", "count_high", "memory_usage_bytes_low", "memory_usage_bytes_high")
            }
            for group, (count, size) in truth.items():
                tried += 2
                covered += values["count_low"][group] <= count <= values["count_high"][group]
                low, high = values["memory_usage_bytes_low"][group], values["memory_usage_bytes_high"][group]
                covered += low <= size <= high
        time.sleep(0.1)
    assert tried
    assert covered >= 0.85 * tried, f"{covered} of {tried}"  # the same sample is read several times
    for place, name in enumerate(("redis_key_group_count", "redis_key_group_memory_usage_bytes")):
        assert family(exporter, name) == {group: values[place] for group, values in truth.items()}


def test_every_bucket_of_a_cluster_node_is_visited(start_server: StartServer, start_exporter: StartExporter) -> None:
    """In cluster mode newer servers keep a table for each slot: a look still sees every key once."""
    for kind in ("redis-8.2", "valkey-9.1"):
        if KINDS[kind].binary is None:
            continue
        server = start_server(kind, config={"cluster-enabled": "yes"})
        client: Any = server.client()
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        wait_for(lambda client=client: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), 10, "slots")
        for n in range(1000):
            client.set(f"user:{n}", "x")
            client.set(f"{{jobs}}:{n}", "x")
        exporter = start_exporter(redis_url=server.url, config={**QUIET, "keyspace": QUICK})
        wait_for(lambda exporter=exporter: looks(exporter) >= 1, 30, "a look")
        assert family(exporter, "redis_key_group_count") == {"user:*": 1000, "{jobs}:*": 1000}
        exporter.stop()


def test_a_large_database_is_sampled(redis_server: Server, start_exporter: StartExporter) -> None:
    """With more keys than a look may see, looks go on where the last one stopped, and figures are extrapolated."""
    fill(redis_server, {"user": 6000, "cart": 2000})
    config = {**QUIET, "keyspace": {**QUICK, "max_keys": 1000}}
    exporter = start_exporter(redis_url=redis_server.url, config=config)
    wait_for(lambda: looks(exporter) >= 2, 30, "two looks")
    metrics = exporter.metrics()
    assert 0.1 < metrics["redis_keyspace_sampled_ratio"][0][1] < 0.3
    low, high = family(exporter, "redis_key_group_count_low"), family(exporter, "redis_key_group_count_high")
    assert low["user:*"] < family(exporter, "redis_key_group_count")["user:*"] < high["user:*"]
    assert family(exporter, "redis_key_group_count")["user:*"] == pytest.approx(6000, rel=0.15)


def test_without_the_right_to_scan(redis_server: Server, start_exporter: StartExporter) -> None:
    """Who may not SCAN gets the reason in a metric and one refusal in errorstats; everything else works."""
    client: Any = redis_server.client()
    client.set("key", "value")
    client.execute_command("ACL", "SETUSER", "watcher", "on", ">pw", "~*", "+@all", "-scan")
    exporter = start_exporter(redis_url=f"redis://watcher:pw@{redis_server.addr}", config={"keyspace": QUICK})

    def reason() -> list[str]:
        return [labels["reason"] for labels, _ in exporter.metrics().get("redis_keyspace_state_info", [])]

    wait_for(lambda: reason() == ["denied"], 10, "the reason")
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 2, 5, "two seconds in which nothing is tried again")
    assert client.info("errorstats")["errorstat_NOPERM"]["count"] == 1
    assert exporter.metrics()["redis_up"][0][1] == 1


def test_over_a_unix_socket_looking_is_no_traffic(start_server: StartServer, start_exporter: StartExporter) -> None:
    """Where MONITOR shows all clients alike, our looking still adds no access to any key."""
    server = start_server(unixsocket=True)
    client: Any = server.client()
    client.mset({f"user:{n}": "x" for n in range(200)})
    config = {"keyspace": QUICK, "keys": {"mask": []}, "sampling": {"window": "10s"}}
    exporter = start_exporter(redis_url=f"unix://{server.unixsocket}", config=config)
    wait_for(lambda: looks(exporter) >= 2, 30, "two looks")
    assert exporter.metrics()["redis_sampling_events_total"][0][1] > 0
    assert exporter.api_hotkeys()["hotkeys"] == []
