"""For a long time, and for many nodes: nothing grows, nothing leaks, nothing is thrown, and everything is fresh."""

from __future__ import annotations

import random
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.meanwhile import meanwhile
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psutil

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

MEBIBYTE = 1 << 20
BATCH_SECONDS = 0.01


@contextmanager
def load(server: Server, ops: int) -> Iterator[None]:
    """So many GETs a second over a thousand keys, in small batches; it reconnects for ever."""
    batch = int(ops * BATCH_SECONDS)
    keys = [b"key:%d" % (number * number % 1000) for number in range(batch)]
    data = b"".join(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys)
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1) as link:
                link.settimeout(1)
                while not stop.wait(BATCH_SECONDS):
                    link.sendall(data)
                    answered = 0
                    while answered < batch:
                        reply = link.recv(65_536)
                        if not reply:
                            raise OSError
                        answered += reply.count(b"$-1\r\n")
            stop.wait(0.1)

    with meanwhile(send, stop):
        yield


def kill_clients(server: Server, _: random.Random) -> None:
    """End every connection."""
    server.client().client_kill_filter(_type="normal", skipme=True)


def kill_monitor(server: Server, _: random.Random) -> None:
    """End our MONITOR client, if it is one at this moment."""
    client: Any = server.client()
    for one in client.client_list():
        if "O" in one["flags"]:
            client.client_kill_filter(_id=one["id"])


def hang(server: Server, chance: random.Random) -> None:
    """Freeze the server for a moment."""
    server.suspend()
    time.sleep(chance.uniform(0.2, 3.0))
    server.resume()


def restart(server: Server, _: random.Random) -> None:
    """A new server on the same port."""
    server.restart()


def huge_value(server: Server, _: random.Random) -> None:
    """Write and delete 16 MB."""
    client: Any = server.client()
    client.set("huge", b"x" * (16 * MEBIBYTE))
    client.delete("huge")


FAULTS: tuple[Callable[[Server, random.Random], None], ...] = (kill_clients, kill_monitor, hang, restart, huge_value)


def fresh(exporter: Exporter) -> bool:
    """Whether every node is up and its window fresh."""
    samples = exporter.metrics()
    families = [samples.get(name, []) for name in ("redis_up", "redis_sampling_up")]
    return all(family and all(value == 1 for _, value in family) for family in families)


def opened(process: psutil.Process) -> tuple[int, int]:
    """Threads and file descriptors, at a moment when none is on its way: the least of several looks."""
    looks = []
    for _ in range(10):
        looks.append((process.num_threads(), process.num_fds()))
        time.sleep(0.05)
    return min(threads for threads, _ in looks), min(files for _, files in looks)


def slope(samples: list[tuple[float, float]]) -> float:
    """The slope of a straight line through the samples (least squares)."""
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    across = sum((x - mean_x) * (y - mean_y) for x, y in samples)
    return across / sum((x - mean_x) ** 2 for x, _ in samples)


@pytest.mark.parametrize(
    ("seconds", "ops", "every"),
    [
        pytest.param(4.0, 5_000, 0.5),
        pytest.param(1800.0, 50_000, 10.0, marks=[pytest.mark.slow, pytest.mark.timeout(2400)]),
    ],
)
def test_faults_leave_nothing_behind(
    redis_server: Server, start_exporter: StartExporter, seconds: float, ops: int, every: float
) -> None:
    """Under load, a fault of some kind every few seconds: threads, sockets and files stay, no exception gets out.

    In the long form RSS grows by at most 1 MB in ten minutes once the first third is over.
    """
    chance = random.Random(8)
    exporter = start_exporter(redis_url=redis_server.url)
    process = exporter.processes()[0]
    with load(redis_server, ops):
        wait_for(lambda: fresh(exporter), 15, "fresh figures")
        time.sleep(1)
        before = opened(process)
        began, sizes, faults = time.monotonic(), [], list(FAULTS)
        while (now := time.monotonic() - began) < seconds:
            sizes.append((now, exporter.rss() / MEBIBYTE))
            fault = faults.pop(0) if faults else chance.choice(FAULTS)
            with suppress(redis.RedisError):
                fault(redis_server, chance)
            exporter.get("/metrics").raise_for_status()
            time.sleep(every)
        wait_for(lambda: fresh(exporter), 15, "fresh figures after all that")
        wait_for(lambda: nearly(opened(process), before), 20, f"threads and files as before: {before}")
    growth = 600 * slope([one for one in sizes if one[0] > seconds / 3]) if seconds > 600 else 0.0
    print(f"threads and files {before} -> {opened(process)}, RSS {sizes[0][1]:.0f} -> {sizes[-1][1]:.0f} MB, "
          f"{growth:.2f} MB in ten minutes")  # fmt: skip
    assert growth <= 1.0
    for unwanted in ("schedule.thread_failed", "schedule.work_failed", "schedule.job_failed", "Traceback"):
        assert unwanted not in exporter.log


def nearly(now: tuple[int, int], before: tuple[int, int]) -> bool:
    """No more threads than before, and no more files than the connections that come and go by themselves."""
    return now[0] <= before[0] and now[1] <= before[1] + 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_nodes(start_server: StartServer, start_exporter: StartExporter) -> None:
    """A hundred servers with some traffic each: all nodes fresh, at most half a core."""
    servers = [start_server() for _ in range(100)]
    targets = [{"name": f"t{number}", "url": server.url} for number, server in enumerate(servers)]
    exporter = start_exporter(config={"targets": targets, "keyspace": {"enabled": False}})
    stop = threading.Event()

    def visit() -> None:
        clients = [server.client() for server in servers]
        while not stop.is_set():
            for client in clients:
                client.get("key")
                stop.wait(0.001)

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        wait_for(lambda: fresh(exporter), 60, "all nodes to be fresh")
        time.sleep(10)
        spent, began = cpu(exporter), time.monotonic()
        for _ in range(30):
            assert fresh(exporter)
            time.sleep(1)
        share = (cpu(exporter) - spent) / (time.monotonic() - began)
        print(f"100 nodes: {share:.1%} of a core, {exporter.rss() / MEBIBYTE:.0f} MB")
        assert share <= 0.5
    finally:
        stop.set()
        thread.join()


def cpu(exporter: Exporter) -> float:
    """CPU seconds of the whole process tree so far."""
    times = [process.cpu_times() for process in exporter.processes()]
    return float(sum(one.user + one.system for one in times))
