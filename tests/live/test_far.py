"""A server that is far away, behind a bad network, or whose clock jumps; an exporter that is stopped for a while."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.fakes import ReplayServer
from tests.live.test_partition import GUEST, HOST, Namespace, namespace
from tests.proxies import Proxy
from tests.servers import ROOT, SYSTEM_PATH, dies_with_us, free_port, missing, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

__all__ = ["namespace"]  # a fixture
WINDOW_SECONDS = 10
HOUR = 3600.0
CONFIG = {"sampling": {"window": f"{WINDOW_SECONDS}s"}}


class Truth:
    """What one client asked for in each second of this host's clock, which is the server's, too."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, moment: float) -> None:
        """One access."""
        self._counts[int(moment)] += 1

    def rate(self, end: float, seconds: float) -> float:
        """Accesses per second in the whole seconds before `end`."""
        last = int(end)
        return sum(self._counts[second] for second in range(last - int(seconds), last)) / seconds


@contextmanager
def traffic(server: Server) -> Iterator[Truth]:
    """One key is read some hundred times a second, at a pace that changes every second."""
    stop, truth = threading.Event(), Truth()

    def load() -> None:
        client = server.client()
        while not stop.wait(0.005 if int(time.time()) % 2 else 0.01):
            client.get("hot:key")
            truth.add(time.time())

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield truth
    finally:
        stop.set()
        thread.join()


def interval(answer: dict[str, Any]) -> tuple[float, float] | None:
    """The interval of the hot key, None while it is not shown."""
    found = [one for one in answer["hotkeys"] if one["key"] == "hot:key"]
    return (found[0]["low"], found[0]["high"]) if found else None


def covers(answer: dict[str, Any], truth: Truth) -> bool:
    """Whether the interval holds the true rate; an access at the edge of a second may be counted beside it."""
    bounds = interval(answer)
    if bounds is None:
        return False
    rate, edge = truth.rate(answer["window_end"], WINDOW_SECONDS), 4 / WINDOW_SECONDS
    return bounds[0] - edge <= rate <= bounds[1] + edge


def full(answer: dict[str, Any]) -> bool:
    """Whether the window has had its time."""
    observed = [one["observed_seconds"] or 0.0 for one in answer["targets"]]
    return bool(answer["hotkeys"]) and max(observed, default=0.0) > 0.7 * WINDOW_SECONDS


def wait_for_a_whole_window(ask: Callable[[], dict[str, Any]]) -> None:
    """Wait until the first window has passed: until then figures are about less time than the truth is."""
    first = wait_for(lambda: ask()["window_end"], 60, "figures")
    wait_for(lambda: (ask()["window_end"] or 0.0) >= first + WINDOW_SECONDS, 90, "a whole window")


def times_covered(ask: Callable[[], dict[str, Any]], truth: Truth, times: int) -> int:
    """How many of so many intervals hold the truth, asked for once a second."""
    good = 0
    for _ in range(times):
        good += covers(ask(), truth)
        time.sleep(1)
    print(f"covered {good} of {times} times")
    return good


@pytest.mark.slow
def test_a_server_a_hundred_milliseconds_away(redis_server: Server, start_exporter: StartExporter) -> None:
    """It is sampled, what is observed is no more than the time that passed, and the interval covers the truth."""
    with traffic(redis_server) as truth, Proxy(redis_server.port, delay=0.05) as proxy:
        began = time.monotonic()
        exporter = start_exporter(redis_url=proxy.url, config=CONFIG)
        wait_for_a_whole_window(exporter.api_hotkeys)
        assert times_covered(exporter.api_hotkeys, truth, 10) >= 9
        observed = sum(value for _, value in exporter.metrics()["redis_sampling_observed_seconds_total"])
        assert 0 < observed <= time.monotonic() - began
        outcomes = {labels["outcome"]: value for labels, value in exporter.metrics()["redis_sampling_bursts_total"]}
        assert outcomes["complete"] > 0
        assert outcomes["killed"] <= 0.2 * outcomes["complete"]


@pytest.mark.slow
def test_five_percent_of_all_packets_are_lost(start_server: StartServer, namespace: Namespace, tmp_path: Path) -> None:
    """The same on a link that loses packets both ways: TCP repeats them, late."""
    server = start_server(config={"bind": f"127.0.0.1 {HOST}", "protected-mode": "no"})
    port = free_port()
    environ = {**os.environ, "REDIS_URL": f"redis://{HOST}:{server.port}"}
    environ["HOTKEY_EXPORTER_SAMPLING__WINDOW"] = f"{WINDOW_SECONDS}s"
    command = [*dies_with_us(), sys.executable, "-m", "exporter", "serve", "--listen", f"{GUEST}:{port}"]
    with (
        lossy(namespace),
        traffic(server) as truth,
        (tmp_path / "exporter.log").open("wb") as log,
        subprocess.Popen(namespace.inside(*command), env=environ, cwd=ROOT, stdout=log, stderr=log) as process,
        httpx.Client(base_url=f"http://{GUEST}:{port}", trust_env=False, timeout=10) as http,
    ):
        try:
            wait_for_a_whole_window(lambda: asked(http))
            assert times_covered(lambda: asked(http), truth, 20) >= 18
            observed = sum(one["observed_seconds"] or 0.0 for one in asked(http)["targets"])
            bursts = [line for line in http.get("/metrics").text.splitlines() if "_bursts_total{" in line]
            print(f"{observed:.1f} of {WINDOW_SECONDS} s observed", *bursts, sep="\n")
            assert 0 < observed <= WINDOW_SECONDS
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def lossy(namespace: Namespace) -> Iterator[None]:
    """Lose 5 % of the packets at either end of the namespace's link, where they come in: who sent them is not told."""
    rules = """table netdev {name} {{
        chain lossy {{
            type filter hook ingress device "{device}" priority 0; policy accept;
            numgen random mod 100 < 5 drop
        }}
    }}"""
    nft = shutil.which("nft", path=SYSTEM_PATH) or missing("nft (Debian package nftables)") or ""
    ends = ((namespace.inside(nft), "eth0"), ([nft], namespace.name))
    try:
        for command, device in ends:
            text = rules.format(name=namespace.name, device=device)
            subprocess.run([*command, "-f", "-"], input=text, text=True, check=True, capture_output=True)
        yield
    finally:  # what is inside goes with the namespace
        subprocess.run([nft, "delete", "table", "netdev", namespace.name], check=True, capture_output=True)


def asked(http: httpx.Client) -> dict[str, Any]:
    """The hot keys, nothing while they cannot be had."""
    try:
        answer: dict[str, Any] = http.get("/api/v1/hotkeys").json()
    except (httpx.TransportError, ValueError):
        return {"hotkeys": [], "targets": [], "window_end": None}
    return answer


def sane(exporter: Exporter) -> bool:
    """No figure of ours is negative, endless or no number, and no window claims more than its length."""
    for name, samples in exporter.metrics().items():
        if name.startswith(("redis_sampling", "redis_hot")):
            for labels, value in samples:
                assert math.isfinite(value), (name, labels)
                assert value >= 0, (name, labels, value)
    for one in exporter.api_hotkeys()["targets"]:
        assert (one["observed_seconds"] or 0.0) <= WINDOW_SECONDS + 1
        assert (one["duty_ratio"] or 0.0) <= 1.0
    return True


@pytest.mark.parametrize("offsets", [(HOUR,), pytest.param((HOUR, 0.0, -HOUR), marks=pytest.mark.slow)])
def test_the_clock_of_the_server_jumps(start_exporter: StartExporter, offsets: tuple[float, ...]) -> None:
    """An hour ahead, and back: no figure is nonsense at any time, and 5 s later there are figures again."""
    lines = b'+1.000000 [0 127.0.0.1:50000] "GET" "hot:key"\r\n'
    with ReplayServer(lines, pace=200) as server:
        exporter = start_exporter(redis_url=server.url, config=CONFIG)
        wait_for(lambda: interval(exporter.api_hotkeys()), 15, "figures")
        for offset in offsets:
            server.clock_offset = offset
            jumped = time.monotonic()
            wait_for(lambda: sane(exporter) and not near(exporter, server, False), 10, "the jump to be noticed")
            wait_for(lambda: sane(exporter) and near(exporter, server, True), 10, "figures at the new time")
            assert time.monotonic() - jumped <= 5
            seen = interval(exporter.api_hotkeys())
            assert seen is not None
            assert seen[1] <= 400
        assert exporter.log.count("sampling.clock_jumped") == len(offsets)


def near(exporter: Exporter, server: ReplayServer, wanted: bool) -> bool:
    """Whether there are figures of the server's present time; with `wanted` false, whether any are of another."""
    end = exporter.api_hotkeys()["window_end"]
    if end is None:
        return False
    now = abs(end - time.time() - server.clock_offset) < 30
    return now if wanted else not now


@pytest.mark.parametrize("seconds", [4.0, pytest.param(60.0, marks=pytest.mark.slow)])
def test_the_exporter_is_stopped_for_a_while(
    redis_server: Server, start_exporter: StartExporter, seconds: float
) -> None:
    """After SIGSTOP and SIGCONT figures are of the present, say how much they cover, and none is nonsense."""
    with traffic(redis_server) as truth:
        exporter = start_exporter(redis_url=redis_server.url, config=CONFIG)
        wait_for(lambda: full(exporter.api_hotkeys()), 30, "a window")
        exporter.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        stopped = time.time()
        exporter.process.send_signal(signal.SIGCONT)
        wait_for(lambda: (exporter.api_hotkeys()["window_end"] or 0.0) > stopped + 1, 10, "figures of the present")
        answer = exporter.api_hotkeys()
        assert sane(exporter)
        covered = [one["observed_seconds"] for one in answer["targets"]]
        assert max(covered) <= max(WINDOW_SECONDS - seconds, 0) + time.time() - stopped + 1
        wait_for(lambda: full(exporter.api_hotkeys()) and covers(exporter.api_hotkeys(), truth), 30, "the truth again")
