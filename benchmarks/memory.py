"""How much memory? The processes idle and under a flood of keys, and the window by itself.

`python -m benchmarks.memory [--seconds N] [--draw]`; the last line is one JSON object. RSS is that of the exporter and
all its children, in decimal megabytes: idle after a few scrapes, and at its highest while 5,000 commands a second ask
for keys that nobody has asked for before (300,000 distinct keys a minute). redis_exporter stands beside it, idle. The
window is measured by what it allocates: a minute of 5,000 sampled accesses a second, evenly over 10,000 keys of 21
bytes.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import drawing
from exporter.sampling.window import Piece, Window
from tests.program import Exporter
from tests.servers import Server, free_port, program, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.sampling.stratum import DbKey

MEGABYTE = 1e6
START = 1_700_000_000
DISTINCT_PER_SECOND = 5000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=90, help="how long the flood of keys lasts")
    parser.add_argument("--draw", action="store_true", help="write the figure into docs/figures")
    options = parser.parse_args()
    figures: dict[str, Any] = {"benchmark": "memory"}
    progress("the window by itself")
    figures["window_mb"] = round(window_bytes() / MEGABYTE, 2)
    figures |= processes(options.seconds)
    if options.draw:
        shown = {
            "exporter and watchdog, idle": figures["idle_mb"],
            "with 300,000 distinct keys a minute": figures["flood_mb"],
            "redis_exporter, idle": figures["redis_exporter_mb"],
        }
        drawing.save("memory", drawing.bars("Resident memory", shown, " MB"))
    print(json.dumps(figures))


def window_bytes() -> int:
    """What a full window of 10,000 keys holds, by tracemalloc."""
    rng, window = random.Random(4), Window()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for second in range(START, START + 60):
        for burst in bursts(second, rng):
            window.add(burst)
    window.advance(START + 60)
    window.groups(lambda key: key.partition(b":")[0].decode(), 50)
    assert window.keys_seen == 10_000
    gc.collect()  # tuples that the interpreter keeps for reuse are not the window's
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


def bursts(second: int, rng: random.Random) -> Iterator[Piece]:
    """Ten bursts of 500 accesses, a tenth of them writes."""
    for at in range(10):
        seen: dict[DbKey, tuple[int, int]] = {}
        for _ in range(500):
            key = 0, b"user:%016d" % rng.randrange(10_000)
            count, writes = seen.get(key, (0, 0))
            seen[key] = count + 1, writes + (rng.random() < 0.1)
        start = second + at / 10
        yield Piece(start, start + 0.01, 0.1, 500, seen)


def processes(seconds: int) -> dict[str, float]:
    """RSS of the real program, idle and under the flood, and of its peer."""
    with ExitStack() as stack:
        server = stack.enter_context(Server("redis-7.0"))
        exporter = Exporter(Path(stack.enter_context(tempfile.TemporaryDirectory())), redis_url=server.url)
        stack.callback(exporter.stop)
        exporter.wait_until()
        peer = redis_exporter(server)
        stack.callback(peer.wait)
        stack.callback(peer.terminate)
        for path in ("/", "/health/redis", "/api/v1/hotkeys", *["/metrics"] * 20):
            exporter.get(path)
        time.sleep(5)
        figures = {"idle_mb": exporter.rss() / MEGABYTE, "processes": float(len(exporter.pids()))}
        figures["redis_exporter_mb"] = psutil.Process(peer.pid).memory_info().rss / MEGABYTE
        figures["flood_mb"] = 0.0
        for left in flood(server.port, seconds):
            progress(f"distinct keys, {left} s")
            exporter.metrics()
            figures["flood_mb"] = max(figures["flood_mb"], exporter.rss() / MEGABYTE)
        keys = exporter.metrics()["redis_sampling_window_keys"][0][1]
    return {name: round(value, 1) for name, value in figures.items()} | {"window_keys": keys}


def flood(port: int, seconds: int) -> Iterator[int]:
    """Ask for a new key with every command; yields once a second how many are left."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        began, number, told = time.monotonic(), 0, 0
        while (now := time.monotonic() - began) < seconds:
            due = int(now * DISTINCT_PER_SECOND)
            chosen = range(number, due)
            sock.sendall(b"".join(b"*2\r\n$3\r\nGET\r\n$21\r\nuser:%016d\r\n" % n for n in chosen))
            expected, number = 5 * len(chosen), due
            while expected > 0:
                expected -= len(sock.recv(1 << 16))
            if now >= told + 1:
                told = int(now)
                yield seconds - told
            time.sleep(0.005)


def redis_exporter(server: Server) -> subprocess.Popen[bytes]:
    """The peer, once it answers."""
    port = free_port()
    process = subprocess.Popen(
        [program("prometheus-redis-exporter", "prometheus-redis-exporter"),
         "--redis.addr", f"redis://{server.addr}", "--web.listen-address", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: answers(port), 10, "redis_exporter")
    return process


def answers(port: int) -> bool:
    """Whether a page is served there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return sock.recv(100).startswith(b"HTTP/1.")
    except OSError:
        return False


def progress(words: str) -> None:
    """What is going on, on stderr."""
    print(f"memory: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
