"""The server as a process: it starts on a given socket, ends by a signal in time, and sits out bad clients."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
IN_TIME_SECONDS = 3.0  # 2, and what a busy machine adds
PROGRAM = """
import asyncio, socket, sys
from starlette.responses import PlainTextResponse
from exporter.web import connections, server

SOME = b"x" * 3_500_000  # more than the system would take

async def app(scope, receive, send):
    if scope["path"] == "/slow":
        await asyncio.sleep(60)
    if scope["path"] == "/some":
        return await PlainTextResponse(SOME)(scope, receive, send)
    if scope["path"] == "/large":
        return await PlainTextResponse("x" * 50_000_000)(scope, receive, send)
    await PlainTextResponse("fine")(scope, receive, send)

connections.REQUEST_SECONDS = 0.5
server.CONNECTIONS = 40
sock = socket.create_server(("127.0.0.1", 0))
server.serve(app, sock, lambda: print(sock.getsockname()[1], flush=True))
print("returned", sock.fileno(), flush=True)
"""


class Process:
    """The program above, and the port it listens on."""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], cwd=ROOT, text=True, env={**os.environ, "PYTHONWARNINGS": "error"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.popen.stdout is not None
        self.port = int(self.popen.stdout.readline())

    def connect(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def end(self, signum: int) -> tuple[float, int, str, str]:
        """Send a signal; the seconds until the end, the exit code, and the output."""
        began = time.monotonic()
        self.popen.send_signal(signum)
        out, err = self.popen.communicate(timeout=20)
        return time.monotonic() - began, self.popen.returncode, out, err


@pytest.fixture
def process() -> Iterator[Process]:
    """A server to be ended by the test."""
    yield from running()


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    """A server for all tests that leave it running."""
    yield from running()


def running() -> Iterator[Process]:
    """Start a server and end it."""
    process = Process()
    yield process
    process.popen.kill()
    process.popen.communicate()


def get(sock: socket.socket, path: str = "/") -> bytes:
    """Ask and read the answer, or the beginning of the large one."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    received = sock.recv(65536)
    while not received.endswith((b"fine", b"x")):
        received += sock.recv(65536)
    return received


def gone(sock: socket.socket) -> bool:
    """Whether the server closes the connection within the 10 s of its timeout."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_time(process: Process, signum: int) -> None:
    """With idle keep-alive connections open: within 2 s, exit code 0, no traceback, and the caller goes on."""
    with ExitStack() as stack:
        for _ in range(5):
            assert b"200 OK" in get(stack.enter_context(closing(process.connect())))
        stack.enter_context(closing(process.connect()))
        seconds, code, out, err = process.end(signum)
    assert seconds < IN_TIME_SECONDS
    assert (code, out, err) == (0, "returned -1\n", "")


def test_requests_that_hang_do_not_hold_it_up(process: Process) -> None:
    """A request that is being answered, a body that nobody reads, a header that never ends: still within 2 s."""
    with ExitStack() as stack:
        slow, large, partial = (stack.enter_context(closing(process.connect())) for _ in range(3))
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        get(large, "/large")
        partial.sendall(b"GET / HTTP/1.1\r\nHost:")
        seconds, code, out, err = process.end(signal.SIGTERM)
    assert seconds < IN_TIME_SECONDS
    assert (code, out, err) == (0, "returned -1\n", "")


def test_two_signals_are_as_good_as_one(process: Process) -> None:
    """An impatient Ctrl-C, Ctrl-C ends cleanly, too."""
    with closing(process.connect()) as slow:
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        process.popen.send_signal(signal.SIGINT)
        seconds, code, _, err = process.end(signal.SIGINT)
    assert seconds < IN_TIME_SECONDS
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    "first", [b"", b"GET / HTTP/1.1\r\nHost:", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab"]
)
def test_silent_clients_are_cut_off(server: Process, first: bytes) -> None:
    """Who sends nothing, half a header or half a body, is closed after the time limit."""
    with closing(server.connect()) as sock:
        sock.sendall(first)
        assert gone(sock)


def takes_no_more(sock: socket.socket) -> bool:
    """Whether the other end has closed the connection: writing one more byte to it fails."""
    try:
        sock.sendall(b"x")
    except OSError:
        return True
    return False


def test_a_client_that_dribbles_is_cut_off(server: Process) -> None:
    """One byte at a time does not buy more time."""
    with closing(server.connect()) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nX: ")
        wait_for(lambda: takes_no_more(sock), 5, "the server to close the connection")


def test_a_client_that_does_not_read_is_cut_off(server: Process) -> None:
    """An answer that nobody reads holds a connection no longer than it might have taken, and a moment."""
    with closing(server.connect()) as sock:
        sock.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 0.5\r\n\r\n")
        sock.recv(1)
        wait_for(lambda: takes_no_more(sock), 10, "the server to close the connection")


def test_clients_that_do_not_read_leave_room_for_others(server: Process) -> None:
    """More of them than there may be connections, each with the next request waiting for the last answer to be read."""
    with ExitStack() as stack:
        for _ in range(45):
            sock = stack.enter_context(closing(server.connect()))
            sock.sendall(b"GET /some HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
            sock.recv(1)
        with closing(server.connect()) as other:
            assert b"200 OK" in get(other)


def test_a_large_answer_gets_through(server: Process) -> None:
    """All of it, to who reads."""
    with closing(server.connect()) as sock:
        sock.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = 0
        while data := sock.recv(1 << 20):
            received += len(data)
    assert received > 50_000_000


def test_a_connection_may_idle_between_requests(server: Process) -> None:
    """The time limit is for sending a request: Prometheus keeps its connection from scrape to scrape."""
    with closing(server.connect()) as sock:
        assert b"200 OK" in get(sock)
        # Longer than the limit: until a connection that was made later and says nothing has been cut off.
        with closing(server.connect()) as silent:
            assert gone(silent)
        assert b"200 OK" in get(sock)


def test_a_request_may_arrive_in_pieces(server: Process) -> None:
    """Any split of a request is answered, and several requests in one packet each get their answer."""
    with closing(server.connect()) as sock:
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n":
            sock.sendall(bytes([byte]))
        assert b"200 OK" in sock.recv(65536)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        received = b""
        while received.count(b"fine") < 3:
            received += sock.recv(65536)


def test_garbage_is_refused(process: Process) -> None:
    """What is not HTTP gets a 400 and no line in the log; the next client is served."""
    with closing(process.connect()) as sock:
        sock.sendall(bytes(range(256)) * 100)
        assert b" 400 " in sock.recv(65536)
    with closing(process.connect()) as sock:
        assert b"200 OK" in get(sock)
    assert process.end(signal.SIGTERM)[1:] == (0, "returned -1\n", "")


def test_answers_do_not_wait_for_an_acknowledgement(server: Process) -> None:
    """Many requests over one connection take far less than the 40 ms of a delayed ACK each."""
    with closing(server.connect()) as sock:
        get(sock)
        began = time.monotonic()
        for _ in range(50):
            get(sock)
        assert time.monotonic() - began < 50 * 0.020


def test_nothing_names_the_server_software(server: Process) -> None:
    """No Server header."""
    with closing(server.connect()) as sock:
        assert b"server:" not in get(sock).lower()
