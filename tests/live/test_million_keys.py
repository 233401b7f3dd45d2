"""A million keys at the default budget: what a look costs the server, how long it stalls it, and what it finds."""

from __future__ import annotations

import re
import socket
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.test_keyspace import family, fill, looks, skewed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.program import Exporter, StartExporter
    from tests.servers import Server

KEYS = 1_000_000
COUNT, MEMORY = "redis_key_group_count", "redis_key_group_memory_usage_bytes"
OURS = ("scan", "memory|usage", "time", "pttl", "type")
PLANTED = [f"planted:{chr(97 + n)}:value" for n in range(10)]
_LINE = re.compile(rb'(?m)^\+(\d+\.\d+) \[\d+ ([^\]]+)\] "(\w+)"')


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_keys_at_the_default_budget(redis_server: Server, start_exporter: StartExporter) -> None:
    """At most 1 % of the server's time, steps within 1 ms (p99); groups within 10 %, intervals that cover.

    After one full look the ten largest keys are all named.
    """
    truth = fill(redis_server, skewed(KEYS))
    client: Any = redis_server.client()
    for place, key in enumerate(PLANTED):
        client.set(key, "y" * (300_000 + place))
    client.config_resetstat()
    exporter, began = start_exporter(redis_url=redis_server.url), time.monotonic()
    stalls: list[float] = []
    covers: list[bool] = []
    good_after = 0.0
    while looks(exporter) < 1:
        assert time.monotonic() - began < 3000
        stalls += steps(redis_server, 5.0)
        covers += covered(exporter, truth)
        if not good_after and within(exporter, truth, 0.1):
            good_after = time.monotonic() - began
    seconds = time.monotonic() - began
    commands = client.info("commandstats")
    used = sum(commands[f"cmdstat_{name}"]["usec"] for name in OURS) / 1e6
    published = exporter.metrics()["redis_keyspace_server_seconds_total"][0][1]
    percentiles = statistics.quantiles(stalls, n=100)
    print(
        {
            "seconds": round(seconds), "within_10_percent_after_seconds": round(good_after),
            "server_share": used / seconds, "published_share": published / seconds, "steps": len(stalls),
            "step_ms": {"p50": 1e3 * percentiles[49], "p99": 1e3 * percentiles[98], "max": 1e3 * max(stalls)},
            "covered": statistics.mean(covers),
        }
    )  # fmt: skip
    assert used / seconds <= 0.01
    assert published / seconds <= 0.011
    assert percentiles[98] <= 1e-3
    assert statistics.mean(covers) >= 0.9
    assert good_after
    assert within(exporter, truth, 1e-9)  # all keys were seen: no estimate is left
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
