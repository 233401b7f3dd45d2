"""What a server suffers when the exporter, its watchdog or the host is lost in mid-burst: a stated amount."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.test_faults import sampled
from tests.meanwhile import meanwhile
from tests.servers import ROOT, dies_with_us, program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer, TlsFiles

MEBIBYTE = 1 << 20
KEYS = 50_000


@dataclass(frozen=True, slots=True)
class Freeze:
    """What became of our MONITOR client after a freeze."""

    seconds: float
    held_bytes: int
    evicted: int


@contextmanager
def load(server: Server, *, seconds: float = 600) -> Iterator[None]:
    """GETs as fast as one redis-benchmark can send them, over KEYS keys, until the block ends."""
    command = [*dies_with_us(), program("redis-benchmark", "redis-tools"), "-p", str(server.port), "-q", "-t", "get"]
    command += ["-r", str(KEYS), "-P", "16", "-c", "50", "-n", str(int(seconds * 1_000_000))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def fill(server: Server, *, maxmemory: int = 0) -> redis.Redis:
    """Keys for the load; with `maxmemory`, more of them than fit, as in a cache that lives at its limit."""
    client = server.client(socket_timeout=30)
    if maxmemory:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", maxmemory)
    pipe = client.pipeline(transaction=False)
    for n in range(KEYS):
        pipe.set(f"key:{n:012}", b"v" * 100)
        if n % 5000 == 4999:
            pipe.execute()
    return client


def monitor(client: redis.Redis) -> dict[str, Any] | None:
    """Our MONITOR client as the server sees it."""
    clients: list[dict[str, Any]] = client.client_list()
    return next((one for one in clients if "O" in one["flags"] and one["name"] == "hotkey-exporter"), None)


def freeze_in_a_burst(exporter: Exporter, client: redis.Redis) -> Freeze:
    """SIGSTOP the exporter in the middle of a burst; ask the server until our client is gone; SIGCONT."""
    pid, deadline = exporter.process.pid, time.monotonic() + 120
    while True:
        assert time.monotonic() < deadline, "no burst was caught"
        if monitor(client) is None:
            continue
        os.kill(pid, signal.SIGSTOP)
        began, evicted = time.monotonic(), client.info("stats")["evicted_keys"]
        if monitor(client) is not None:
            break
        os.kill(pid, signal.SIGCONT)  # the burst had just ended
    held, gone = 0, began
    try:
        while (seen := monitor(client)) is not None:
            held, gone = max(held, int(seen["omem"])), time.monotonic()
            assert gone - began < 10, "our MONITOR client stays"
        return Freeze(gone - began, held, client.info("stats")["evicted_keys"] - evicted)
    finally:
        os.kill(pid, signal.SIGCONT)


def outcomes(exporter: Exporter) -> dict[str, float]:
    """Bursts by outcome."""
    return {labels["outcome"]: value for labels, value in exporter.metrics()["redis_sampling_bursts_total"]}


def freezes(server: Server, exporter: Exporter, client: redis.Redis, times: int) -> None:
    """Freeze again and again; each time the promises hold and sampling is back within 15 s."""
    seconds: list[float] = []
    while len(seconds) < times:
        wait_for(lambda: sampled(exporter), 20, "fresh figures")
        before = outcomes(exporter)
        found = freeze_in_a_burst(exporter, client)
        print(found)
        assert found.seconds <= 1, "even where the server, the load and the tests share two cores"
        assert found.held_bytes <= 4 * MEBIBYTE
        assert found.evicted * 100 <= max(found.held_bytes, MEBIBYTE)
        wait_for(lambda was=before: outcomes(exporter)["complete"] > was["complete"], 15, "bursts to go on")
        if outcomes(exporter)["killed"] > before["killed"]:
            seconds.append(found.seconds)
        else:
            print("its last words had been sent: it was no freeze in a burst")
    assert median(seconds) <= 0.25


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_frozen_in_a_burst_on_a_full_cache(
    redis_server: Server, start_exporter: StartExporter, tmp_path: object, times: int
) -> None:
    """A full LRU cache under the heaviest load is sampled; a freeze in a burst costs it next to nothing."""
    client = fill(redis_server, maxmemory=8 * MEBIBYTE)
    with load(redis_server):
        exporter = start_exporter(redis_url=redis_server.url)
        evicted = client.info("stats")["evicted_keys"]
        assert evicted, "the cache is not full"
        wait_for(lambda: outcomes(exporter)["complete"] >= 10, 20, "bursts")
        # The server counts what a turn of its loop prints for us as memory: some tens of kB.
        assert 100 * (client.info("stats")["evicted_keys"] - evicted) <= MEBIBYTE
        freezes(redis_server, exporter, client, times)


def test_frozen_over_tls_and_with_a_password(
    start_server: StartServer, start_exporter: StartExporter, tls_files: TlsFiles
) -> None:
    """The watchdog needs neither the password nor TLS, nor an answer of the server."""
    server = start_server(tls=tls_files, password="pass-5ecret")
    client = server.client()
    env = {"HOTKEY_EXPORTER_TARGETS__REDIS__TLS__CA_FILE": str(tls_files.ca)}
    exporter = start_exporter(redis_url=server.url, env=env)
    wait_for(lambda: monitor(client), 10, "a joined session")
    found = freeze_in_a_burst(exporter, client)
    assert found.seconds <= 1, "half a second of an idle server's slice, and the grace"
    wait_for(lambda: outcomes(exporter)["killed"], 15, "the kill to be counted")
    wait_for(lambda: monitor(client), 15, "sampling again")


def test_a_hung_server_and_a_frozen_exporter(redis_server: Server, exporter: Exporter) -> None:
    """Both frozen, the server thawed later: its client is gone as soon as it looks."""
    client = redis_server.client(socket_timeout=20)
    wait_for(lambda: monitor(client), 10, "a joined session")
    redis_server.suspend()
    exporter.process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    redis_server.resume()
    wait_for(lambda: monitor(client) is None, 2, "our client to be gone")
    exporter.process.send_signal(signal.SIGCONT)
    wait_for(lambda: sampled(exporter), 15, "fresh figures")


def test_a_killed_watchdog_is_replaced(redis_server: Server, exporter: Exporter) -> None:
    """Without a living watchdog there is no MONITOR; another one is started and sampling goes on."""
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    [watchdog] = exporter.processes()[1:]
    watchdog.kill()
    wait_for(lambda: [p.pid for p in exporter.processes()[1:]] not in ([], [watchdog.pid]), 10, "another watchdog")
    wait_for(lambda: sampled(exporter), 10, "fresh figures")


def announced(server: Server) -> dict[str, Any]:
    """What `check` says of the server."""
    command = [sys.executable, "-m", "exporter", "check", "--json"]
    done = subprocess.run(
        command, env={**os.environ, "REDIS_URL": server.url}, cwd=ROOT, capture_output=True, check=False
    )
    node: dict[str, Any] = json.loads(done.stdout)["nodes"][0]
    return node


@contextmanager
def paced(server: Server) -> Iterator[None]:
    """Some 1,500 GETs a second: traffic that is watched in full."""
    ended, client = threading.Event(), server.client(socket_timeout=30)

    def work() -> None:
        while not ended.wait(0.02):
            pipe = client.pipeline(transaction=False)
            for n in range(30):
                pipe.get(f"key:{n:012}")
            pipe.execute()

    with meanwhile(work, ended):
        yield


@pytest.mark.parametrize("limit", [0, 8 * MEBIBYTE])
@pytest.mark.parametrize(("traffic", "sampling"), [(load, "bursts"), (paced, "joined")])
def test_exporter_and_watchdog_frozen_together(
    redis_server: Server, start_exporter: StartExporter, limit: int, traffic: Callable[[Server], Any], sampling: str
) -> None:
    """Nobody is left to end it: what the server holds stays within what `check` announced."""
    client = fill(redis_server)
    client.config_set("client-output-buffer-limit", f"normal {limit} 0 0")
    exporter = start_exporter(redis_url=redis_server.url)
    if sampling == "bursts":
        client.config_set("maxmemory", 40 * MEBIBYTE)  # so little that joined mode would be too much without a limit
    with traffic(redis_server):
        wait_for(lambda: client.info("stats")["instantaneous_ops_per_sec"] > 1000, 20, "load")
        wait_for(lambda: outcomes(exporter)["complete"] >= 3, 20, "bursts")
        node = announced(redis_server)
        assert node["sampling"] == sampling, json.dumps(node)
        if not limit and sampling == "bursts":
            assert node["duty_ratio"] <= 0.021
        frozen = [exporter.processes()[1].pid, exporter.process.pid]
        deadline = time.monotonic() + 60
        while monitor(client) is None:
            assert time.monotonic() < deadline, "no burst was caught"
        try:
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            began, held = time.monotonic(), 0
            while (spent := time.monotonic() - began) < 2.0 and held < 64 * MEBIBYTE:
                held = max(held, int((monitor(client) or {"omem": 0})["omem"]))
            assert held <= node["held_bytes_at_worst"]
            if not limit:
                assert held <= 4 * node["held_bytes_at_worst"] * spent / 900
        finally:
            for pid in reversed(frozen):
                os.kill(pid, signal.SIGCONT)
    wait_for(lambda: sampled(exporter), 15, "fresh figures")


def test_the_stalled_client_of_a_lost_exporter_is_ended(redis_server: Server, exporter: Exporter) -> None:
    """A MONITOR client with our name that nobody reads any more is ended once the server holds 8 MiB for it."""
    client = redis_server.client(socket_timeout=20)
    with socket.create_connection(("127.0.0.1", redis_server.port)) as lost:
        lost.sendall(b"CLIENT SETNAME hotkey-exporter\r\nMONITOR\r\n")
        assert lost.recv(10) == b"+OK\r\n+OK\r\n"
        ours = lost.getsockname()[1]

        def stalls() -> bool:
            return any(one["addr"].endswith(f":{ours}") for one in client.client_list())

        for _ in range(30):
            client.set("large", b"v" * MEBIBYTE)
        wait_for(lambda: not stalls(), 20, "the stalled client to be ended")
    wait_for(lambda: "reaper.ended" in exporter.log, 5, "the log to say so")
