"""Live error bars: a load whose truth is known key by key and second by second, against what the API publishes."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.detection import trial
from tests.load import Load
from tests.scenarios import Scenario, scenario, scenarios, zipf_only
from tests.verdict import Verdict, verdict, windows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tests.program import StartExporter
    from tests.servers import Server


def watch(
    server: Server, start: StartExporter, build: Callable[[], Scenario], window: int, seconds: int,
    judged: Collection[bytes] = (), most: int = 60,
) -> Verdict:  # fmt: skip
    """Let the window fill, collect overlapping windows for so many seconds, and compare them with the truth."""
    with Load(server.port, build) as load:
        exporter = start(redis_url=server.url, config={"sampling": {"window": f"{window}s"}, "keys": {"mask": []}})
        time.sleep(window + 2)
        published = windows(exporter, seconds)
        return verdict(published, load.stop(), judged, most)


def test_error_bars_hold_on_a_busy_server(redis_server: Server, start_exporter: StartExporter) -> None:
    """One command in ten is seen, some keys come in clumps: at least 90 % of the intervals hold the truth."""
    found = watch(redis_server, start_exporter, partial(scenario, "clumped"), 10, 22, scenario("clumped").judged)
    assert found.commands_per_second > 40_000
    assert found.windows >= 10
    assert found.coverage >= 0.90, found


@pytest.mark.slow
def test_accuracy_at_default_budgets(redis_server: Server, start_exporter: StartExporter) -> None:
    """Zipf over 100,000 keys: the ten hottest are named, to 2.5 %, and 90 % of the top hundred's intervals hold."""
    found = watch(redis_server, start_exporter, partial(zipf_only, 55_000.0, 100_000), 60, 90, most=100)
    assert found.commands_per_second > 50_000
    assert found.named == 1.0, found
    assert found.top_error <= 0.025, found
    assert found.top_half_width <= 0.06, found
    assert found.coverage >= 0.90, found


@pytest.mark.slow
@pytest.mark.parametrize("name", scenarios())
def test_error_bars_hold_in_every_scenario(name: str, redis_server: Server, start_exporter: StartExporter) -> None:
    """Clumps, phase, swings, a moving hot set, huge clumps: at least 90 % of the intervals hold the truth, live."""
    found = watch(redis_server, start_exporter, partial(scenario, name), 60, 60, scenario(name).judged)
    assert found.coverage >= 0.90, found


def test_a_new_hot_key_shows_on_a_busy_server(redis_server: Server, start_exporter: StartExporter) -> None:
    """50,000 commands a second, fifty keys hotter than the new one of 5,000 a minute: in /metrics within 5 s."""
    client: Any = redis_server.client()
    with Load(redis_server.port, partial(zipf_only, 50_000.0, 100_000)):
        exporter = start_exporter(redis_url=redis_server.url)
        time.sleep(10)
        took = [trial(f"flash:{n}", client, exporter)[0] for n in range(5)]
    assert sorted(took)[3] <= 5.0, took
