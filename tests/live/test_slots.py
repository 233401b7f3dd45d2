"""CLUSTER SLOT-STATS of real cluster nodes: the busiest slots, found without a look at any key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import ROOT, wait_for

if TYPE_CHECKING:
    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

QUIET = {"enrich": {"enabled": False}, "keyspace": {"enabled": False}, "sampling": {"source": "off"}}
FAMILIES = ("keys", "cpu_seconds_total", "network_input_bytes_total", "network_output_bytes_total")
HOT = "15495"
"""The slot of the key `a`."""


def a_cluster_of_one(server: Server) -> Any:
    """Give all slots to one node; returns a client of it."""
    client: Any = server.client()
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_for(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), 20, "the cluster")
    for number in range(300):
        client.set(f"key:{number}", number)
    return client


def figures(exporter: Exporter, name: str) -> dict[str, float]:
    """One family of slots: by slot."""
    return {labels["slot"]: value for labels, value in exporter.metrics().get(f"redis_cluster_slot_{name}", [])}


def documented_user(server: Server) -> str:
    """The URL of the user that docs/operating.md describes for cluster nodes."""
    text = (ROOT / "docs" / "operating.md").read_text()
    everywhere, slots = (
        next(line for line in text.splitlines() if line.startswith("ACL SETUSER ") and right in line)
        for right in ("+monitor", "+cluster|slot-stats")
    )
    server.client().execute_command(*everywhere.replace("PASSWORD", "pw").split())
    server.client().execute_command(*slots.split())
    return f"redis://hotkey-exporter:pw@{server.addr}"


def hot(client: Any) -> None:
    """Much traffic on one key of the slot `HOT`."""
    pipe = client.pipeline(transaction=False)
    pipe.set("a", "x" * 100)
    for _ in range(5000):
        pipe.get("a")
    pipe.execute()


@pytest.mark.parametrize("kind", ["redis-8.10", "valkey-9.1"])
def test_the_busiest_slots_are_named(kind: str, start_server: StartServer, start_exporter: StartExporter) -> None:
    """The slot of a hot key leads by bytes, with its numbers as the server has them; few slots, and no error.

    A server that counts keys only, which is the default, is asked for nothing else until somebody switches that on.
    Valkey can do so while it runs.
    """
    later = kind == "valkey-9.1"
    switch = {"cluster-slot-stats-enabled": "no" if later else "yes"}
    server = start_server(kind, config={"cluster-enabled": "yes", **switch})
    client = a_cluster_of_one(server)
    hot(client)
    exporter = start_exporter(redis_url=documented_user(server), config=QUIET)
    if later:
        wait_for(lambda: figures(exporter, "keys"), 20, "the slots")
        assert len(figures(exporter, "keys")) == 10
        assert figures(exporter, "cpu_seconds_total") == {}
        client.config_set("cluster-slot-stats-enabled", "yes")
        hot(client)
    [[_, fields]] = client.execute_command("CLUSTER", "SLOT-STATS", "SLOTSRANGE", HOT, HOT)
    true = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    bytes_sent = true[b"network-bytes-out"]
    wait_for(lambda: figures(exporter, "network_output_bytes_total").get(HOT) == bytes_sent, 30, "the hot slot")
    found = {name: figures(exporter, name) for name in FAMILIES}
    sent = found["network_output_bytes_total"]
    assert max(sent, key=sent.__getitem__) == HOT
    assert found["keys"][HOT] == true[b"key-count"]
    assert found["cpu_seconds_total"][HOT] == pytest.approx(true[b"cpu-usec"] / 1e6)
    assert found["network_input_bytes_total"][HOT] == true[b"network-bytes-in"]
    assert all(1 <= len(slots) <= 50 for slots in found.values())
    asked = client.info("commandstats")["cmdstat_cluster|slot-stats"]
    assert (asked["rejected_calls"], asked["failed_calls"]) == (0, 0)
    assert f'redis_cluster_slot_keys{{slot="{HOT}"}}' in exporter.get("/scrape", params={"target": server.addr}).text


def test_without_the_right(start_server: StartServer, start_exporter: StartExporter) -> None:
    """Who may not ask is refused once and told once; all other statistics of the cluster are there."""
    server = start_server("valkey-9.1", config={"cluster-enabled": "yes"})
    client = a_cluster_of_one(server)
    client.execute_command("ACL", "SETUSER", "watcher", "on", ">pw", "~*", "+@all", "-cluster|slot-stats")
    exporter = start_exporter(redis_url=f"redis://watcher:pw@{server.addr}", config=QUIET)
    wait_for(lambda: "stats.refused" in exporter.log, 20, "the refusal")
    refused = client.info("commandstats")["cmdstat_cluster|slot-stats"]["rejected_calls"]
    asked = client.info("commandstats")["cmdstat_cluster|info"]["calls"]
    wait_for(lambda: client.info("commandstats")["cmdstat_cluster|info"]["calls"] > asked, 40, "another turn")
    assert refused == client.info("commandstats")["cmdstat_cluster|slot-stats"]["rejected_calls"] == 1
    assert exporter.log.count("CLUSTER SLOT-STATS") == 1
    assert figures(exporter, "keys") == {}
    assert "redis_cluster_slots_ok" in exporter.metrics()
