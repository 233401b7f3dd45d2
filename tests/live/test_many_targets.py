"""Many targets on one exporter: some hang, some refuse, and the others never notice."""

from __future__ import annotations

import re
import signal
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import free_port, wait_for

if TYPE_CHECKING:
    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer


@dataclass(frozen=True, slots=True)
class Fleet:
    """`targets` in all, of which `broken` hang and as many refuse; scraped `every` so many seconds, for `seconds`.

    `share` is the part of a core that may be spent on it, `memory` the resident bytes of all processes, `scrape` s.
    """

    targets: int
    broken: int
    seconds: float
    every: float
    share: float = 0.2
    memory: float = 150e6
    scrape: float = 0.3


SLOW = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    "fleet",
    [
        pytest.param(Fleet(12, 2, 6.0, 0.25), id="12"),
        pytest.param(Fleet(50, 5, 100.0, 5.0), marks=SLOW, id="50"),
        pytest.param(Fleet(100, 0, 60.0, 5.0, share=0.5, memory=300e6, scrape=1.0), marks=SLOW, id="100"),
    ],
)
def test_broken_targets_do_not_touch_the_others(
    start_server: StartServer, start_exporter: StartExporter, fleet: Fleet
) -> None:
    """Those that hang or refuse are down with their reason, all others stay fresh and are sampled in full.

    Scrapes (at least three times as often as Prometheus) stay quick, and the whole within its part of a core and of
    memory: a fifth of a core for 50 targets of which ten are broken, half a core for 100 that are well.
    """
    targets, broken = fleet.targets, fleet.broken
    servers = [start_server() for _ in range(targets - broken)]
    exporter = start_exporter(config=configuration(servers, broken))
    wait_for(lambda: len(ups(exporter, 1)) == len(servers), 60, "the others to be up")
    for server in servers[:broken]:
        server.suspend()
    wait_for(lambda: len(ups(exporter, 0)) == 2 * broken, 20, "all broken targets to be down")
    wait_for(lambda: len(joined(exporter)) == len(servers) - broken, 70, "all others to be watched in full")

    cpu, began, took = spent(exporter), time.monotonic(), []
    while time.monotonic() < began + fleet.seconds:
        asked = time.monotonic()
        text = exporter.get("/metrics").raise_for_status().text
        took.append(time.monotonic() - asked)
        found = sorted(re.findall(r'^redis_up\{target="(\w+)",addr="[^"]+"\} 1$', text, re.MULTILINE))
        assert found == sorted(f"t{number}" for number in range(broken, targets - broken))
        time.sleep(fleet.every)
    share = (spent(exporter) - cpu) / (time.monotonic() - began)

    samples = exporter.metrics()
    reasons = [labels["reason"] for labels, _ in samples.get("redis_down_info", [])]
    assert sorted(reasons) == ["refused"] * broken + ["timeout"] * broken
    ages = [time.time() - value for _, value in samples["redis_stats_last_success_timestamp_seconds"]]
    oldest = sorted(ages)[targets - 2 * broken - 1]
    print(
        f"{targets} targets: {share:.1%} of a core, p99 {p99(took) * 1e3:.0f} ms, {exporter.rss() / 1e6:.0f} MB, "
        f"the oldest reading {oldest:.1f} s, {len(joined(exporter))} watched in full"
    )
    assert oldest < 8
    assert p99(took) <= fleet.scrape
    assert share <= fleet.share
    assert exporter.rss() <= fleet.memory


def configuration(servers: list[Server], refusing: int) -> dict[str, Any]:
    """A target for each server, then some where nobody listens."""
    addresses = [server.addr for server in servers] + [f"127.0.0.1:{free_port()}" for _ in range(refusing)]
    targets = [{"name": f"t{number}", "url": f"redis://{addr}"} for number, addr in enumerate(addresses)]
    return {"targets": targets}


def ups(exporter: Exporter, value: int) -> list[str]:
    """The targets whose `redis_up` has this value."""
    return [labels["target"] for labels, up in exporter.metrics().get("redis_up", []) if up == value]


def joined(exporter: Exporter) -> list[str]:
    """The targets whose stream fits the budgets, so that MONITOR need not pause: seen for nearly all of the window.

    A window is a minute, so a new one is short; what is looked at is the share of the time that was observed.
    """
    duties = exporter.metrics().get("redis_sampling_duty_ratio", [])
    return [labels["target"] for labels, duty in duties if duty > 0.8]


def spent(exporter: Exporter) -> float:
    """CPU seconds of the whole process tree so far."""
    times = [process.cpu_times() for process in exporter.processes()]
    return float(sum(one.user + one.system for one in times))


def p99(seconds: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(seconds, n=100)[98]


def test_a_fault_is_seen_before_the_next_reading(start_server: StartServer, start_exporter: StartExporter) -> None:
    """A node that is read twice a minute is down soon after its stream has ended, and up soon after that is back."""
    server = start_server()
    target = {"name": "t0", "url": server.url, "stats": {"interval": "30s"}}
    exporter = start_exporter(config={"targets": [target]})
    wait_for(lambda: "redis_sampling_observed_seconds_total" in exporter.metrics(), 10, "the first window")
    server.suspend()
    wait_for(lambda: ups(exporter, 0), 10, "the node to be down")
    server.resume()
    wait_for(lambda: ups(exporter, 1), 10, "the node to be up")


def test_a_stop_in_time_with_many_hanging_targets(start_server: StartServer, start_exporter: StartExporter) -> None:
    """Eight servers that hang do not add up: SIGTERM still ends it within 5 s (which `stop` asserts)."""
    servers = [start_server() for _ in range(8)]
    exporter = start_exporter(config=configuration(servers, 0))
    wait_for(lambda: len(ups(exporter, 1)) == len(servers), 20, "all to be up")
    for server in servers:
        server.suspend()
    wait_for(lambda: len(ups(exporter, 0)) == len(servers), 20, "all to be down")
    assert exporter.stop() < 5


def test_a_server_that_is_not_configured(start_server: StartServer, start_exporter: StartExporter) -> None:
    """Allowed by a pattern, it is watched and answered at the first scrape, credentials included; others are refused.

    Its credentials appear nowhere, and service discovery does not keep it alive.
    """
    known, guest, other = start_server(), start_server(password="t0p-s3cret"), start_server()
    config = {
        "targets": [{"name": "known", "url": known.url}],
        "web": {"scrape_allow": [f"redis://127.0.0.1:{guest.port}"]},
    }
    exporter = start_exporter(config=config)
    wrong = exporter.get("/scrape", params={"target": f"redis://:wr0ng-one@{guest.addr}"})
    assert 'redis_down_info{reason="auth"} 1' in wrong.text
    reply = exporter.get("/scrape", params={"target": guest.url})
    assert reply.status_code == 200
    assert "redis_up 1\n" in reply.text
    assert "redis_up 1\n" in exporter.get("/scrape", params={"target": guest.addr}).text
    assert exporter.get("/scrape", params={"target": other.addr}).status_code == 403
    assert [entry["labels"]["target"] for entry in exporter.get("/sd").json()] == ["known"]
    assert sorted(ups(exporter, 1)) == [guest.addr, "known"]
    pages = [exporter.get(path).text for path in ("/", "/metrics", "/api/v1/status", "/health/redis", "/sd")]
    assert not [secret for secret in ("t0p-s3cret", "wr0ng-one") for text in (*pages, exporter.log) if secret in text]


def test_a_reload_is_applied_as_a_whole_or_not_at_all(start_server: StartServer, start_exporter: StartExporter) -> None:
    """A broken file changes nothing and is told; the next good one takes effect; unchanged targets keep their window.

    The old file names one target; the broken one a second target and a mistake; the good one only the second target.
    """
    first, second = start_server(), start_server()
    targets = [{"name": "first", "url": first.url}, {"name": "second", "url": second.url}]
    exporter = start_exporter(config={"targets": targets[:1]})
    wait_for(lambda: "redis_sampling_observed_seconds_total" in exporter.metrics(), 10, "the first window")
    read_at = only(exporter, "hotkey_exporter_config_last_reload_success_timestamp_seconds")

    exporter.configure({"targets": targets, "sampling": {"tops": 5}})
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: not only(exporter, "hotkey_exporter_config_last_reload_successful"), 10, "the file to be refused")
    assert "sampling.tops: unknown setting" in exporter.log
    assert ups(exporter, 1) == ["first"]
    assert only(exporter, "hotkey_exporter_config_last_reload_success_timestamp_seconds") == read_at

    seen = only(exporter, "redis_sampling_observed_seconds_total")
    exporter.configure({"targets": targets})
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: sorted(ups(exporter, 1)) == ["first", "second"], 10, "the second target")
    observed = exporter.metrics()["redis_sampling_observed_seconds_total"]
    assert max(value for labels, value in observed if labels["target"] == "first") >= seen
    assert only(exporter, "hotkey_exporter_config_last_reload_successful") == 1
    assert only(exporter, "hotkey_exporter_config_last_reload_success_timestamp_seconds") > read_at

    exporter.configure({"targets": targets[1:]})
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: ups(exporter, 1) == ["second"], 10, "the first target to go")
    assert first.addr not in exporter.get("/metrics").text


def only(exporter: Exporter, name: str) -> float:
    """The value of a family that has one sample."""
    [(_, value)] = exporter.metrics()[name]
    return value
