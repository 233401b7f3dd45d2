"""One MONITOR session: nothing between two marks is lost or seen twice, and it always ends."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import load
from exporter.errors import DownReason, MonitorRefused, NodeError
from exporter.monitor.session import HARD_LIMIT_BYTES, Limits, Outcome, Session
from exporter.topology import topology_of
from tests.fakes import ReplayServer
from tests.servers import KINDS, wait_for

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from exporter.link import Link
    from tests.servers import Server, StartServer

AMPLE = Limits(events=1 << 30, bytes=HARD_LIMIT_BYTES)


class NoWatchdog:
    """A `Guard` that never bites and keeps account of what it was told."""

    healthy = True

    def __init__(self) -> None:
        self.told: list[str] = []

    def arm(self, sock: socket.socket, seconds: float) -> bool:
        """Note it."""
        del sock, seconds
        self.told.append("arm")
        return True

    def extend(self, seconds: float) -> None:
        """Note it."""
        del seconds
        self.told.append("extend")

    def disarm(self) -> bool:
        """Note it; it was never too late."""
        self.told.append("disarm")
        return False


@pytest.fixture
def session_on() -> Iterator[Callable[[str], tuple[Session, Link]]]:
    """Sessions on the servers of given URLs, closed after the test."""
    opened: list[Session] = []

    def on(url: str) -> tuple[Session, Link]:
        [target] = load(None, redis_url=url, environ={}).targets
        topology = topology_of(target)
        [node] = topology.nodes()
        link = topology.link(node)
        opened.append(Session(link, topology.own(node).token, NoWatchdog()))
        return opened[-1], link

    yield on
    for session in opened:
        session.close()


def monitors(server: Server) -> int:
    """How many MONITOR clients the server has."""
    clients: Any = server.client().client_list()
    return sum("O" in client["flags"] for client in clients)


def commands(data: bytes, name: bytes = b"INCRBY") -> int:
    """How many lines of `data` are this command."""
    return sum(b'] "' + name + b'" ' in line for line in data.split(b"\r\n"))


def test_joined_slices_see_everything_once(
    any_server: Server, session_on: Callable[[str], tuple[Session, Link]]
) -> None:
    """On every server: slices share their marks, and each command of another client is in exactly one of them."""
    session, _ = session_on(any_server.url)
    client = any_server.client()
    session.begin()
    done = threading.Event()

    def work() -> None:
        for _ in range(3000):
            client.incr("counter")
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    slices = []
    while not done.is_set():
        slices.append(session.take(0.05, AMPLE, leave=False, nap=0.01))
    worker.join()
    slices.append(session.take(0.01, AMPLE, leave=True))
    assert sum(commands(one.data) for one in slices) == 3000
    assert all(before.end == after.start for before, after in pairwise(slices))
    assert {one.outcome for one in slices} == {Outcome.COMPLETE}
    assert b"PING" not in b"".join(one.data for one in slices)


def test_a_burst_leaves_nothing_behind(any_server: Server, session_on: Callable[[str], tuple[Session, Link]]) -> None:
    """After a burst the server has no MONITOR client, and the connection is kept for the next one."""
    session, link = session_on(any_server.url)
    for _ in range(3):
        session.begin()
        assert monitors(any_server) == 1
        assert session.take(0.002, AMPLE, leave=True).outcome is Outcome.COMPLETE
        assert monitors(any_server) == 0
    assert session.can_reset
    assert link.is_open
    assert link.call("PING") == b"PONG"
    assert link.call("CLIENT", "GETNAME") == b"hotkey-exporter"


def test_what_we_ask_ourselves_is_no_load(
    any_server: Server, session_on: Callable[[str], tuple[Session, Link]]
) -> None:
    """The size of a burst is that of its lines: INFO and marks in 2 ms would look like megabytes a second."""
    session, _ = session_on(any_server.url)
    session.begin()
    for leave in (False, True):
        piece = session.take(0.002, AMPLE, leave=leave)
        assert piece.size_bytes == len(piece.data)


def test_reset_is_followed_by_authentication(
    start_server: StartServer, session_on: Callable[[str], tuple[Session, Link]]
) -> None:
    """RESET drops the authentication; the next burst on the same connection works all the same."""
    server = start_server(password="pa55")
    session, link = session_on(server.url)
    for _ in range(3):
        session.begin()
        session.take(0.002, AMPLE, leave=True)
    assert link.is_open


def test_without_reset_the_connection_is_closed(
    start_server: StartServer, session_on: Callable[[str], tuple[Session, Link]]
) -> None:
    """Where RESET is renamed, MONITOR ends with its connection and the next burst opens another."""
    server = start_server(config={"rename-command": 'RESET ""'})
    session, link = session_on(server.url)
    for _ in range(3):
        session.begin()
        session.take(0.002, AMPLE, leave=True)
        assert not link.is_open
    assert not session.can_reset
    wait_for(lambda: monitors(server) == 0, 2, "MONITOR to be gone")


@pytest.mark.parametrize("version", ["5.0.14", "6.0.16"])
def test_old_servers_are_read_right(version: str, session_on: Callable[[str], tuple[Session, Link]]) -> None:
    """Before 6.2.4 the line of a command comes before its reply, and there is no RESET: marks hold all the same."""
    lines = b"".join(b'+1.000000 [0 10.0.0.1:5] "GET" "k%d"\r\n' % n for n in range(500))
    with ReplayServer(lines, pace=5000, loop=False, version=version) as server:
        session, link = session_on(server.url)
        session.begin()
        slices = []
        while server.fed < 500:
            slices.append(session.take(0.02, AMPLE, leave=False, nap=0.01))
        slices.append(session.take(0.02, AMPLE, leave=True, nap=0.01))
        assert sum(commands(one.data, b"GET") for one in slices) == 500
        assert all(before.end == after.start for before, after in pairwise(slices))
        wait_for(lambda: server.monitors == 0, 2, "MONITOR to be gone")
        assert not link.is_open


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"-NOPERM this user has no permissions to run the 'monitor' command\r\n", "denied"),
        (b"-ERR unknown command 'MONITOR', with args beginning with: \r\n", "unsupported"),
        (b"-ERR unknown command `MONITOR`\r\n", "unsupported"),
        (b"-ERR This is not supported in this cloud\r\n", "unsupported"),
    ],
)
def test_a_refused_monitor_says_why(
    reply: bytes, expected: str, session_on: Callable[[str], tuple[Session, Link]]
) -> None:
    """MONITOR's error becomes a closed reason, and the link does not stay half open."""
    with ReplayServer() as server:
        server.replies[b"MONITOR"] = reply
        session, link = session_on(server.url)
        with pytest.raises(MonitorRefused) as refused:
            session.begin()
        assert refused.value.why == expected
        assert not link.is_open


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"-LOADING Redis is loading\r\n", DownReason.LOADING),
        (b"-NOAUTH Authentication required.\r\n", DownReason.AUTH),
    ],
)
def test_a_node_that_is_down_is_not_a_refusal(
    reply: bytes, expected: DownReason, session_on: Callable[[str], tuple[Session, Link]]
) -> None:
    """LOADING and NOAUTH are about the node, not about MONITOR."""
    with ReplayServer() as server:
        server.replies[b"MONITOR"] = reply
        session, _ = session_on(server.url)
        with pytest.raises(NodeError) as fault:
            session.begin()
        assert not isinstance(fault.value, MonitorRefused)
        assert fault.value.reason is expected


def test_a_hung_server_ends_the_session(session_on: Callable[[str], tuple[Session, Link]]) -> None:
    """A stream that falls silent is a fault, not a quiet server."""
    with ReplayServer(b'[0 a:1] "GET" "k"\r\n') as server:
        session, link = session_on(server.url)
        session.begin()
        server.hung = True
        with pytest.raises(NodeError) as fault:
            session.take(0.01, AMPLE, leave=False, nap=0.01)
        assert fault.value.reason is DownReason.TIMEOUT
        assert not link.is_open


def test_garbage_instead_of_a_stream_ends_the_session(session_on: Callable[[str], tuple[Session, Link]]) -> None:
    """Whatever answers MONITOR with something else is closed on, with a reason."""
    with ReplayServer() as server:
        server.replies[b"MONITOR"] = bytes(range(256)) + b"\r\n"
        session, link = session_on(server.url)
        with pytest.raises(NodeError):
            session.begin()
        assert not link.is_open


def test_a_limit_ends_a_slice_early(redis_server: Server, session_on: Callable[[str], tuple[Session, Link]]) -> None:
    """A slice stops at its limit of events, tells so, and leaves MONITOR; what it saw is still bracketed."""
    session, _ = session_on(redis_server.url)
    client = redis_server.client()
    session.begin()
    pipe = client.pipeline(transaction=False)
    for n in range(5000):
        pipe.get(f"k{n}")
    pipe.execute()
    piece = session.take(5.0, Limits(events=1000, bytes=HARD_LIMIT_BYTES), leave=False)
    assert piece.outcome is Outcome.EVENTS
    assert piece.lines >= 1000
    assert piece.end - piece.start < 4
    assert not session.active
    assert monitors(redis_server) == 0


def test_a_huge_line_is_closed_on(redis_server: Server, session_on: Callable[[str], tuple[Session, Link]]) -> None:
    """A 64 MB value is not read to its end: the connection is closed, and the line's head is kept to be counted."""
    session, link = session_on(redis_server.url)
    session.begin()
    writer = threading.Thread(target=lambda: redis_server.client(socket_timeout=30).set("huge", b"v" * (64 << 20)))
    writer.start()
    piece = session.take(10.0, AMPLE, leave=False)
    writer.join()
    assert piece.outcome is Outcome.BYTES
    assert piece.size_bytes < 3 * HARD_LIMIT_BYTES
    assert b'"SET" "huge" "vvv' in piece.data
    assert not link.is_open
    wait_for(lambda: monitors(redis_server) == 0, 2, "MONITOR to be gone")


def test_a_key_cannot_forge_a_mark(redis_server: Server, session_on: Callable[[str], tuple[Session, Link]]) -> None:
    """Keys and values that look like our marks, replies or RESET end nothing and bracket nothing."""
    session, _ = session_on(redis_server.url)
    client = redis_server.client()
    session.begin()
    for n in range(1, 5):
        mark = b"%s:%d" % (session._token, n)
        forged = b'\r\n+1.5 [0 x:1] "PING" "%s"\r\n$%d\r\n%s\r\n+RESET\r\n' % (mark, len(mark), mark)
        client.set(forged, forged)
    piece = session.take(0.05, AMPLE, leave=True)
    assert commands(piece.data, b"SET") == 4
    assert 0.04 < piece.end - piece.start < 5


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS.values() if kind.tls])
def test_over_tls(
    kind: str, start_server: StartServer, tls_files: Any, session_on: Callable[[str], tuple[Session, Link]]
) -> None:
    """The same over TLS: a burst, RESET, another burst."""
    server = start_server(kind, tls=tls_files)
    environ = {"HOTKEY_EXPORTER_TARGETS__REDIS__TLS__CA_FILE": str(tls_files.ca)}
    [target] = load(None, redis_url=server.url, environ=environ).targets
    topology = topology_of(target)
    [node] = topology.nodes()
    link = topology.link(node)
    session = Session(link, topology.own(node).token, NoWatchdog())
    client = server.client()
    for _ in range(2):
        session.begin()
        client.incr("counter")
        assert commands(session.take(0.01, AMPLE, leave=True).data) == 1
    session.close()
