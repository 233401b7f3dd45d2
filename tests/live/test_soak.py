"""For a long time, and for many nodes: nothing grows, nothing leaks, nothing is thrown, and everything is fresh."""

from __future__ import annotations

import json
import random
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.opened import Opened
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

MEBIBYTE = 1 << 20
BATCH_SECONDS = 0.01


class Load:
    """So many GETs a second over a thousand keys, in small batches; it reconnects for ever, and knows what it sent."""

    def __init__(self, server: Server, ops: int) -> None:
        self.sent = 0
        self._port = server.port
        self._batch = int(ops * BATCH_SECONDS)
        keys = [b"key:%d" % (number * number % 1000) for number in range(self._batch)]
        self._data = b"".join(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys)
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1) as link:
                link.settimeout(1)
                self._keep_pace(link)
            self._stop.wait(0.1)

    def _keep_pace(self, link: socket.socket) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            link.sendall(self._data)
            answered = 0
            while answered < self._batch:
                reply = link.recv(65_536)
                if not reply:
                    return
                answered += reply.count(b"$-1\r\n")
            self.sent += self._batch
            now = time.monotonic()
            due = max(due + BATCH_SECONDS, now - 1)
            time.sleep(max(0.0, due - now))


@dataclass(frozen=True, slots=True)
class Ground:
    """What faults happen to, and for how many seconds those that last may last."""

    server: Server
    exporter: Exporter
    chance: random.Random
    longest: float

    def pause(self) -> None:
        """As long as a fault lasts."""
        time.sleep(self.chance.uniform(0.1, 1.0) * self.longest)


def kill_clients(ground: Ground) -> None:
    """End every connection."""
    ground.server.client().client_kill_filter(_type="normal", skipme=True)


def kill_monitor(ground: Ground) -> None:
    """End our MONITOR client, if it is one at this moment."""
    client: Any = ground.server.client()
    for one in client.client_list():
        if "O" in one["flags"]:
            client.client_kill_filter(_id=one["id"])


def hang(ground: Ground) -> None:
    """Freeze the server for a moment."""
    ground.server.suspend()
    ground.pause()
    ground.server.resume()


def restart(ground: Ground) -> None:
    """A new server on the same port."""
    ground.server.restart()


def huge_value(ground: Ground) -> None:
    """Write and delete 16 MB."""
    client: Any = ground.server.client()
    client.set("huge", b"x" * (16 * MEBIBYTE))
    client.delete("huge")


def no_slots(ground: Ground) -> None:
    """For a moment nobody who is dropped gets in again."""
    client: Any = ground.server.client()
    client.config_set("maxclients", "1")
    client.client_kill_filter(_type="normal", skipme=True)
    ground.pause()
    client.config_set("maxclients", "1000")


def another_password(ground: Ground) -> None:
    """For a moment the server wants a password that nobody has."""
    client: Any = ground.server.client()
    client.config_set("requirepass", "another")
    client.client_kill_filter(_type="normal", skipme=True)
    ground.pause()
    client.config_set("requirepass", "")


def freeze_us(ground: Ground) -> None:
    """Stop the exporter for a moment."""
    ground.exporter.process.send_signal(signal.SIGSTOP)
    ground.pause()
    ground.exporter.process.send_signal(signal.SIGCONT)


FAULTS: tuple[Callable[[Ground], None], ...] = (
    kill_clients, kill_monitor, hang, restart, huge_value, no_slots, another_password, freeze_us,
)  # fmt: skip


def fresh(exporter: Exporter) -> bool:
    """Whether every node is up and its window fresh."""
    samples = exporter.metrics()
    families = [samples.get(name, []) for name in ("redis_up", "redis_sampling_up")]
    return all(family and all(value == 1 for _, value in family) for family in families)


def seen_at(exporter: Exporter) -> float:
    """When the server was last observed, by its clock, which is ours, too."""
    return max(value for _, value in exporter.metrics()["redis_sampling_last_success_timestamp_seconds"])


def slope(samples: list[tuple[float, float]]) -> float:
    """The slope of a straight line through the samples (least squares)."""
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    across = sum((x - mean_x) * (y - mean_y) for x, y in samples)
    return across / sum((x - mean_x) ** 2 for x, _ in samples)


def errors(exporter: Exporter) -> list[str]:
    """Every line that tells of an error of ours: what was thrown and not expected, at whatever border it was caught."""
    return [line for line in exporter.log.splitlines() if '"severity":"ERROR"' in line or not line.startswith("{")]


@pytest.mark.parametrize(
    ("seconds", "ops", "every", "longest"),
    [
        pytest.param(4.0, 5_000, 0.5, 0.5, id="short"),
        pytest.param(
            1800.0, 50_000, 10.0, 3.0, id="30-minutes", marks=[pytest.mark.slow, pytest.mark.timeout(2400)]
        ),
    ],
)  # fmt: skip
def test_faults_leave_nothing_behind(
    redis_server: Server, start_exporter: StartExporter, seconds: float, ops: int, every: float, longest: float
) -> None:
    """Under load, a fault of some kind every few seconds: threads, sockets and files stay, no exception gets out.

    In the long form RSS grows by at most 1 MB in ten minutes once the first third is over. The last line that is
    printed has the figures as JSON.
    """
    exporter = start_exporter(redis_url=redis_server.url)
    ground = Ground(redis_server, exporter, random.Random(8), longest)
    with Load(redis_server, ops) as load:
        wait_for(lambda: fresh(exporter), 15, "fresh figures")
        time.sleep(1)
        before, sizes, recoveries = Opened.of(exporter, [redis_server]), [], {}
        began, faults, sent = time.monotonic(), list(FAULTS), load.sent
        while (now := time.monotonic() - began) < seconds or faults:
            sizes.append((now, exporter.rss() / MEBIBYTE))
            fault = faults.pop(0) if faults else ground.chance.choice(FAULTS)
            took = recovery(ground, fault)
            recoveries[fault.__name__] = max(took, recoveries.get(fault.__name__, 0.0))
            print(f"{now:6.0f} s  {fault.__name__:16}  back after {took:.2f} s, RSS {sizes[-1][1]:.1f} MB", flush=True)
            time.sleep(max(0.0, now + every - (time.monotonic() - began)))
        done = load.sent - sent
        wait_for(lambda: Opened.of(exporter, [redis_server]).is_nearly(before), 20, f"as much to be open as {before}")
    warm = [one for one in sizes if one[0] > seconds / 3]
    growth = 600 * slope(warm) if seconds > 600 else None
    after, unwanted = Opened.of(exporter, [redis_server]), errors(exporter)
    print(json.dumps({
        "seconds": round(now), "ops": round(done / now), "faults": len(sizes), "before": asdict(before),
        "after": asdict(after), "rss_mb": [round(sizes[0][1], 1), round(sizes[-1][1], 1)],
        "rss_growth_mb_in_10_min": growth and round(growth, 3), "errors": len(unwanted),
        "worst_recovery_seconds": {name: round(took, 2) for name, took in recoveries.items()},
    }))  # fmt: skip
    assert (growth or 0.0) <= 1.0
    assert unwanted == []


def recovery(ground: Ground, fault: Callable[[Ground], None]) -> float:
    """Let a fault happen; the seconds from its end until something was observed after it and everything is fresh."""
    fault(ground)
    ended, began = time.time(), time.monotonic()
    wait_for(
        lambda: seen_at(ground.exporter) > ended and fresh(ground.exporter), 15, f"it to recover: {fault.__name__}"
    )
    return time.monotonic() - began


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
