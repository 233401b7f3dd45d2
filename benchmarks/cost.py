"""What watching costs the server: commands per second of its own CPU, watched over unwatched.

`python -m benchmarks.cost [--rounds N] [--pipelines 16 1] [--server KIND] [--draw]`; the last line is one JSON object.
The server has a core of its own; the load (redis-benchmark, 50 connections, GET over 100,000 keys), the exporter and
the readers share another. Every second the mode changes, and every other phase is an unwatched one, so each
watched phase is compared with the two beside it; the unwatched ones compared with each other are the A/A control. What
is divided is the server's own count of commands by the CPU time that the kernel says it got: noise of other programs
cancels. Modes: ours (the real program at default budgets, switched by its kill switch), a permanent MONITOR that is
only read from, and on Redis 8.10 HOTKEYS with SAMPLE 1 and 100. `cpu` is what our processes take of a core while they
sample that load.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bcrypt
import httpx
import psutil
import yaml

from benchmarks import drawing
from tests.program import Exporter
from tests.servers import KINDS, Server, program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

SETTLE_SECONDS = 0.2
MEASURE_SECONDS = 0.8
CPU_SECONDS = 15
KEYS = 100_000
OFF = "unwatched"
USER = ("bench", "mark")


def main() -> None:
    """Measure both pipelines and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--pipelines", type=int, nargs="+", default=[16, 1])
    parser.add_argument(
        "--server", choices=list(KINDS), default="redis-8.10" if KINDS["redis-8.10"].binary else "redis-7.0"
    )
    parser.add_argument("--draw", action="store_true", help="write the figure into docs/figures")
    options = parser.parse_args()
    figures: dict[str, Any] = {"benchmark": "cost", "server": options.server}
    for pipeline in options.pipelines:
        figures[f"pipeline_{pipeline}"] = measure(options.server, pipeline, options.rounds)
        if options.draw:
            ratios = {
                name.replace("_", " "): one["ratio"]
                for name, one in figures[f"pipeline_{pipeline}"].items()
                if isinstance(one, dict)
            }
            title = f"Commands per second of the server's CPU, watched / unwatched (pipeline {pipeline})"
            drawing.save(f"cost-pipeline-{pipeline}", drawing.bars(title, ratios, line=0.97 if pipeline > 1 else 0.95))
    print(json.dumps(figures))


def measure(kind: str, pipeline: int, rounds: int) -> dict[str, Any]:
    """All modes in turn, with an unwatched phase between any two."""
    with ExitStack() as stack:
        cores = sorted(os.sched_getaffinity(0))
        stack.callback(os.sched_setaffinity, 0, cores)
        os.sched_setaffinity(0, {cores[0]})  # what is started inherits it
        server = stack.enter_context(Server(kind))
        os.sched_setaffinity(0, set(cores[1:]) or {cores[0]})
        stack.enter_context(load(server, pipeline))
        exporter = stack.enter_context(Switched(server))
        modes: dict[str, Callable[[], AbstractContextManager[Any]]] = {
            "ours": exporter.on,
            "permanent_monitor": lambda: permanent_monitor(server.port),
        }
        if kind == "redis-8.10":
            modes |= {f"hotkeys_sample_{n}": lambda n=n: hotkeys(server, n) for n in (1, 100)}  # type: ignore[misc]
        plan = ["ours", *(name for other in list(modes)[1:] for name in (other, "ours"))] * rounds
        probe = Probe(server)
        phases: list[tuple[str, float]] = [(OFF, probe.phase())]
        for done, name in enumerate(plan, 1):
            progress(f"pipeline {pipeline}: {name}, {done} of {len(plan)}")
            with modes[name]():
                phases.append((name, probe.phase()))
            phases.append((OFF, probe.phase()))
        figures: dict[str, Any] = {name: compare(phases, name) for name in ("ours", *list(modes)[1:])}
        figures["control"] = control(phases)
        with exporter.on():
            progress(f"pipeline {pipeline}: CPU of the exporter")
            figures["cpu"] = round(exporter.cpu.over(CPU_SECONDS), 4)
        figures["commands_per_second"] = round(probe.commands / probe.seconds)
        return figures


def compare(phases: list[tuple[str, float]], name: str) -> dict[str, float]:
    """The mean of a mode's phases over the unwatched ones beside them, and its standard error."""
    ratios = [
        value * 2 / (phases[n - 1][1] + phases[n + 1][1]) for n, (mode, value) in enumerate(phases) if mode == name
    ]
    return summary(ratios)


def control(phases: list[tuple[str, float]]) -> dict[str, float]:
    """Unwatched phases over the unwatched ones before and after them."""
    off = [value for mode, value in phases if mode == OFF]
    return summary([here * 2 / (before + after) for before, here, after in zip(off, off[1:], off[2:], strict=False)])


def summary(ratios: list[float]) -> dict[str, float]:
    """Mean and standard error."""
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    return {"ratio": round(statistics.mean(ratios), 4), "standard_error": round(error, 4), "phases": len(ratios)}


# --- what is measured ------------------------------------------------------------------------------------------------


class Probe:
    """The server's commands and its CPU time."""

    def __init__(self, server: Server) -> None:
        self._client: Any = server.client()
        self._pid = server.pid
        self.commands = 0
        self.seconds = 0.0

    def phase(self) -> float:
        """Let things settle, then measure: commands per second of the server's CPU."""
        time.sleep(SETTLE_SECONDS)
        began, commands, cpu = time.monotonic(), self._count(), main_thread_seconds(self._pid)
        time.sleep(MEASURE_SECONDS)
        commands, cpu = self._count() - commands, main_thread_seconds(self._pid) - cpu
        self.commands += commands
        self.seconds += time.monotonic() - began
        return commands / cpu

    def _count(self) -> int:
        return int(self._client.info("stats")["total_commands_processed"])


def monitors(server: Server) -> int:
    """How often MONITOR was sent."""
    client: Any = server.client()
    return int(client.info("commandstats").get("cmdstat_monitor", {}).get("calls", 0))


class CpuShare:
    """What a set of processes takes of a core."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids

    def over(self, seconds: float) -> float:
        """CPU seconds per second over the next so many seconds."""
        began, spent = time.monotonic(), sum(map(process_seconds, self._pids()))
        time.sleep(seconds)
        return (sum(map(process_seconds, self._pids())) - spent) / (time.monotonic() - began)


def main_thread_seconds(pid: int) -> float:
    """CPU time of a process's main thread, where Redis does its work, from the scheduler's own nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def process_seconds(pid: int) -> float:
    """CPU time of a process and all threads it ever had."""
    spent = psutil.Process(pid).cpu_times()
    return spent.user + spent.system


# --- modes -----------------------------------------------------------------------------------------------------------


class Switched:
    """The exporter, whose sampling is switched off and on by its kill switch."""

    def __init__(self, server: Server) -> None:
        self._directory = tempfile.TemporaryDirectory()
        folder = Path(self._directory.name)
        users = {USER[0]: bcrypt.hashpw(USER[1].encode(), bcrypt.gensalt(4)).decode()}
        (folder / "web.yaml").write_text(yaml.safe_dump({"basic_auth_users": users}))
        config = {
            "targets": [{"name": "cache", "url": server.url}],
            "web": {"config_file": str(folder / "web.yaml")},
        }
        self._exporter = Exporter(folder, config=config)
        self._server = server
        self.cpu = CpuShare(self._exporter.pids)

    def __enter__(self) -> Switched:
        self._exporter.wait_until("/-/healthy")
        self._order("off")
        return self

    def __exit__(self, *_: object) -> None:
        self._exporter.stop()
        self._directory.cleanup()

    def _order(self, state: str) -> None:
        url = f"{self._exporter.url}/api/v1/sampling"
        httpx.post(url, json={"state": state}, auth=USER, trust_env=False).raise_for_status()

    @contextmanager
    def on(self) -> Iterator[None]:
        """Sampling, for as long as the context lasts."""
        bursts = monitors(self._server)
        self._order("on")
        wait_for(lambda: monitors(self._server) > bursts + 2, 10, "bursts")
        try:
            yield
        finally:
            self._order("off")


@contextmanager
def load(server: Server, pipeline: int) -> Iterator[None]:
    """GETs from redis-benchmark, as fast as they go."""
    command = [program("redis-benchmark", "redis-tools"), "-p", str(server.port), "-c", "50", "-P", str(pipeline),
               "-r", str(KEYS), "-n", "2000000000", "-q", "GET", "key:__rand_int__"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def permanent_monitor(port: int) -> Iterator[None]:
    """MONITOR with a reader that keeps up: it throws away what it reads."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"MONITOR\r\n")
        thread = threading.Thread(target=drain, args=(sock,))
        thread.start()
        try:
            yield
        finally:
            sock.shutdown(socket.SHUT_RDWR)
            thread.join()


def drain(sock: socket.socket) -> None:
    """Read until the end."""
    room = bytearray(1 << 20)
    while sock.recv_into(room):
        pass


@contextmanager
def hotkeys(server: Server, ratio: int) -> Iterator[None]:
    """HOTKEYS with both metrics."""
    client: Any = server.client()
    client.execute_command("HOTKEYS", "START", "METRICS", "2", "CPU", "NET", "SAMPLE", ratio)
    try:
        yield
    finally:
        client.execute_command("HOTKEYS", "STOP")
        client.execute_command("HOTKEYS", "RESET")


def progress(words: str) -> None:
    """What is going on, on stderr."""
    print(f"cost: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
