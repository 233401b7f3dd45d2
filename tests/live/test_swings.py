"""Load that swings between nothing and the machine's limit: figures stay sane, every minute within its budgets."""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import nullcontext
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from tests.live.test_freeze import fill, load, paced
from tests.servers import wait_for

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.program import Exporter, Sample
    from tests.servers import Server

BUDGET = 5000
PHASE_SECONDS = 7


def traffic(name: str, server: Server) -> AbstractContextManager[None]:
    """One phase of the day."""
    return {"idle": nullcontext, "some": lambda: paced(server), "limit": lambda: load(server)}[name]()


def check_figures(samples: dict[str, list[Sample]]) -> None:
    """Nothing is negative, not a number or stale, and each interval holds its estimate."""
    found = {name: samples[name] for name in samples if name.startswith("redis_hotkey") or "sampling" in name}
    for name, values in found.items():
        for labels, value in values:
            assert math.isfinite(value), (name, labels)
            assert value >= 0, (name, labels, value)
    by_key = [
        {
            (labels["db"], labels["key"]): value
            for labels, value in found.get(f"redis_hotkey_accesses_per_second{end}", ())
        }
        for end in ("_low", "", "_high")
    ]
    for key, rate in by_key[1].items():
        assert by_key[0][key] <= rate <= by_key[2][key]
    about = {name: values for name, values in found.items() if name.startswith("redis_sampling")}
    assert found["redis_sampling_up"][0][1] == 1, about
    assert time.time() - found["redis_sampling_last_success_timestamp_seconds"][0][1] <= 6


@pytest.mark.parametrize("minutes", [1.2, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.timeout(4000)
def test_swings(redis_server: Server, exporter: Exporter, minutes: float) -> None:
    """Scraped every second; the events of any minute stay within its budget."""
    fill(redis_server)
    wait_for(lambda: exporter.metrics().get("redis_hotkey_accesses_per_second"), 15, "the first figures")
    past: deque[tuple[float, float]] = deque()
    began, phases = time.monotonic(), cycle(["limit", "idle", "some", "limit", "some", "idle"])
    most = 0.0
    while time.monotonic() - began < 60 * minutes:
        ends = time.monotonic() + PHASE_SECONDS
        with traffic(next(phases), redis_server):
            while (now := time.monotonic()) < ends:
                samples = exporter.metrics()
                check_figures(samples)
                past.append((now, samples["redis_sampling_events_total"][0][1]))
                while now - past[0][0] > 60:
                    past.popleft()
                minute = past[-1][1] - past[0][1]
                most = max(most, minute)
                assert minute <= 60 * BUDGET
                assert samples["redis_sampling_duty_ratio"][0][1] <= 1
                time.sleep(1)
    print(f"at most {most:.0f} events in a minute")
    assert most > BUDGET, "there was load"
