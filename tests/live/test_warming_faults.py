"""Bad sources, and servers that die, fill up or are demoted in mid-run: right outcomes and counts, and no harm done."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import load
from exporter.topology import topology_of
from exporter.warming.goals import goal_of, target_of
from exporter.warming.items import Outcome, Reason
from exporter.warming.progress import Progress, Report
from exporter.warming.runner import Request, Runner
from tests.servers import wait_for
from tests.warming import sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

    from tests.servers import Server, StartServer

COPIES = """
targets: [{{name: cache, url: "{url}"}}]
warming: {{jobs: [{{name: copies, source: {{type: redis, url: "{source}"}}, ttl: 10m}}]}}
"""
CONFIG = """
targets: [{{name: cache, url: "{url}"}}]
warming:
  lease: 2s
  jobs:
    - name: s
      source: {source}
      key: "session:{{id}}"
      ttl: 10m
      {settings}
"""


@pytest.fixture(autouse=True)
def _release() -> Iterator[None]:
    """Whoever hangs in a source is let go at the end."""
    sources.hang.clear()
    yield
    sources.hang.set()


class Job:
    """A job that can be run again and again, as in the daemon."""

    def __init__(self, server: Server, directory: Path, source: str, *settings: str) -> None:
        path = directory / "job.yaml"
        if not source.startswith("{"):
            source = f'{{type: python, call: "tests.warming.sources:{source}", timeout: 1s}}'
        path.write_text(CONFIG.format(url=server.url, source=source, settings="\n      ".join(settings)))
        config = load(path, environ={})
        [job] = config.warming.jobs
        topology = topology_of(target_of(config, job))
        self.runner = Runner(job, goal_of(config, job), topology, threading.Event())

    def run(self, limit: int = 1000, meanwhile: Callable[[Progress], None] | None = None) -> Report:
        """Run once, and `meanwhile` in a thread beside it."""
        progress = Progress()
        thread = threading.Thread(target=meanwhile or (lambda _: None), args=(progress,))
        thread.start()
        report = self.runner.run(Request("test", limit=limit), progress)
        thread.join(20)
        return report


def counted(report: Report) -> dict[str, int]:
    """The results that occurred."""
    return {result: count for result, count in report.keys.items() if count}


def endless(client: redis.Redis) -> list[bytes]:
    """Warmed keys that never expire."""
    keys: Any = client.keys("session:*")
    return [key for key in keys if client.ttl(key) == -1]


def after(count: int, act: Callable[[], object]) -> Callable[[Progress], None]:
    """Do something once so many keys have been asked for."""

    def work(progress: Progress) -> None:
        wait_for(lambda: progress.asked >= count, 20, "the run to be on its way")
        act()

    return work


def test_a_source_that_hangs(redis_server: Server, tmp_path: Path) -> None:
    """What it gave is warm, the run ends after its timeout, and while it still hangs it is not asked again."""
    job = Job(redis_server, tmp_path, "hangs_in_the_middle")

    first, second = job.run(), job.run()

    assert (first.outcome, first.reason) == (Outcome.PARTIAL, Reason.SOURCE), first
    assert first.detail.startswith("timeout:")
    assert counted(first) == {"written": 500}
    assert (second.outcome, second.reason) == (Outcome.FAILED, Reason.BUSY)
    assert redis_server.client().dbsize() >= 500


def test_a_source_that_fails(redis_server: Server, tmp_path: Path) -> None:
    """What it gave is warm; its words, which may hold secrets, are not repeated; after three times it has a rest."""
    job = Job(redis_server, tmp_path, "fails_in_the_middle")

    reports = [job.run() for _ in range(4)]

    assert [(one.outcome, one.reason) for one in reports[:3]] == [(Outcome.PARTIAL, Reason.SOURCE)] * 3
    assert (reports[3].outcome, reports[3].reason) == (Outcome.FAILED, Reason.BACKOFF)
    assert reports[0].detail == "call: the function failed with RuntimeError"
    assert (counted(reports[0]), counted(reports[1])) == ({"written": 500}, {"exists": 500})


def test_everything_that_a_source_should_not_give(redis_server: Server, tmp_path: Path) -> None:
    """10 MB items, duplicates, wrong columns, garbage and nothing at all cost themselves only, and are counted."""
    client = redis_server.client()
    client.set("session:7", "fresher", ex=1000)
    job = Job(redis_server, tmp_path, "mixed", "max_source_errors: 100%")

    report = job.run(1510)

    assert (report.outcome, report.reason) == (Outcome.PARTIAL, Reason.ITEMS), report
    assert report.keys["written"] + report.keys["exists"] == 1000
    assert report.faults == {"too_large": 10, "duplicate": 100, "field": 200, "garbage": 200}
    assert client.get("session:7") == b"fresher"
    assert not endless(client)
    assert client.memory_stats()["dataset.bytes"] < 5_000_000


def test_too_many_bad_records_end_it(redis_server: Server, tmp_path: Path) -> None:
    """By default a source of which more than a tenth cannot be read is not read to its end."""
    report = Job(redis_server, tmp_path, "mixed").run(1600)

    assert (report.outcome, report.reason) == (Outcome.ABORTED, Reason.SOURCE_ERRORS), report
    assert sum(report.keys.values()) < 400


def test_a_server_that_dies(redis_server: Server, tmp_path: Path) -> None:
    """The run is partial; once the server is back the next one warms what is missing."""
    job = Job(redis_server, tmp_path, "many", "rate_limit: 2000/s", "batch: 50")

    broken = job.run(3000, after(1000, redis_server.kill))
    redis_server.restart()
    report = job.run(1500)

    assert (broken.outcome, broken.reason) == (Outcome.PARTIAL, Reason.NODE), broken
    assert 1000 <= sum(broken.keys.values()) < 3000
    assert report.outcome is Outcome.COMPLETE, report
    assert redis_server.client().keys("session:*")
    assert not endless(redis_server.client())


def test_a_server_that_fills_up(start_server: StartServer, tmp_path: Path) -> None:
    """Neither an eviction nor a full server: the run ends as `memory`, before or with the server's first refusal."""
    for share, policy in (("100%", "noeviction"), ("80%", "allkeys-lru")):
        server = start_server(config={"maxmemory": "4mb", "maxmemory-policy": policy})
        client = server.client()

        report = Job(server, tmp_path, "many", f"max_memory: {share}").run(50_000)

        assert (report.outcome, report.reason) == (Outcome.ABORTED, Reason.MEMORY), report
        assert report.keys["written"] > 100
        assert client.info("stats")["evicted_keys"] == 0
        assert not endless(client)


def test_copies_that_are_far_larger_than_what_is_sent(start_server: StartServer, tmp_path: Path) -> None:
    """A DUMP is compressed: few bytes fill a server, and others' keys stay there nevertheless."""
    source = start_server().client()
    for n in range(400):
        source.set(f"k{n}", b"x" * 200_000)
    server = start_server(config={"maxmemory": "20mb", "maxmemory-policy": "allkeys-lru"})
    server.client().mset({f"theirs{n}": "x" * 100 for n in range(1000)})
    path = tmp_path / "copies.yaml"
    port = source.connection_pool.connection_kwargs["port"]
    path.write_text(COPIES.format(url=server.url, source=f"redis://127.0.0.1:{port}"))
    config = load(path, environ={})
    [job] = config.warming.jobs

    report = Runner(job, goal_of(config, job), topology_of(target_of(config, job)), threading.Event()).run(
        Request("test"), Progress()
    )

    assert (report.outcome, report.reason) == (Outcome.ABORTED, Reason.MEMORY), report
    assert server.client().info("stats")["evicted_keys"] == 0
    assert report.keys["written"] > 10


def test_a_primary_that_becomes_a_replica(start_server: StartServer, tmp_path: Path) -> None:
    """The run ends as `role`: whoever is demoted is not written to."""
    server, other = start_server(), start_server()
    demote = lambda: server.client().replicaof("127.0.0.1", str(other.port))  # noqa: E731

    report = Job(server, tmp_path, "many", "rate_limit: 2000/s", "batch: 50").run(20_000, after(500, demote))

    assert report.reason in {Reason.ROLE, Reason.NODE}, report
    assert report.outcome in {Outcome.ABORTED, Outcome.PARTIAL}
    assert sum(report.keys.values()) < 20_000


def test_a_run_over_an_ordered_source_is_gone_on_with(redis_server: Server, tmp_path: Path) -> None:
    """A file is gone on with where the run was that a dying connection ended: nothing is written twice."""
    lines = tmp_path / "s.jsonl"
    lines.write_text("".join(f'{{"id": {number}}}\n' for number in range(3000)))
    source = f'{{type: file, path: "{lines}"}}'
    job = Job(redis_server, tmp_path, source, "rate_limit: 2000/s", "batch: 50")
    client = redis_server.client()

    first = job.run(5000, after(1000, lambda: client.client_kill_filter(_type="normal", skipme=True)))
    # The lease was lost with its connection: until it ends, nobody else is leader.
    second = wait_for(lambda: (report := job.run(5000)).outcome is not Outcome.NOT_LEADER and report, 20, "the lease")

    assert (first.outcome, first.reason) == (Outcome.PARTIAL, Reason.NODE), first
    assert second.outcome is Outcome.COMPLETE, second
    assert second.resumed >= 950
    assert second.keys["exists"] <= 50
    assert client.dbsize() == 3000
