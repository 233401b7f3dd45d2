"""What a real server says of itself, as the real program shows it: complete, true, and without leaving a trace."""

from __future__ import annotations

import socket
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity import families, series
from tests.servers import wait_for
from tests.views.test_redis_families import theirs

if TYPE_CHECKING:
    from tests.parity import Series
    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

# Statistics only; readings as often as they may be, which is once a second where INFO takes 0.2 ms.
SILENT = {
    "HOTKEY_EXPORTER_STATS__INTERVAL": "200ms", "HOTKEY_EXPORTER_SAMPLING__SOURCE": "off",
    "HOTKEY_EXPORTER_ENRICH__ENABLED": "false", "HOTKEY_EXPORTER_KEYSPACE__ENABLED": "false",
}  # fmt: skip
NEW = {
    "redis-8.10": {
        "redis_active_clients", "redis_backup_in_progress", "redis_client_processing_pipeline_length",
        "redis_db_keys_with_expiring_items", "redis_expired_subkeys_total", "redis_memory_used_hash_templates_bytes",
        "redis_slowlog_commands_total", "redis_acl_access_denied_tls_cert_total", "redis_eventloop_cycles_total",
    },
    "valkey-9.1": {
        "redis_active_time_main_thread_seconds_total", "redis_acl_access_denied_db_total",
        "redis_commandlog_slow_length", "redis_commandlog_reply_larger_than", "redis_db_keys_with_expiring_items",
        "redis_replicas_waiting_psync", "redis_scripting_engine_info", "redis_tls_certificate_info",
    },
}  # fmt: skip


def scrape(exporter: Exporter, server: Server) -> bytes:
    """`/scrape` of a server."""
    return exporter.get("/scrape", params={"target": server.addr}).raise_for_status().content


def raw(server: Server, command: str) -> dict[str, str]:
    """INFO over a bare socket, which causes no error and no other command; field by field."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as wire, wire.makefile("rb") as stream:
        wire.sendall(f"{command}\r\n".encode())
        text = stream.read(int(stream.readline()[1:])).decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


@pytest.mark.parametrize("kind", NEW)
def test_newest_families(kind: str, start_server: StartServer, start_exporter: StartExporter) -> None:
    """On the newest servers every default family of redis_exporter's newest source is there."""
    server = start_server(kind)
    client: Any = server.client()
    client.hset("hash", "field", 1)
    with pytest.raises(Exception, match="WRONGTYPE"):
        client.get("hash")
    exporter = start_exporter(redis_url=server.url)
    wanted = {family.name for family in theirs() if family.when == "default"} | NEW[kind]
    wait_for(lambda: b"redis_commands_latencies_usec" in scrape(exporter, server), 10, "the first reading")
    assert wanted - families(scrape(exporter, server)).keys() == set()


def test_asking_leaves_no_trace(any_server: Server, start_exporter: StartExporter) -> None:
    """Readings later no hit, no miss and no error has been added, on any server."""
    leaves_no_trace(any_server, start_exporter, 4)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_asking_for_minutes_leaves_no_trace(redis_server: Server, start_exporter: StartExporter) -> None:
    """Nor have hundreds of readings."""
    leaves_no_trace(redis_server, start_exporter, 240)


def leaves_no_trace(any_server: Server, start_exporter: StartExporter, readings: int) -> None:
    """Compare what the server has counted before and after so many readings."""
    before = raw(any_server, "INFO ALL")
    exporter = start_exporter(redis_url=any_server.url, env=SILENT)
    count = ("redis_exporter_scrapes_total", ())
    wait_for(lambda: series(scrape(exporter, any_server)).get(count, 0) >= readings, 360, "the readings")
    after = raw(any_server, "INFO ALL")
    for field in ("keyspace_hits", "keyspace_misses", "total_error_replies", "evicted_keys", "expired_keys"):
        assert after.get(field) == before.get(field), field
    assert {name for name in after if name.startswith("errorstat_")} == {
        n for n in before if n.startswith("errorstat_")
    }
    ours = {name for name in after if name.startswith("cmdstat_")} - before.keys()
    assert not [name for name in ours if ",rejected_calls=0,failed_calls=0" not in after[name]]


def test_a_refused_right_is_tried_once(start_server: StartServer, start_exporter: StartExporter) -> None:
    """A user with INFO and PING only gets INFO's families; each refusal counted once, however many readings follow."""
    server = start_server("redis-7.0")
    client: Any = server.client()
    client.execute_command("ACL", "SETUSER", "narrow", "on", ">pw", "-@all", "+ping", "+info")
    url = f"redis://narrow:pw@{server.addr}"
    exporter = start_exporter(redis_url=url, env=SILENT)
    count = ("redis_exporter_scrapes_total", ())
    wait_for(lambda: series(scrape(exporter, server)).get(count, 0) >= 2, 10, "two readings")
    errors = raw(server, "INFO errorstats")
    wait_for(
        lambda: series(scrape(exporter, server)).get(count, 0) >= 9,
        30,
        "the next turn of what is rare",
    )
    assert raw(server, "INFO errorstats") == errors
    found = families(scrape(exporter, server)).keys()
    assert {"redis_memory_used_bytes", "redis_commands_total", "redis_latency_percentiles_usec"} <= found
    assert "redis_slowlog_length" not in found
    assert exporter.log.count("stats.refused") == 4


def test_the_hit_ratio_is_the_applications(start_server: StartServer, start_exporter: StartExporter) -> None:
    """90 hits in 100 reads are 0.9, whatever our own look-ups do; counters that begin again do not spoil it."""
    server = start_server("redis-7.0")
    exporter = start_exporter(redis_url=server.url, env={"HOTKEY_EXPORTER_ENRICH__INTERVAL": "1s"})
    ratio = ("redis_keyspace_hit_ratio", (("window", "1m"),))

    def read(hits: int, misses: int) -> None:
        client: Any = server.client()
        client.set("key", 1)
        for _ in range(hits):
            client.get("key")
        for number in range(misses):
            client.get(f"missing:{number}")

    def shown(value: float) -> bool:
        return series(scrape(exporter, server)).get(ratio) == pytest.approx(value, abs=1e-3)

    read(90, 10)
    wait_for(lambda: shown(0.9), 10, "a ratio of 0.9")

    def looked_up() -> bool:
        read(9, 1)
        return "redis_hotkey_memory_bytes" in families(scrape(exporter, server))

    wait_for(looked_up, 30, "our own look-ups")
    wait_for(lambda: shown(0.9), 10, "the same ratio")
    server.client().config_resetstat()
    wait_for(lambda: ratio not in series(scrape(exporter, server)), 10, "the ratio to begin anew")
    read(50, 50)
    wait_for(lambda: shown(0.5), 10, "a ratio of 0.5")
    server.restart()
    wait_for(lambda: _up_without(ratio, exporter, server), 20, "the first reading of the new server")
    read(30, 10)
    wait_for(lambda: shown(0.75), 10, "a ratio of 0.75")


def _up_without(name: tuple[str, Any], exporter: Exporter, server: Server) -> bool:
    found = series(scrape(exporter, server))
    return found["redis_up", ()] == 1 and name not in found


def test_rates_over_scrapes_are_true(redis_server: Server, start_exporter: StartExporter) -> None:
    """Between regular scrapes a counter grows as the server's does; the difference is below 2 % of 45 s of the load.

    45 s is what four scrapes at 15 s span in `rate(…[1m])`. The load doubles on the way.
    """
    exporter = start_exporter(redis_url=redis_server.url, env={"HOTKEY_EXPORTER_SAMPLING__SOURCE": "off"})
    stop = threading.Event()
    load = threading.Thread(target=_load, args=(redis_server, stop))
    load.start()
    try:
        pairs = [_both(exporter, redis_server) for _ in range(5)]
    finally:
        stop.set()
        load.join()
    settled = pairs[2:]
    for (at, ours, true), (later, ours_later, true_later) in pairwise(settled):
        rate = (true_later - true) / (later - at)
        assert rate > 100
        assert abs((ours_later - ours) - (true_later - true)) <= 0.02 * 45 * rate


def _both(exporter: Exporter, server: Server) -> tuple[float, float, float]:
    """Wait for the next whole 1.5 s, then scrape: the time, the counter as we show it and as the server has it."""
    time.sleep(1.5 - time.monotonic() % 1.5)
    found: Series = series(scrape(exporter, server))
    true = float(raw(server, "INFO stats")["total_commands_processed"])
    return time.monotonic(), found["redis_commands_processed_total", ()], true


def _load(server: Server, stop: threading.Event) -> None:
    """500 commands a second, 1,000 after 4 s."""
    client: Any = server.client()
    began, done = time.monotonic(), 0
    while not stop.wait(0.01):
        passed = time.monotonic() - began
        due = int(500 * passed + 500 * max(0.0, passed - 4))
        pipe = client.pipeline(transaction=False)
        for _ in range(due - done):
            pipe.get("key")
        pipe.execute()
        done = due
