"""Side by side with Debian's redis_exporter on the same servers: what it has, `/scrape` has."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.parity import differing, families, lacking, series
from tests.servers import free_port, program, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

# What moves between two looks, or differs because each of the two exporters is a client itself.
RESTLESS = re.compile(
    r"redis_(exporter_.*|target_scrape_.*|last_key_groups_.*|connected_clients|mem_.*|memory_used_.*|allocator_.*|"
    r"client_recent_.*|start_time_seconds|latency_percentiles_.*|uptime_.*|.*repl_offset|connected_slave_.*|"
    r"master_last_io_.*|sentinel_master_last_.*|cluster_.*messages_.*)"
)


class Theirs:
    """Debian's redis_exporter as a process of its own."""

    def __init__(self) -> None:
        self._port = free_port()
        command = [program("prometheus-redis-exporter", "prometheus-redis-exporter"), "--redis.addr", "",
                   "--web.listen-address", f"127.0.0.1:{self._port}"]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def scrape(self, server: Server) -> bytes:
        """`/scrape` of a server."""
        url = f"http://127.0.0.1:{self._port}/scrape"
        return httpx.get(url, params={"target": f"redis://{server.addr}"}, trust_env=False).raise_for_status().content

    def answers(self) -> bool:
        """Whether it has started."""
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/health", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(5)


@pytest.fixture
def theirs() -> Iterator[Theirs]:
    """Debian's redis_exporter, running."""
    peer = Theirs()
    try:
        wait_for(peer.answers, 10, "redis_exporter")
        yield peer
    finally:
        peer.stop()


def fresh(exporter: Exporter, server: Server) -> bytes:
    """`/scrape` of a reading that was begun after this call, the answers to rarer questions included."""
    asked = time.time()

    def reading() -> bytes | None:
        body = exporter.get("/scrape", params={"target": server.addr}).raise_for_status().content
        found = series(body)
        taken = found.get(("redis_stats_last_success_timestamp_seconds", ()), 0.0)
        return body if taken > asked and ("redis_commands_processed_total", ()) in found else None

    return wait_for(reading, 10, "a fresh reading")


def compare(theirs: Theirs, exporter: Exporter, server: Server) -> bytes:
    """Fail where theirs has what ours lacks, or a value that stood still has another here; ours is returned.

    What is asked rarely may be 5 s old here, so a difference counts once it has lasted for longer.
    """
    deadline = time.monotonic() + 12
    while True:
        before = series(theirs.scrape(server))
        ours = fresh(exporter, server)
        peer = theirs.scrape(server)
        steady = {one: value for one, value in series(peer).items() if before.get(one) == value}
        assert len(steady) > 20
        problems = lacking(peer, ours) + differing(steady, series(ours), RESTLESS)
        if not problems or time.monotonic() > deadline:
            assert problems == []
            return ours


def test_standalone_after_load(theirs: Theirs, start_server: StartServer, start_exporter: StartExporter) -> None:
    """A server that has worked: commands, errors, expiring keys in several databases, spikes, a slow log."""
    server = start_server(
        "redis-7.0",
        config={"latency-monitor-threshold": "1", "slowlog-log-slower-than": "0", "enable-debug-command": "local"},
    )
    client: Any = server.client()
    for number in range(200):
        client.set(f"key:{number}", number, ex=1000 + number if number % 3 else None)
        client.get(f"key:{number * 2}")
    server.client(db=5).set("other", 1)
    with pytest.raises(Exception, match="WRONGTYPE"):
        client.lpush("key:1", 1)
    client.eval("return redis.call('get', KEYS[1])", 1, "key:1")
    client.execute_command("DEBUG", "SLEEP", "0.01")
    client.config_set("slowlog-log-slower-than", -1)
    client.config_set("latency-monitor-threshold", 0)
    ours = compare(theirs, start_exporter(redis_url=server.url), server)
    assert {"redis_errors_total", "redis_latency_spike_last", "redis_db_avg_ttl_seconds"} <= families(ours).keys()


def test_master_and_replica(theirs: Theirs, start_server: StartServer, start_exporter: StartExporter) -> None:
    """Both ends of a replication link."""
    master = start_server("redis-7.0", config={"repl-ping-replica-period": "1"})
    replica = start_server("redis-7.0", config={"replicaof": f"127.0.0.1 {master.port}"})
    master.client().set("key", "value")
    wait_for(lambda: replica.client().get("key") == b"value", 20, "the replica")
    config = {"targets": [{"name": "m", "url": master.url}, {"name": "r", "url": replica.url}]}
    exporter = start_exporter(config=config)
    assert "redis_connected_slave_lag_seconds" in families(compare(theirs, exporter, master))
    assert "redis_master_link_up" in families(compare(theirs, exporter, replica))


def test_sentinel(theirs: Theirs, start_server: StartServer, start_exporter: StartExporter) -> None:
    """A Sentinel with a quorum, and one that has lost its master's other Sentinels: even CKQUORUM's words agree."""
    master = start_server("redis-7.0")
    start_server("redis-7.0", config={"replicaof": f"127.0.0.1 {master.port}"})
    watched = {"sentinel monitor main": f"127.0.0.1 {master.port} 1"}
    lonely = {"sentinel monitor lonely": f"127.0.0.1 {master.port} 2"}
    first = start_server("redis-7.0", "--sentinel", config=watched)
    other = start_server("redis-7.0", "--sentinel", config=lonely)
    config = {"targets": [{"name": "a", "url": first.url}, {"name": "b", "url": other.url}],
              "sampling": {"source": "off"}}  # fmt: skip
    exporter = start_exporter(config=config)
    wait_for(lambda: first.client().info("sentinel")["master0"]["slaves"] == 1, 20, "the replica is known")
    assert "redis_sentinel_master_ckquorum_status" in families(compare(theirs, exporter, first))
    ours = compare(theirs, exporter, other)
    assert "redis_sentinel_master_setting_ckquorum" in families(ours)
    message = next(dict(labels)["message"] for name, labels in series(ours) if name.endswith("ckquorum_status"))
    assert message.startswith("NOQUORUM 1 usable Sentinels. ")


def test_cluster_node(theirs: Theirs, start_server: StartServer, start_exporter: StartExporter) -> None:
    """A node of a cluster that talks to another one."""
    first, second = (start_server("redis-7.0", config={"cluster-enabled": "yes"}) for _ in range(2))
    client: Any = first.client()
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    client.execute_command("CLUSTER", "MEET", "127.0.0.1", second.port)
    wait_for(lambda: b"cluster_known_nodes:2" in _cluster_info(first), 20, "the other node")
    wait_for(lambda: b"cluster_state:ok" in _cluster_info(first), 20, "the cluster")
    ours = compare(theirs, start_exporter(redis_url=first.url), first)
    assert "redis_cluster_stats_messages_ping_sent" in families(ours)
    assert [dict(labels)["db"] for name, labels in series(ours) if name == "redis_db_keys"] == ["db0"]


def _cluster_info(server: Server) -> bytes:
    text = server.client().execute_command("CLUSTER", "INFO")
    return str(text).encode() if isinstance(text, dict) else bytes(text)
