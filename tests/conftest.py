"""Fixtures for all tests: real servers to start, TLS material, and the proof that nothing stays behind."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import hypothesis
import psutil
import pytest

from exporter.log import setup
from exporter.redaction import forget_secrets
from tests.loglines import Lines
from tests.servers import FAILED, KINDS, Server, TlsFiles, make_tls, runs, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import StartServer

# How long one example takes is the machine's business, not a promise.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
RUN_MARK = "HOTKEY_EXPORTER_TEST_RUN"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever starts a server is a live test, and so is all that stands in tests/live."""
    for item in items:
        if "start_server" in getattr(item, "fixturenames", ()) or item.path.parent.name == "live":
            item.add_marker(pytest.mark.live)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember which tests failed, so that fixtures can show the logs of their processes."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Every process that a test started, directly or not, has ended when the session does."""
    run = os.environ[RUN_MARK] = uuid.uuid4().hex  # inherited by all that is started from here

    def leftovers() -> list[psutil.Process]:
        return [p for p in psutil.process_iter() if p.pid != os.getpid() and runs(p) and _mark_of(p) == run]

    yield
    wait_for(lambda: not leftovers(), 2, f"these processes to end: {leftovers()}")


def _mark_of(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(RUN_MARK, ""))
    except psutil.Error:
        return ""


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate authority, a server certificate and a client certificate."""
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def start_server(request: pytest.FixtureRequest) -> Iterator[StartServer]:
    """Start any number of servers; all are ended after the test, their logs shown if it failed."""
    servers: list[Server] = []

    def start(kind: str = "", *args: str, **options: Any) -> Server:
        server = Server(kind or default_kind(), *args, **options)
        servers.append(server)
        return server.start()

    with ExitStack() as stack:
        yield start
        for server in servers:
            stack.callback(server.stop)
            if request.node.stash.get(FAILED, False):
                print(f"--- log of {server.kind} on {server.addr}\n{server.log}")


def default_kind() -> str:
    """Redis 7.0, or the first kind that is installed."""
    kinds = [KINDS["redis-7.0"], *KINDS.values()]
    return next((kind.name for kind in kinds if kind.binary), "redis-7.0")


@pytest.fixture
def redis_server(start_server: StartServer) -> Server:
    """A fresh Redis 7.0, or the first server that is installed."""
    return start_server()


@pytest.fixture(params=KINDS)
def any_server(request: pytest.FixtureRequest, start_server: StartServer) -> Server:
    """A fresh server of every kind in turn."""
    return start_server(request.param)


@pytest.fixture
def start_logging(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Lines]]:
    """A function that sets logging up; everything is undone afterwards."""
    undo: list[Callable[[], None]] = []

    def begin(level: str = "info", form: str | None = "json") -> Lines:
        lines = Lines(capsys)
        undo.append(setup(level, form, lines.counted.append))
        return lines

    yield begin
    for step in reversed(undo):
        step()
    forget_secrets()
