"""Are the figures true? The exporter at default budgets against traffic that is known key by key and second by second.

`python -m benchmarks.accuracy [--seconds N] [--scenario NAME|all] [--no-peers] [--draw]`; the last line is one JSON
object. The load comes from `tests.load`, which counts what it sends by the second of the server's clock; every whole
window of the API is compared with that. Without `--scenario` the traffic is Zipf's law (exponent 1) over 100,000 keys
at 55,000 GET/s, and afterwards, on the same load, its peers are asked: redis-py's Monitor (how many lines a second, how
far it falls behind) and, where there is a Redis 8.10, HOTKEYS with SAMPLE 1 and 100 (its bytes per key, made accesses
by the known size of a GET). A scenario is one of the five of `tests.scenarios`; judged are the keys with a shape.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from benchmarks import drawing
from tests.load import Load, Truth
from tests.program import Exporter
from tests.scenarios import scenario, scenarios, zipf_only
from tests.servers import KINDS, Server
from tests.verdict import Published, verdict, windows

if TYPE_CHECKING:
    from collections.abc import Sequence

OPS, KEYS = 55_000.0, 100_000
ZIPF = partial(zipf_only, OPS, KEYS)
FILL_SECONDS = 64
PEER_SECONDS = 30


def main() -> None:
    """Run what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=90, help="how long windows are collected")
    parser.add_argument("--scenario", choices=["all", *scenarios()], help="one of the five, or all")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--draw", action="store_true", help="write the figures into docs/figures")
    options = parser.parse_args()
    figures: dict[str, Any] = {"benchmark": "accuracy"}
    if options.scenario:
        names = list(scenarios()) if options.scenario == "all" else [options.scenario]
        figures["scenarios"] = {name: one_scenario(name, options.seconds) for name in names}
        if options.draw:
            drawing.save("scenarios", drawing.bars(
                "Share of 95 % intervals that hold the truth, live", {
                    name: 100 * one["coverage"] for name, one in figures["scenarios"].items()
                }, " %", 90))  # fmt: skip
    else:
        figures |= zipf(options)
    print(json.dumps(figures))


def one_scenario(name: str, seconds: int) -> dict[str, Any]:
    """Coverage of the keys with a shape of their own, alone and with the hottest, over overlapping windows."""
    published, truth, seen = watch("redis-7.0", partial(scenario, name), seconds, name)
    judged = set(scenario(name).judged)
    figures = rounded(asdict(verdict(published, truth, judged, 0)))
    with_hottest = verdict(published, truth, judged, 60).coverage
    return figures | {"coverage_with_the_hottest_60": round(with_hottest, 4), "sampling": seen}


def zipf(options: argparse.Namespace) -> dict[str, Any]:
    """The ten hottest, their error and width, coverage of the hundred hottest; then the peers."""
    published, truth, seen = watch("redis-7.0", ZIPF, options.seconds, "ours")
    figures: dict[str, Any] = {"ours": rounded(asdict(verdict(published, truth))) | {"sampling": seen}}
    if options.draw:
        drawing.save("accuracy", picture(published[-1], truth))
    if not options.no_peers:
        figures["redis_py_monitor"] = redis_py()
        if KINDS["redis-8.10"].binary:
            figures |= {f"hotkeys_sample_{ratio}": hotkeys(ratio) for ratio in (1, 100)}
    return figures


def watch(kind: str, build: Any, seconds: int, what: str) -> tuple[list[Published], Truth, dict[str, Any]]:
    """Run a load and the exporter until its window is full, then collect windows for so many seconds."""
    with ExitStack() as stack:
        server = stack.enter_context(Server(kind))
        load = stack.enter_context(Load(server.port, build))
        exporter = Exporter(Path(stack.enter_context(tempfile.TemporaryDirectory())), redis_url=server.url)
        stack.callback(exporter.stop)
        exporter.wait_until()
        for left in range(FILL_SECONDS, 0, -1):
            progress(f"{what}: the window fills, {left} s")
            time.sleep(1)
        published = windows(exporter, seconds, lambda left: progress(f"{what}: windows, {left:.0f} s"))
        return published, load.stop(), sampling(exporter)


def sampling(exporter: Exporter) -> dict[str, Any]:
    """How much was seen: observed share of the window's time, events a second, bursts by outcome."""
    metrics = exporter.metrics()
    bursts = {labels["outcome"]: int(value) for labels, value in metrics["redis_sampling_bursts_total"] if value}
    began = metrics["process_start_time_seconds"][0][1]
    events = metrics["redis_sampling_events_total"][0][1] / (time.time() - began)
    duty = metrics["redis_sampling_duty_ratio"][0][1]
    return {"duty_ratio": round(duty, 4), "events_per_second": round(events), "bursts": bursts}


# --- peers -----------------------------------------------------------------------------------------------------------


def redis_py() -> dict[str, Any]:
    """A permanent MONITOR read by redis-py: what it sees, and how old the last line is in the end."""
    with Server("redis-7.0") as server, Load(server.port, ZIPF) as load:
        seen: dict[str, int] = {}
        client: Any = server.client(socket_timeout=None)
        with client.monitor() as monitor:
            progress(f"redis-py's Monitor, {PEER_SECONDS} s")
            first = int(time.time()) + 1
            last = first + PEER_SECONDS
            behind, lines = 0.0, 0
            while (line := monitor.next_command())["time"] < last and time.time() < last + 1:
                if line["time"] >= first:
                    key = line["command"].partition(" ")[2]
                    seen[key] = seen.get(key, 0) + 1
                    lines += 1
                behind = time.time() - line["time"]
        truth = load.stop()
    rates = {key.encode(): count / PEER_SECONDS for key, count in seen.items()}
    return {"lines_per_second": lines / PEER_SECONDS, "seconds_behind": round(behind, 3),
            **compared(rates, truth, first, last)}  # fmt: skip


def hotkeys(ratio: int) -> dict[str, Any]:
    """HOTKEYS of Redis 8.10: bytes per key, not scaled by it, into accesses per second."""
    with Server("redis-8.10") as server, Load(server.port, ZIPF) as load:
        client: Any = server.client(protocol=3, decode_responses=False)
        time.sleep(1.0 - time.time() % 1.0)
        first = round(time.time())
        client.execute_command("HOTKEYS", "START", "METRICS", "1", "NET", "COUNT", "64", "SAMPLE", ratio)
        progress(f"HOTKEYS SAMPLE {ratio}, {PEER_SECONDS} s")
        time.sleep(first + PEER_SECONDS - time.time())
        client.execute_command("HOTKEYS", "STOP")
        [reply] = client.execute_command("HOTKEYS", "GET")
        truth = load.stop()
    found = reply[b"by-net-bytes"]
    found = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
    size = len(b"*2\r\n$3\r\nGET\r\n$8\r\nz:000001\r\n$-1\r\n")
    rates = {key: int(count) * ratio / size / PEER_SECONDS for key, count in found.items()}
    return compared(rates, truth, first, first + PEER_SECONDS)


def compared(rates: dict[bytes, float], truth: Truth, start: int, end: int) -> dict[str, Any]:
    """How many of the ten hottest are among a peer's ten, and the mean error of their rates."""
    true = truth.rates(start, end)
    hottest = sorted(true, key=lambda key: -true[key])[:10]
    said = sorted(rates, key=lambda key: -rates[key])[:10]
    error = mean(abs(rates.get(key, 0.0) / true[key] - 1) for key in hottest)
    return {"named_of_ten": len({*hottest} & {*said}), "top_error": round(error, 4)}


# --- output ----------------------------------------------------------------------------------------------------------


def picture(window: Published, truth: Truth) -> str:
    """One window: the hundred hottest keys with their intervals, over the truth."""
    rates = truth.rates(window.start, window.end)
    hottest: Sequence[bytes] = sorted(rates, key=lambda key: -rates[key])[:100]
    points = [
        (rank, *(value / rates[key] for value in window.keys[key]))
        for rank, key in enumerate(hottest, 1)
        if key in window.keys
    ]
    return drawing.intervals(
        "One live window: 55,000 GET/s by Zipf's law, 5,000 of them seen",
        [(x, value, low, high) for x, value, low, high in points],
        ("rank of the key", "estimate / truth, with its 95 % interval"),
    )


def rounded(figures: dict[str, Any]) -> dict[str, Any]:
    """Four digits behind the point are more than enough."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def progress(words: str) -> None:
    """What is going on, on stderr."""
    print(f"accuracy: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
