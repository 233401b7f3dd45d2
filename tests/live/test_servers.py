"""The servers that live tests start are real, distinct, and end when told to."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis

from tests.servers import KINDS, Server, TlsFiles, runs, wait_for

if TYPE_CHECKING:
    from tests.servers import StartServer


def test_every_kind_is_what_its_name_says(any_server: Server) -> None:
    """Each server answers, holds data, feeds MONITOR, and has the version that its kind promises."""
    client: Any = any_server.client()
    with client.monitor() as monitor:
        client.set("key", "value")
        lines = iter(monitor.listen())
        assert any("SET key value" in next(lines)["command"] for _ in range(5))
    assert any_server.version.startswith(any_server.kind.partition("-")[2] + ".")


def test_password_database_and_socket(start_server: StartServer) -> None:
    """A password is demanded, settings and arguments reach the server, and its unix socket works."""
    server = start_server("", "--maxclients", "50", password="pa55", unixsocket=True, config={"maxmemory": "64mb"})
    with pytest.raises(redis.AuthenticationError):
        server.client(password=None).ping()
    assert server.client().config_get("max*")["maxmemory"] == str(64 << 20)
    assert server.client().config_get("max*")["maxclients"] == "50"
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
    with redis.Redis(unix_socket_path=str(server.unixsocket), password="pa55") as client:
        assert client.ping()


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS.values() if kind.tls])
def test_tls(kind: str, start_server: StartServer, tls_files: TlsFiles) -> None:
    """A server with TLS serves whoever trusts the test authority, and refuses clients without a certificate if told."""
    server = start_server(kind, tls=tls_files, config={"tls-auth-clients": "yes"})
    assert server.client().ping()
    for options in ({}, {"ssl_ca_certs": str(tls_files.ca)}):
        with redis.Redis.from_url(server.url, **options) as stranger, pytest.raises(redis.ConnectionError):
            stranger.ping()


def test_restart_keeps_the_port(redis_server: Server) -> None:
    """A restarted server is a new process, empty, on the port that it had."""
    before = redis_server.pid, redis_server.port
    redis_server.client().set("key", "value")
    redis_server.restart()
    assert redis_server.port == before[1]
    assert redis_server.pid != before[0]
    assert redis_server.client().dbsize() == 0


def test_suspended_server_hangs_until_resumed(redis_server: Server) -> None:
    """A suspended server accepts connections and answers nothing; resumed it goes on."""
    redis_server.suspend()
    with pytest.raises(redis.TimeoutError):
        redis_server.client(socket_timeout=0.2).ping()
    redis_server.resume()
    assert redis_server.client().ping()


def test_killed_server_is_gone(redis_server: Server) -> None:
    """After a kill the process has ended and the port refuses."""
    process = psutil.Process(redis_server.pid)
    redis_server.kill(signal.SIGKILL)
    assert not runs(process)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", redis_server.port))


def test_wait_for_returns_what_it_waited_for() -> None:
    """The first truthy value comes back; a condition that stays false fails the test and names itself."""
    values = iter([0, 0, 7])
    assert wait_for(lambda: next(values), 1, "a number") == 7
    with pytest.raises(pytest.fail.Exception, match="the impossible"):
        wait_for(lambda: False, 0, "the impossible")
