"""Warming inside the daemon: on start, at its times, after a flush, by one of several, ahead of expiry."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from exporter.warming import hotset
from tests.meanwhile import meanwhile
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.program import Exporter, StartExporter
    from tests.servers import Server

SETTINGS = {"sampling": {"window": "10s"}, "enrich": {"enabled": False}, "keyspace": {"enabled": False}}


def table(path: Path, count: int) -> Path:
    """A SQLite file with so many sessions."""
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("create table sessions (id integer primary key, name text)")
        base.executemany("insert into sessions values (?, ?)", [(n, f"user-{n}") for n in range(count)])
    return path


def config_of(path: Path, name: str = "sessions", warming: Any = None, **settings: Any) -> dict[str, Any]:
    """A configuration with one job over a SQLite file."""
    source = {"type": "sql", "url": f"sqlite:///{path}", "query": "select id, name from sessions"}
    job = {"name": name, "source": source, "key": "session:{id}", **settings}
    return {**SETTINGS, "warming": {"jobs": [job], "lease": "3s", **(warming or {})}}


def jobs(exporter: Exporter) -> dict[str, Any]:
    """The only job of `/api/v1/warming`."""
    (job,) = exporter.get("/api/v1/warming").raise_for_status().json()["jobs"]
    assert isinstance(job, dict)
    return job


def metric(exporter: Exporter, name: str, **labels: str) -> float:
    """The value of one sample of a warming family."""
    found = [value for given, value in exporter.metrics().get(name, []) if labels.items() <= given.items()]
    assert len(found) == 1, (name, labels, found)
    return found[0]


@contextmanager
def readers(server: Server, keys: list[str], pause: float = 0.002, misses: list[int] | None = None) -> Iterator[None]:
    """A thread that reads keys in turn until the end, and counts those that are not there."""
    stop, client = threading.Event(), server.client()

    def work() -> None:
        while not stop.wait(pause):
            for key in keys:
                if client.get(key) is None and misses is not None:
                    misses.append(1)

    with meanwhile(work, stop):
        yield


def test_start_flush_and_what_is_shown(redis_server: Server, start_exporter: StartExporter, tmp_path: Path) -> None:
    """Warm at start, cold after FLUSHALL for seconds only; metrics, JSON and readiness say so; no key is endless."""
    warming = {"ready_timeout": "20s"}
    exporter = start_exporter(
        redis_url=redis_server.url, config=config_of(table(tmp_path / "s.db", 2000), warming=warming)
    )
    client = redis_server.client()

    assert client.dbsize() >= 2000
    job = jobs(exporter)
    assert (job["last"]["trigger"], job["last"]["outcome"], job["leader"]) == ("start", "complete", True)
    assert job["last"]["coverage_ratio"] == 1
    labels = {"target": "redis", "job_name": "sessions"}
    assert metric(exporter, "redis_cache_warming_runs_total", outcome="complete", **labels) == 1
    assert metric(exporter, "redis_cache_warming_runs_total", outcome="failed", **labels) == 0
    assert metric(exporter, "redis_cache_warming_keys_total", result="written", **labels) == 2000
    assert metric(exporter, "redis_cache_warming_run_seconds_count", **labels) == 1
    assert metric(exporter, "redis_cache_warming_coverage_ratio", **labels) == 1
    assert metric(exporter, "redis_cache_warming_leader", **labels) == 1
    assert metric(exporter, "redis_cache_warming_running", **labels) == 0
    assert metric(exporter, "redis_cache_warming_last_success_timestamp_seconds", **labels) > time.time() - 60
    assert set(exporter.metrics("/metrics?collect[]=warming")) >= {"redis_cache_warming_useful_keys_total"}
    assert exporter.get("/api/v1/warming", params={"x": 1}).status_code == 400

    client.flushall()
    wait_for(lambda: client.dbsize() >= 2000, 15, "the cache to be warm again")
    assert wait_for(lambda: jobs(exporter)["last"]["trigger"] == "emptied", 5, "the second run to be told")
    assert all(client.ttl(key) > 0 for key in client.scan_iter("session:*", 500))
    assert exporter._http.post("/api/v1/warming/sessions").status_code == 403


def test_every_runs_again_and_our_writes_are_no_traffic(
    redis_server: Server, start_exporter: StartExporter, tmp_path: Path
) -> None:
    """`every` runs again and again; what we write and renew is nobody's hot key, and no hit or miss."""
    exporter = start_exporter(
        redis_url=redis_server.url, config=config_of(table(tmp_path / "s.db", 50), every="1s", on_start=False)
    )

    wait_for(lambda: metric(exporter, "redis_cache_warming_runs_total", outcome="complete") >= 3, 20, "three runs")

    assert metric(exporter, "redis_cache_warming_keys_total", result="written") == 50
    assert metric(exporter, "redis_cache_warming_keys_total", result="exists") >= 100
    assert exporter.api_hotkeys()["hotkeys"] == []
    assert exporter.metrics().get("redis_keyspace_hit_ratio", []) == []


def test_one_warms_and_the_other_takes_over(
    redis_server: Server, start_exporter: StartExporter, tmp_path: Path
) -> None:
    """Of two daemons one warms; killed in mid-run, the other goes on from there within the lease, and reads on."""
    base = table(tmp_path / "s.db", 3000)
    slow = config_of(base, rate_limit="500/s", batch=50)
    client = redis_server.client()
    first = start_exporter(redis_url=redis_server.url, config=slow)
    wait_for(lambda: client.dbsize() > 200, 20, "the first run")
    second = start_exporter(redis_url=redis_server.url, config=slow)
    wait_for(lambda: metric(second, "redis_cache_warming_runs_total", outcome="not_leader") == 1, 10, "the other")
    assert (metric(first, "redis_cache_warming_leader"), metric(second, "redis_cache_warming_leader")) == (1, 0)
    assert metric(second, "redis_cache_warming_keys_total", result="written") == 0

    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    done, killed = client.dbsize(), time.monotonic()
    wait_for(lambda: metric(second, "redis_cache_warming_running") == 1, 10, "the other to take over")
    took = time.monotonic() - killed
    wait_for(lambda: jobs(second)["last"]["outcome"] == "complete", 20, "the run to be finished")

    report = jobs(second)["last"]
    assert took < 3 + 4  # the lease, and a tick each of the scheduler and of the publication
    assert report["trigger"] == "takeover"
    assert client.dbsize() >= 3000
    assert report["keys"]["exists"] <= 50, "not more than one batch was written again"
    assert report["keys"]["written"] >= 3000 - done


def refreshed(exporter: Exporter) -> float:
    """How many keys were reloaded."""
    return metric(exporter, "redis_cache_warming_keys_total", result="refreshed")


@pytest.mark.parametrize("ahead", [True, False])
def test_refresh_ahead(ahead: bool, redis_server: Server, start_exporter: StartExporter, tmp_path: Path) -> None:
    """Hot keys with a life of 2 s are not missed with refresh-ahead, and are without; what nobody reads expires."""
    base = table(tmp_path / "s.db", 20)
    exporter = start_exporter(
        redis_url=redis_server.url,
        config=config_of(base, ttl="2s", refresh_ahead=ahead, jitter="0%", on_failover=False, policy="nx"),
    )
    misses: list[int] = []
    client = redis_server.client()
    hot = [f"session:{n}" for n in range(5)]
    wait_for(lambda: client.dbsize() >= 20, 10, "the first run")
    if not ahead:
        with readers(redis_server, hot, misses=misses):
            wait_for(lambda: misses, 10, "a miss")
        return
    with readers(redis_server, hot, misses=misses):
        wait_for(lambda: len(exporter.api_hotkeys()["hotkeys"]) >= 5, 10, "the keys to be hot")
        exporter.get("/metrics")
        wait_for(lambda: client.dbsize() < 15, 10, "what nobody reads to expire")
        before = refreshed(exporter)
        wait_for(lambda: refreshed(exporter) >= before + 10, 15, "more")
    assert not misses or sum(misses) < 10
    assert all(client.exists(key) for key in hot)
    assert json.loads(client.get("session:3"))["name"] == "user-3"


def test_snapshot_warms_after_a_flush(redis_server: Server, start_exporter: StartExporter, tmp_path: Path) -> None:
    """The hot set is saved with its values, private to its owner, and what was hot before a flush comes back."""
    job = {"name": "hot", "source": {"type": "snapshot"}, "on_start": False}
    state = tmp_path / "state"
    state.mkdir()
    warming = {"jobs": [job], "state_dir": str(state), "save_every": "1s", "lease": "3s"}
    exporter = start_exporter(redis_url=redis_server.url, config={**SETTINGS, "warming": warming})
    client = redis_server.client()
    for n in range(60):
        client.set(f"item:{n}", f"value {n}", ex=1000)
    hot = [f"item:{n}" for n in range(10)]
    saved = hotset.path_of(state, "redis")
    with readers(redis_server, hot):
        wait_for(lambda: len([one for one in hotset.load(saved) if one.payload]) >= 10, 15, "the hot set to be saved")
        client.flushall()
        wait_for(lambda: client.exists(*hot) == 10, 15, "the hot keys to be back")
    assert saved.stat().st_mode & 0o777 == 0o600
    assert client.get("item:3") == b"value 3"
    assert 0 < client.ttl("item:3") <= 1000
    assert jobs(exporter)["last"]["trigger"] == "emptied"


def test_use_is_attributed(redis_server: Server, start_exporter: StartExporter, tmp_path: Path) -> None:
    """Keys that are read are useful, keys that expire unread are wasted, and nearly all of the time was observed."""
    client = redis_server.client()
    client.mset({f"old:{n}": n for n in range(100)})
    exporter = start_exporter(
        redis_url=redis_server.url,
        config=config_of(table(tmp_path / "s.db", 30), ttl="8s", jitter="0%", on_start=False),
    )
    wait_for(lambda: metric(exporter, "redis_sampling_up") == 1, 15, "the window")
    # Nobody can notice that keys are gone who has not seen them.
    wait_for(lambda: metric(exporter, "redis_db_keys", db="db0") >= 100, 15, "the keys to be seen")
    looks = metric(exporter, "hotkey_exporter_job_runs_total", job_name="warming", outcome="complete")
    wait_for(
        lambda: metric(exporter, "hotkey_exporter_job_runs_total", job_name="warming", outcome="complete") >= looks + 2,
        15,
        "the jobs to look",
    )
    client.flushall()
    wait_for(lambda: jobs(exporter)["last"], 15, "the run")
    for n in range(10):
        client.get(f"session:{n}")

    wait_for(lambda: metric(exporter, "redis_cache_warming_useful_keys_total") == 10, 10, "ten useful keys")
    wait_for(lambda: metric(exporter, "redis_cache_warming_wasted_keys_total") == 20, 20, "twenty wasted keys")
    assert metric(exporter, "redis_cache_warming_attribution_observed_ratio") > 0.9
