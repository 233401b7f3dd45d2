"""Several exporters on one server, replicas in the place of primaries, and streams that are not what they seem."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.meanwhile import meanwhile
from tests.proxies import Proxy
from tests.sentinels import MASTER, Group
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer


@contextmanager
def traffic(server: Server) -> Iterator[None]:
    """One key is read and one is written, some hundred times a second."""
    stop = threading.Event()

    def load() -> None:
        client = server.client()
        while not stop.wait(0.005):
            client.get("read:key")
            client.set("written:key", "value")

    with meanwhile(load, stop):
        yield


def sources(exporter: Exporter) -> dict[str, str]:
    """Why each node is sampled as it is, or not."""
    return {labels["addr"]: labels["reason"] for labels, _ in exporter.metrics()["redis_sampling_source_info"]}


def keys(exporter: Exporter) -> dict[str, set[str]]:
    """The nodes with a figure for each key."""
    found: dict[str, set[str]] = {}
    for labels, _ in exporter.metrics().get("redis_hotkey_accesses_per_second", []):
        found.setdefault(labels["key"], set()).add(labels["addr"])
    return found


@pytest.mark.parametrize("end", [signal.SIGTERM, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_the_second_exporter_stands_by(
    redis_server: Server, start_exporter: StartExporter, end: signal.Signals
) -> None:
    """Of two exporters one samples; the other says why it does not, and takes over when the first ends or hangs."""
    first = start_exporter(redis_url=redis_server.url)
    wait_for(lambda: sources(first)[redis_server.addr] == "full", 10, "the first to sample")
    second = start_exporter(redis_url=redis_server.url)
    with traffic(redis_server):
        wait_for(lambda: sources(second)[redis_server.addr] == "standby", 20, "the second to stand by")
        wait_for(lambda: keys(first).keys() >= {"read:key", "written:key"}, 10, "figures of the first")
        assert keys(second) == {}
        assert sources(first)[redis_server.addr] == "full"
        skips = {labels["reason"]: value for labels, value in second.metrics()["redis_sampling_skips_total"]}
        assert skips["standby"] > 0
        if end is signal.SIGTERM:
            first.stop()
        else:
            first.process.send_signal(end)
        try:
            wait_for(lambda: keys(second).keys() >= {"read:key"}, 40, "the second to take over")
        finally:
            if end is signal.SIGSTOP:
                first.process.send_signal(signal.SIGCONT)
        if end is signal.SIGSTOP:
            wait_for(lambda: sources(second)[redis_server.addr] == "standby", 20, "the first to be back")


@pytest.mark.slow
def test_both_sample_where_that_is_wanted(redis_server: Server, start_exporter: StartExporter) -> None:
    """`beside_others` neither waits nor makes anybody wait."""
    one = start_exporter(redis_url=redis_server.url, env={"HOTKEY_EXPORTER_SAMPLING__BESIDE_OTHERS": "true"})
    other = start_exporter(redis_url=redis_server.url)
    with traffic(redis_server):
        for exporter in (one, other):
            wait_for(lambda exporter=exporter: "read:key" in keys(exporter), 10, "both to sample")  # type: ignore[misc]


def test_a_silent_stream_is_a_fault(redis_server: Server, start_exporter: StartExporter) -> None:
    """A stream without the traffic of the node gives no figures and says so, until the node's traffic is back."""
    with traffic(redis_server), Proxy(redis_server.port) as proxy:
        exporter = start_exporter(redis_url=proxy.url)
        wait_for(lambda: "read:key" in keys(exporter), 10, "figures")
        wait_for(lambda: "redis_sampling_canary_lag_seconds" in exporter.metrics(), 10, "a canary")
        proxy.blind = True
        wait_for(lambda: "silent" in sources(exporter).values(), 30, "the silence to be noticed")
        assert keys(exporter) == {}
        samples = exporter.metrics()
        assert [value for _, value in samples["redis_up"]] == [1]
        assert [value for _, value in samples["redis_sampling_up"]] == [0]
        assert {labels["reason"]: value for labels, value in samples["redis_sampling_skips_total"]}["silent"] > 0
        proxy.blind = False
        wait_for(lambda: "read:key" in keys(exporter), 20, "figures again")


@pytest.mark.slow
def test_a_replica_in_the_place_of_the_primary(start_server: StartServer, start_exporter: StartExporter) -> None:
    """With `prefer_replica` writes are seen at the replica, reads nowhere; without a replica, at the primary."""
    with Group(start_server) as group, traffic(group.servers[0]):
        primary, replica = group.servers
        exporter = start_exporter(config=config(group))
        wait_for(
            lambda: keys(exporter) == {"written:key": {replica.addr}}, 20, "the writes at the replica, and only they"
        )
        assert sources(exporter) == {primary.addr: "standby", replica.addr: "full"}
        roles = {labels["addr"]: labels["role"] for labels, _ in exporter.metrics()["redis_node_info"]}
        assert roles == {primary.addr: "master", replica.addr: "slave"}
        replica.kill()
        wait_for(
            lambda: keys(exporter).get("read:key") == {primary.addr}, 15, "the primary in the place of the replica"
        )
        replica.start()
        wait_for(lambda: keys(exporter) == {"written:key": {replica.addr}}, 20, "the replica once more")


def config(group: Group) -> dict[str, Any]:
    """The group, sampled at its replica, with a short window."""
    sentinel = {"master": MASTER, "nodes": [one.addr for one in group.sentinels]}
    sampling = {"prefer_replica": True, "window": "10s"}
    return {"targets": [{"name": "main", "topology": "sentinel", "sentinel": sentinel}], "sampling": sampling}
