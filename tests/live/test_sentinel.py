"""Sentinel: the exporter follows the primary, whoever of the Sentinels is alive, and shows no figure of the old one."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.sentinels import MASTER, Group, SentinelServer
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer


def config(group: Group, **more: Any) -> dict[str, Any]:
    """A target that is found by all Sentinels of the group."""
    sentinel = {"master": MASTER, "nodes": [one.addr for one in group.sentinels], **more}
    return {"targets": [{"name": "main", "topology": "sentinel", "sentinel": sentinel}]}


@contextmanager
def traffic(servers: list[Server]) -> Iterator[None]:
    """One key is read all the time on every one of these servers that answers."""
    stop = threading.Event()

    def load(server: Server) -> None:
        client = redis.Redis(port=server.port, socket_timeout=0.5)
        while not stop.wait(0.005):
            try:
                client.get("hot:key")
            except redis.RedisError:
                stop.wait(0.1)
        client.close()

    threads = [threading.Thread(target=load, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def hot(exporter: Exporter) -> set[str]:
    """The nodes with a figure for the hot key."""
    samples = exporter.metrics().get("redis_hotkey_accesses_per_second", [])
    return {labels["addr"] for labels, _ in samples if labels["key"] == "hot:key"}


def follows(exporter: Exporter, old: Server, new: Server, since: float) -> float:
    """Seconds until the new primary's figures are there; none of the old one's may be left after three."""
    while new.addr not in hot(exporter):
        if time.monotonic() - since > 3:
            assert old.addr not in hot(exporter)
        assert time.monotonic() - since < 30, exporter.log
        time.sleep(0.05)
    took = time.monotonic() - since
    wait_for(lambda: old.addr not in hot(exporter), max(0.1, 3 - took), "the old figures to be withdrawn")
    return took


@pytest.mark.parametrize("fault", ["failover", "killed", "frozen"])
def test_sampling_moves_with_the_primary(start_server: StartServer, start_exporter: StartExporter, fault: str) -> None:
    """At most 5 s after the Sentinels' switch the new primary is sampled; figures of the old one are gone after 3 s."""
    with Group(start_server) as group, traffic(group.servers):
        old, new = group.servers
        exporter = start_exporter(config=config(group))
        wait_for(lambda: hot(exporter) == {old.addr}, 15, "the primary to be sampled, and only it")
        if fault == "failover":
            group.sentinels[0].client.execute_command("SENTINEL", "FAILOVER", MASTER)
        elif fault == "killed":
            old.kill(signal.SIGKILL)
        else:
            old.suspend()
        wait_for(lambda: group.switched(old), 20, "the Sentinels to switch")
        took = follows(exporter, old, new, time.monotonic())
        print(f"{fault}: sampled on the new primary {took:.2f} s after the switch")
        assert took <= 5
        skips = exporter.metrics()["redis_sampling_skips_total"]
        assert any(labels["addr"] == old.addr for labels, _ in skips)


def test_two_of_three_sentinels_dead(start_server: StartServer, start_exporter: StartExporter) -> None:
    """With one Sentinel dead and one that hangs, the primary is found in 2 s, with its group and its replica."""
    with Group(start_server) as group:
        dead, hung, _ = group.sentinels
        dead.process.kill()
        dead.process.wait()
        hung.process.send_signal(signal.SIGSTOP)
        try:
            exporter = start_exporter(config=config(group))
            began = time.monotonic()
            wait_for(lambda: len(exporter.metrics().get("redis_node_info", [])) == 2, 10, "both nodes")
            assert time.monotonic() - began <= 2
            roles = {labels["addr"]: labels["role"] for labels, _ in exporter.metrics()["redis_node_info"]}
            assert roles == {group.servers[0].addr: "master", group.servers[1].addr: "slave"}
            groups = {labels["replication_group"] for labels, _ in exporter.metrics()["redis_node_info"]}
            assert groups == {MASTER}
        finally:
            hung.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("lie", ["the replica", "a stranger"])
def test_a_sentinel_lies(start_server: StartServer, start_exporter: StartExporter, lie: str) -> None:
    """The first Sentinel names another server, even one that says it is a primary; in 2 s the right one is found."""
    with Group(start_server) as group:
        named = group.servers[1] if lie == "the replica" else start_server()
        liar = SentinelServer(named.port, 1)
        try:
            wait_for(lambda: answers(liar), 10, "the liar")
            settings = config(group)
            settings["targets"][0]["sentinel"]["nodes"].insert(0, liar.addr)
            exporter = start_exporter(config=settings)
            began = time.monotonic()
            wait_for(lambda: len(exporter.metrics().get("redis_node_info", [])) == 2, 10, "both nodes")
            assert time.monotonic() - began <= 2
            roles = {labels["addr"]: labels["role"] for labels, _ in exporter.metrics()["redis_node_info"]}
            assert roles == {group.servers[0].addr: "master", group.servers[1].addr: "slave"}
            wait_for(lambda: exporter.metrics().get("redis_sampling_source_info"), 5, "what is sampled")
            sources = {one["addr"]: one["source"] for one, _ in exporter.metrics()["redis_sampling_source_info"]}
            assert sources.get(group.servers[1].addr) in {None, "none"}
        finally:
            liar.stop()


def answers(sentinel: SentinelServer) -> bool:
    """Whether a Sentinel has begun to answer."""
    try:
        return bool(sentinel.primary())
    except redis.RedisError:
        return False


def test_the_sentinels_have_credentials_of_their_own(
    start_server: StartServer, start_exporter: StartExporter, tmp_path: Path
) -> None:
    """Sentinels that want a password get theirs, servers that want none get none; without it the reason is told."""
    secret = tmp_path / "secret"
    secret.write_text("s3ntinel-pw")
    with Group(start_server, password="s3ntinel-pw") as group:
        exporter = start_exporter(config=config(group))
        wait_for(lambda: "redis_down_info" in exporter.metrics(), 10, "the refusal")
        assert {labels["reason"] for labels, _ in exporter.metrics()["redis_down_info"]} == {"auth"}
        exporter.configure(config(group, password_file=str(secret)))
        exporter.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(exporter.metrics().get("redis_node_info", [])) == 2, 10, "both nodes")
        ups = {labels["addr"]: value for labels, value in exporter.metrics()["redis_up"]}
        assert ups == {server.addr: 1.0 for server in group.servers}
        assert "s3ntinel-pw" not in exporter.log
