"""The stand-ins behave like what they stand in for."""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from tests.fakes import GARBAGE, FakeClock, ReplayServer, quoted
from tests.servers import wait_for

LINES = (
    b'+OK\r\n+1795397118.891758 [0 127.0.0.1:38914] "GET" "a"\r\n+1795397118.892105 [3 127.0.0.1:1] "SET" "b" "v"\r\n'
)


def client_of(server: ReplayServer, **options: Any) -> redis.Redis:
    """A client that does not try again."""
    options = {"port": server.port, "password": server.password or None, **options}
    return redis.Redis(retry=Retry(NoBackoff(), 0), socket_timeout=1, **options)


def talk(server: ReplayServer, request: bytes, until: bytes) -> bytes:
    """Everything that comes back for some inline commands, up to `until`."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=2) as link:
        link.sendall(request)
        while until not in received:
            received += link.recv(65536)
    return received


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_talks_to_it(protocol: int) -> None:
    """A stock client connects, and reads INFO, COMMAND, its id and name as from an old Redis."""
    with ReplayServer(password="pw") as server, client_of(server, protocol=protocol, client_name="me") as client:
        assert client.info()["redis_version"] == "6.0.16"
        assert client.client_getname() in {"me", b"me"}
        assert client.command()["mget"]["first_key_pos"] == 1
        assert client.get("absent") is None
        with pytest.raises(redis.ResponseError, match="unknown command"):
            client.execute_command("RESET")


def test_monitor_shows_a_command_before_its_reply() -> None:
    """As before 6.2.4: the monitor's own PING is fed to it before its PONG, in the database that it was sent in."""
    with ReplayServer() as server:
        lines = talk(server, b"SELECT 2\r\nMONITOR\r\nSELECT 5\r\nPING\r\n", b"+PONG").splitlines()
    assert lines[:2] == [b"+OK", b"+OK"]
    assert lines[2].endswith(b'"SELECT" "5"')
    assert b" [2 127.0.0.1:" in lines[2]
    assert lines[3] == b"+OK"
    assert lines[4].endswith(b'"PING"')
    assert lines[5] == b"+PONG"


def test_lines_pass_once_while_somebody_monitors() -> None:
    """Without a loop each captured line is fed exactly once, unchanged but for its time; nothing passes unseen."""
    with ReplayServer(LINES * 50, loop=False, pace=5_000) as server:
        assert client_of(server).ping()
        assert server.fed == 0
        with socket.create_connection(("127.0.0.1", server.port), timeout=2) as link:
            link.sendall(b"MONITOR\r\n")
            stream = link.makefile("rb")
            assert stream.readline() == b"+OK\r\n"
            lines = [stream.readline() for _ in range(100)]
            stream.close()
        wait_for(lambda: server.monitors == 0, 2, "the monitor to be seen leaving")
    bodies = Counter(line.partition(b" ")[2] for line in lines)
    assert bodies == {b'[0 127.0.0.1:38914] "GET" "a"\r\n': 50, b'[3 127.0.0.1:1] "SET" "b" "v"\r\n': 50}
    assert server.fed == 100


def test_it_misbehaves_as_told() -> None:
    """Errors to one command or to all, a turned-away client, garbage and silence can be had, and end again."""
    with ReplayServer(password="pw") as server, client_of(server) as client:
        server.replies[b"MONITOR"] = b"-NOPERM this user has no permissions to run the 'monitor' command\r\n"
        with pytest.raises(NoPermissionError):
            client.execute_command("MONITOR")
        server.replies[b"*"] = b"-LOADING Redis is loading the dataset in memory\r\n"
        with pytest.raises(redis.BusyLoadingError):
            client.ping()
        server.replies.clear()
        server.greeting = b"-ERR max number of clients reached\r\n"
        with pytest.raises(redis.ConnectionError):
            client_of(server).ping()
        server.greeting = b""
        with client_of(server, password="wrong") as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        server.hung = True
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.hung = False
        assert client.ping()
        server.replies[b"INFO"] = GARBAGE
        with pytest.raises(redis.RedisError):
            client.info()


def test_clients_are_listed_and_killed() -> None:
    """CLIENT LIST marks the monitor, and CLIENT KILL ID ends it."""
    with ReplayServer(LINES) as server, client_of(server) as client, client_of(server) as other:
        other.execute_command("PING")
        with socket.create_connection(("127.0.0.1", server.port), timeout=2) as link:
            link.sendall(b"MONITOR\r\n")
            wait_for(lambda: server.monitors == 1, 2, "the monitor")
            monitor = next(row for row in client.client_list() if row["flags"] == "O")
            assert client.execute_command("CLIENT", "KILL", "ID", monitor["id"]) == 1
            while link.recv(65536):
                pass
        assert server.monitors == 0


def test_quoting_is_the_servers_own() -> None:
    """Arguments are escaped as MONITOR escapes them."""
    assert quoted(b'a "b"\\\n\r\t\a\b\x00\xff') == b'"a \\"b\\"\\\\\\n\\r\\t\\a\\b\\x00\\xff"'


def test_fake_clock_moves_when_told() -> None:
    """Time stands still until it is advanced."""
    clock = FakeClock(10.0)
    clock.sleep(2.5)
    clock.advance(0.5)
    assert clock() == clock.now == 13.0
