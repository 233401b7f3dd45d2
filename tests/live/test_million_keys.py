"""A million keys at the default budget: what a look costs the server, how long it stalls it, and what it finds."""

from __future__ import annotations

import re
import socket
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.test_keyspace import family, fill, looks, skewed
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.program import Exporter, StartExporter
    from tests.servers import Server

KEYS = 1_000_000
COUNT, MEMORY = "redis_key_group_count", "redis_key_group_memory_usage_bytes"
OURS = ("scan", "memory|usage", "time", "pttl", "type")
PLANTED = [f"planted:{chr(97 + n)}:value" for n in range(10)]
_LINE = re.compile(rb'(?m)^\+(\d+\.\d+) \[\d+ ([^\]]+)\] "(\w+)"')


@pytest.fixture
def million(redis_server: Server) -> Million:
    """A server with so many keys in groups of skewed sizes, and ten that are larger than all others."""
    truth = fill(redis_server, skewed(KEYS))
    client: Any = redis_server.client()
    for place, key in enumerate(PLANTED):
        client.set(key, "y" * (300_000 + place))
    client.config_resetstat()
    return Million(redis_server, truth)


@dataclass(frozen=True, slots=True)
class Million:
    """The server, and for each group its number of keys and their bytes."""

    server: Server
    truth: dict[str, list[int]]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_budget(million: Million, start_exporter: StartExporter) -> None:
    """Part of a look: at most 1 % of the server's time, steps within 1 ms (p99); groups within 10 %, truth covered.

    The pause after each step follows from that step, so the whole look costs what each part of it does.
    """
    client: Any = million.server.client()
    exporter, began = start_exporter(redis_url=million.server.url), time.monotonic()
    covers: list[bool] = []
    good_after = 0.0
    while (now := time.monotonic()) < began + 100:
        time.sleep(2)
        covers += covered(exporter, million.truth)
        if not good_after and within(exporter, million.truth, 0.1):
            good_after = now - began
    seconds = time.monotonic() - began
    commands = client.info("commandstats")
    used = sum(commands[f"cmdstat_{name}"]["usec"] for name in OURS) / 1e6
    metrics = exporter.metrics()
    published = metrics["redis_keyspace_server_seconds_total"][0][1]
    stalls = steps(million.server, 20)  # after the sums: MONITOR makes each command take longer
    percentiles = statistics.quantiles(stalls, n=100)
    print(
        {
            "seconds": round(seconds), "progress": metrics["redis_keyspace_look_progress_ratio"][0][1],
            "within_10_percent_after_seconds": round(good_after), "covered": statistics.mean(covers),
            "server_share": used / seconds, "published_share": published / seconds, "steps": len(stalls),
            "step_ms": {"p50": 1e3 * percentiles[49], "p99": 1e3 * percentiles[98], "max": 1e3 * max(stalls)},
        }
    )  # fmt: skip
    assert used / seconds <= 0.01
    assert published / seconds <= 0.011
    assert percentiles[98] <= 1e-3
    assert statistics.mean(covers) >= 0.9
    assert good_after > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_look(million: Million, start_exporter: StartExporter) -> None:
    """After one full look the ten largest keys are all named, and no figure is an estimate any more.

    At a larger budget, which changes how long that takes and nothing else.
    """
    quick = {"keyspace": {"server_share": "25%", "step": "1ms"}, "sampling": {"source": "off"}}
    exporter, began = start_exporter(redis_url=million.server.url, config=quick), time.monotonic()
    wait_for(lambda: looks(exporter) >= 1, 800, "a look")
    print({"keys": KEYS, "seconds": round(time.monotonic() - began)})
    assert within(exporter, million.truth, 1e-9)
    assert set(PLANTED) <= family(exporter, "redis_bigkey_memory_bytes", "key").keys()


def within(exporter: Exporter, truth: dict[str, list[int]], share: float) -> bool:
    """Whether keys and memory of all groups are known, and that near to the truth."""
    found = [family(exporter, name) for name in (COUNT, MEMORY)]
    return all(
        figures.get(group) == pytest.approx(values[place], rel=share)
        for place, figures in enumerate(found)
        for group, values in truth.items()
    )


def covered(exporter: Exporter, truth: dict[str, list[int]]) -> Iterator[bool]:
    """For each figure that is an estimate now, whether its interval covers the truth."""
    for place, name in enumerate((COUNT, MEMORY)):
        low, high = family(exporter, f"{name}_low"), family(exporter, f"{name}_high")
        for group, values in truth.items():
            if group in low and low[group] < high[group]:
                yield low[group] <= values[place] <= high[group]


def steps(server: Server, seconds: float) -> list[float]:
    """How long each step of a look kept the server busy in the next `seconds`, by the server's own stamps.

    A step is what stands between two TIMEs of one connection; MONITOR prints the time of each command.
    """
    data, until = b"", time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as wire:
        wire.sendall(b"MONITOR\r\n")
        while time.monotonic() < until:
            data += wire.recv(1 << 20)
    found = []
    opened: dict[bytes, float] = {}
    worked: set[bytes] = set()
    for stamp, address, command in _LINE.findall(data):
        if command != b"TIME":
            worked.add(address)
            continue
        if address in worked and address in opened:
            found.append(float(stamp) - opened[address])
        worked.discard(address)
        opened[address] = float(stamp)
    return found
