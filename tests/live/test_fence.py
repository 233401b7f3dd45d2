"""`policy: fenced` on real servers: nothing that was invalidated meanwhile stays; who cannot know, fails closed."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import load
from exporter.warm import surroundings
from exporter.warming import fence
from exporter.warming.goals import goal_of
from exporter.warming.items import Outcome, Reason
from exporter.warming.progress import Progress, Report
from exporter.warming.runner import Request, Runner
from tests.meanwhile import meanwhile
from tests.servers import KINDS
from tests.warming.adversary import adversary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.monitor.stream import Streams
    from tests.servers import Server, StartServer

FILLS = 1500
LONG = 20_000
MANY = 200
TRIES = 5
CONFIG = """
targets: [{{name: cache, url: "{url}"}}]
sampling: {{events_per_second: {events}}}
warming:
  jobs:
    - name: s
      source: {{type: python, call: "tests.warming.adversary:records"}}
      key: "session:{{id}}"
      value: {{type: string, field: v}}
      policy: {policy}
      batch: 20
      max_keys: {keys}
      ttl: 10m
"""


def run(
    url: str, directory: Path, policy: str = "fenced", *, keys: int = FILLS, events: int = 5000,
    act: Callable[[Streams], None] | None = None,
) -> Report:  # fmt: skip
    """Run the job once, watched as `warm` does it; `act` once 200 keys are done."""
    path = directory / "fence.yaml"
    path.write_text(CONFIG.format(url=url, policy=policy, keys=keys, events=events))
    config = load(path, environ={})
    [job] = config.warming.jobs
    progress, ended = Progress(), threading.Event()
    with surroundings(config, job) as (topology, streams):

        def work() -> None:
            while progress.asked <= MANY and not ended.wait(0.002):
                pass
            if act is not None and not ended.is_set():
                act(streams)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            return Runner(job, goal_of(config, job), topology, threading.Event(), streams=streams).run(
                Request("test"), progress
            )
        finally:
            ended.set()
            thread.join()


def tried(server: Server, directory: Path, wanted: Callable[[Report], bool], url: str = "", **options: Any) -> Report:
    """A run that came as far as is `wanted`. Whatever a busy machine does to a stream, no try leaves anything stale."""
    reports = []
    for _ in range(TRIES):
        server.client().flushall()
        with adversary(server.url, "session:") as enemy:
            reports.append(run(url or server.url, directory, **options))
        assert enemy.stale(server.client()) == []
        if wanted(reports[-1]):
            return reports[-1]
    pytest.fail(f"no try came so far: {reports}")


def many(report: Report) -> bool:
    """Whether a run had done something when it ended."""
    return sum(report.keys.values()) > MANY


def complete(report: Report) -> bool:
    """Whether a run came to its end."""
    return report.outcome is Outcome.COMPLETE


def url_of(server: Server, kind: str) -> str:
    """By TCP or by the unix socket, where all clients look alike."""
    return f"unix://{server.unixsocket}" if kind == "unix" else server.url


@pytest.mark.parametrize("server_kind", ["redis-6.2", "redis-7.0", "valkey-9.1", "unix"])
def test_nothing_stale_is_left(server_kind: str, start_server: StartServer, tmp_path: Path) -> None:
    """1,500 fills, each invalidated around our write by four threads in ten ways: `nx` leaves many stale, we none."""
    binary = "redis-7.0" if server_kind == "unix" else server_kind
    if KINDS[binary].binary is None:
        pytest.skip("not installed")
    server = start_server(binary, unixsocket=server_kind == "unix")

    if server_kind == "redis-7.0":
        with adversary(server.url, "session:") as bare:
            run(server.url, tmp_path, "nx")
        assert len(bare.stale(server.client())) > 0.4 * FILLS, "the test is not adversarial"

    report = tried(server, tmp_path, complete, url_of(server, server_kind))

    assert sum(report.keys.values()) == FILLS
    assert report.keys["undone"] + report.keys["skipped"] > 0.4 * FILLS, "somebody must have been in between"


def kill_monitors(server: Server) -> int:
    """End every MONITOR connection; how many there were."""
    client, ended = server.client(), 0
    clients: Any = client.client_list()
    for one in clients:
        if "O" in one["flags"]:
            ended += int(client.execute_command("CLIENT", "KILL", "ID", one["id"]))
    return ended


def test_a_stream_that_ends_fails_closed(redis_server: Server, tmp_path: Path) -> None:
    """MONITOR is killed in mid-run: what was not proved is taken back, the run `aborted`, and nothing stale is left."""
    report = tried(redis_server, tmp_path, many, keys=LONG, act=lambda _: kill_monitors(redis_server))

    assert (report.outcome, report.reason) == (Outcome.ABORTED, Reason.STREAM), report
    assert sum(report.keys.values()) < LONG


def test_a_stream_that_is_late_fails_closed(
    redis_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream falls silent without an end: after MARK_SECONDS all that is not proved is taken back."""
    monkeypatch.setattr(fence, "MARK_SECONDS", 0.5)

    def stall(streams: Streams) -> None:
        for tap in streams._taps.values():
            tap.feed = lambda chunk: None  # type: ignore[method-assign]

    report = tried(redis_server, tmp_path, many, keys=LONG, act=stall)

    assert (report.outcome, report.reason) == (Outcome.ABORTED, Reason.STREAM), report
    assert sum(report.keys.values()) < LONG


@contextmanager
def load_on(server: Server) -> Iterator[None]:
    """Somewhat less than 1,000 reads a second."""
    stop, client = threading.Event(), server.client()

    def work() -> None:
        while not stop.wait(0.01):
            with client.pipeline(transaction=False) as pipe:
                for _ in range(10):
                    pipe.get("other")
                pipe.execute()

    with meanwhile(work, stop):
        yield


def test_without_the_whole_stream_nothing_is_written(
    redis_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the stream does not fit the budget, the run is `aborted` before its first write."""
    monkeypatch.setattr(fence, "LIVE_SECONDS", 1.5)
    with load_on(redis_server), adversary(redis_server.url, "session:"):
        report = run(redis_server.url, tmp_path, events=100)

    assert (report.outcome, report.reason) == (Outcome.ABORTED, Reason.STREAM), report
    assert sum(report.keys.values()) == 0
    assert redis_server.client().dbsize() == 0


def test_a_flush_in_mid_run_ends_it(redis_server: Server, tmp_path: Path) -> None:
    """FLUSHALL says that nothing cached is right: what was read before it is not written behind it."""
    client = redis_server.client()

    report = tried(redis_server, tmp_path, many, keys=LONG, act=lambda _: client.flushall())

    assert (report.outcome, report.reason) == (Outcome.ABORTED, Reason.STREAM), report
    assert client.dbsize() < MANY


def test_it_leaves_room_for_others(redis_server: Server, tmp_path: Path) -> None:
    """A fenced run beside a load stays within what the budget leaves, so that the stream is seen to its end."""
    with load_on(redis_server):
        report = tried(redis_server, tmp_path, complete, keys=2500, events=2500)

    assert report.seconds > 1
