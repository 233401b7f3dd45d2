"""Our own endpoint under TLS, with users, and under attack: the real program and real sockets."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import statistics
import time
import warnings
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import bcrypt
import httpx
import psutil
import pytest

from tests.servers import TlsFiles, make_tls, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.program import Exporter, StartExporter
    from tests.servers import Server

AUTH = ("admin", "corr3ct-horse")
HASHED = bcrypt.hashpw(AUTH[1].encode(), bcrypt.gensalt(4)).decode()


class Endpoint:
    """The program with a web configuration file in `directory`, and a client that trusts its authority."""

    def __init__(self, directory: Path, start: StartExporter, server: Server, tls: TlsFiles, **settings: Any) -> None:
        self.directory = directory
        for source, name in ((tls.cert, "server.crt"), (tls.key, "server.key"), (tls.ca, "ca.crt")):
            shutil.copy(source, directory / name)
        self.file = directory / "web.json"  # JSON is YAML, too
        self.write(**settings)
        self.exporter: Exporter = start(
            wait="", config={"targets": [{"name": "cache", "url": server.url}], "web": {"config_file": str(self.file)}}
        )
        self.url = f"https://127.0.0.1:{self.exporter.port}"
        wait_for(self.answers, 15, f"{self.url} to answer")

    def write(self, **settings: Any) -> None:
        """Write the web configuration file."""
        tls = {"cert_file": "server.crt", "key_file": "server.key", **settings}
        self.file.write_text(json.dumps({"tls_server_config": tls, "basic_auth_users": {AUTH[0]: HASHED}}))

    def answers(self) -> bool:
        """Whether it listens."""
        assert self.exporter.process.poll() is None, self.exporter.log
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.exporter.port), timeout=1).close()
            return True
        return False

    def context(self, tls: TlsFiles, *, client: bool = False) -> ssl.SSLContext:
        """A client's context that trusts an authority, with a certificate of its own or without."""
        context = ssl.create_default_context(cafile=str(tls.ca))
        if client:
            context.load_cert_chain(tls.client_cert, tls.client_key)
        return context

    def get(self, tls: TlsFiles, path: str = "/metrics", *, client: bool = False, **options: Any) -> httpx.Response:
        """One request over a new connection."""
        context = self.context(tls, client=client)
        with httpx.Client(verify=context, base_url=self.url, trust_env=False, timeout=10, auth=AUTH) as http:
            return http.request(options.pop("method", "GET"), path, **options)


@pytest.fixture
def endpoint(tmp_path: Path, start_exporter: StartExporter, redis_server: Server, tls_files: TlsFiles) -> Endpoint:
    """The program with TLS and one user."""
    return Endpoint(tmp_path, start_exporter, redis_server, tls_files)


def test_only_tls_and_only_the_user(endpoint: Endpoint, tls_files: TlsFiles) -> None:
    """1.2 or newer, the right password, no plain HTTP; the probes need no password."""
    assert endpoint.get(tls_files).status_code == 200
    assert endpoint.get(tls_files, auth=None).status_code == 401
    assert endpoint.get(tls_files, auth=("admin", "x" * 100)).status_code == 401
    assert endpoint.get(tls_files, "/-/healthy", auth=None).status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{endpoint.exporter.port}/-/healthy", trust_env=False, timeout=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old = endpoint.context(tls_files)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with connected(endpoint) as sock, pytest.raises(ssl.SSLError):
        old.wrap_socket(sock, server_hostname="127.0.0.1")


def test_certificates_are_swapped_while_it_runs(endpoint: Endpoint, tls_files: TlsFiles, tmp_path: Path) -> None:
    """New files are used at the next connection; half-written ones leave the old pair in use; nobody restarts."""
    (tmp_path / "other").mkdir()
    other = make_tls(tmp_path / "other")
    (endpoint.directory / "server.crt").write_text("-----BEGIN CERTIFICATE-----\nhalf")
    wait_for(lambda: "the web configuration in use stays" in asked(endpoint, tls_files), 10, "the broken file's line")
    assert endpoint.get(tls_files).status_code == 200
    shutil.copy(other.key, endpoint.directory / "server.key")
    shutil.copy(other.cert, endpoint.directory / "server.crt")

    def swapped() -> bool:
        with suppress(httpx.ConnectError):
            return endpoint.get(other).status_code == 200
        return False

    wait_for(swapped, 10, "the new certificate")
    with pytest.raises(httpx.ConnectError):
        endpoint.get(tls_files)


def connected(endpoint: Endpoint) -> socket.socket:
    """A plain connection to it."""
    return socket.create_connection(("127.0.0.1", endpoint.exporter.port), timeout=10)


def asked(endpoint: Endpoint, tls: TlsFiles) -> str:
    """The log, after a request that made the program look at its files."""
    endpoint.get(tls, "/-/healthy")
    return endpoint.exporter.log


def test_mutual_tls(tmp_path: Path, start_exporter: StartExporter, redis_server: Server, tls_files: TlsFiles) -> None:
    """Without a certificate of the client's authority nobody gets as far as a request; it may be asked for later."""
    endpoint = Endpoint(tmp_path, start_exporter, redis_server, tls_files)
    endpoint.write(client_ca_file="ca.crt", client_auth_type="RequireAndVerifyClientCert")

    def refused() -> bool:
        try:
            endpoint.get(tls_files)
        except httpx.TransportError:
            return True
        return False

    wait_for(refused, 10, "clients without a certificate to be refused")
    assert endpoint.get(tls_files, client=True).status_code == 200


def test_the_kill_switch_stops_sampling(endpoint: Endpoint, tls_files: TlsFiles, redis_server: Server) -> None:
    """Off for one target: MONITOR ends, the source says why; on again: it comes back. A password is needed."""

    def source() -> str:
        return endpoint.get(tls_files, "/metrics?collect[]=hotkeys").text

    def monitors() -> int:
        return sum(client.get("flags") == "O" for client in redis_server.client().client_list())

    wait_for(lambda: 'source="monitor"' in source(), 15, "sampling to start")
    order = {"state": "off", "for": "10m", "target": "cache"}
    assert endpoint.get(tls_files, "/api/v1/sampling", method="POST", json=order, auth=None).status_code == 401
    reply = endpoint.get(tls_files, "/api/v1/sampling", method="POST", json=order)
    assert (reply.status_code, reply.json()["targets"][0]["state"]) == (200, "off")
    wait_for(lambda: 'source="none",reason="off"' in source(), 10, "sampling to stop")
    assert monitors() == 0
    endpoint.get(tls_files, "/api/v1/sampling", method="POST", json={"state": "on"})
    wait_for(lambda: 'source="monitor"' in source(), 15, "sampling to go on")


def test_what_a_request_changes_is_logged_with_its_id(endpoint: Endpoint, tls_files: TlsFiles) -> None:
    """Whoever asks why sampling is off, or which configuration runs, finds the request that made it so."""
    order = {"state": "off", "for": "1m"}
    endpoint.get(tls_files, "/api/v1/sampling", method="POST", json=order, headers={"X-Request-ID": "tired-1"})
    endpoint.get(tls_files, "/-/reload", method="POST", headers={"X-Request-ID": "good-1"})
    endpoint.exporter.configure("targets: [")
    rejected = endpoint.get(tls_files, "/-/reload", method="POST", headers={"X-Request-ID": "bad-1"})
    assert rejected.status_code == 500
    lines = [json.loads(line) for line in endpoint.exporter.log.splitlines() if line.startswith("{")]
    ids = {line["correlation_id"]: line["event"] for line in lines if "correlation_id" in line}
    assert ids["tired-1"] == "sampling.switched"
    assert ids["good-1"].startswith("config.")
    assert ids["bad-1"] == "config.rejected"


def silent(port: int, count: int) -> Iterator[socket.socket]:
    """Connections that say nothing."""
    for _ in range(count):
        yield socket.create_connection(("127.0.0.1", port), timeout=10)


def half_hello(port: int, count: int) -> Iterator[socket.socket]:
    """TLS handshakes that are never finished."""
    for sock in silent(port, count):
        sock.sendall(bytes.fromhex("1603010200010001fc0303"))
        yield sock


def idle_tls(context: ssl.SSLContext) -> Callable[[int, int], Iterator[socket.socket]]:
    """Connections over TLS that say nothing."""

    def attack(port: int, count: int) -> Iterator[socket.socket]:
        for sock in silent(port, count):
            with suppress(OSError):
                yield context.wrap_socket(sock, server_hostname="127.0.0.1")

    return attack


def unread(context: ssl.SSLContext) -> Callable[[int, int], Iterator[socket.socket]]:
    """Many requests over TLS by somebody who knows the password, and never reads what is answered."""
    token = httpx.BasicAuth(*AUTH)._auth_header

    def attack(port: int, count: int) -> Iterator[socket.socket]:
        for sock in idle_tls(context)(port, count):
            with suppress(OSError):
                sock.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode() * 40)
                yield sock

    return attack


def half_header(context: ssl.SSLContext) -> Callable[[int, int], Iterator[socket.socket]]:
    """Requests over TLS whose header never ends."""

    def attack(port: int, count: int) -> Iterator[socket.socket]:
        for sock in silent(port, count):
            with suppress(OSError):
                wrapped = context.wrap_socket(sock, server_hostname="127.0.0.1")
                wrapped.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Half: ")
                yield wrapped

    return attack


@pytest.mark.parametrize("count", [pytest.param(120), pytest.param(500, marks=pytest.mark.slow)])
def test_a_flood_of_silent_clients_blocks_no_scrape(endpoint: Endpoint, tls_files: TlsFiles, count: int) -> None:
    """Idle, half-open, half-sent, unread connections: scrapes go on, memory stays, all are closed, SIGTERM ends it."""
    context = endpoint.context(tls_files)
    port = endpoint.exporter.port
    calm = p99(scrapes(endpoint, context, 30))
    before = endpoint.exporter.rss()
    with ExitStack() as stack:
        attackers = []
        for attack in (silent, half_hello, idle_tls(context), half_header(context), unread(context)):
            for sock in attack(port, count):
                stack.callback(sock.close)
                attackers.append(sock)
        under_attack = p99(scrapes(endpoint, context, 30))
        grown = endpoint.exporter.rss() - before
        figures = f"p99 {calm * 1e3:.0f} -> {under_attack * 1e3:.0f} ms, {grown / 1e6:+.1f} MB"
        print(f"{len(attackers)} silent clients: {figures}")
        assert under_attack <= max(3 * calm, 0.25)
        assert grown <= 32e6
        wait_for(lambda: open_connections(endpoint) == 0, 15, "all of them to be closed")
        assert endpoint.get(tls_files).status_code == 200
        assert endpoint.exporter.stop(signal.SIGTERM) < 5


def open_connections(endpoint: Endpoint) -> int:
    """How many clients it has, as the system sees it: who does not read does not see that it was closed."""
    ours = (endpoint.exporter.port, psutil.CONN_ESTABLISHED)
    return sum((one.laddr.port, one.status) == ours for one in endpoint.exporter.processes()[0].net_connections())


def test_a_flood_leaves_other_clients_connections_alone(endpoint: Endpoint, tls_files: TlsFiles) -> None:
    """Prometheus keeps its idle connection while somebody else opens hundreds; theirs are closed."""
    context = endpoint.context(tls_files)
    request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as stack:
        scraper = socket.create_connection(("127.0.0.1", endpoint.exporter.port), 10, source_address=("127.0.0.2", 0))
        keeping = stack.enter_context(context.wrap_socket(scraper, server_hostname="127.0.0.1"))
        keeping.sendall(request)
        assert answer(keeping).endswith(b"healthy\n")
        attackers = [stack.enter_context(sock) for sock in half_header(context)(endpoint.exporter.port, 300)]
        wait_for(lambda: sum(map(closed, attackers)) >= 150, 10, "the oldest of the others to be closed")
        keeping.sendall(request)
        assert answer(keeping).endswith(b"healthy\n")


def answer(sock: socket.socket) -> bytes:
    """Read until the end of a short answer, or of the connection."""
    received = b""
    while not received.endswith(b"\n") or received.endswith(b"\r\n"):
        if not (data := sock.recv(4096)):
            break
        received += data
    return received


def scrapes(endpoint: Endpoint, context: ssl.SSLContext, count: int) -> list[float]:
    """The seconds that scrapes take, each over a connection of its own."""
    took = []
    for _ in range(count):
        began = time.monotonic()
        with httpx.Client(verify=context, base_url=endpoint.url, trust_env=False, timeout=10, auth=AUTH) as http:
            assert http.get("/metrics").status_code == 200
        took.append(time.monotonic() - began)
    return took


def p99(seconds: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(seconds, n=100)[98]


def closed(sock: socket.socket) -> bool:
    """Whether the other side has closed."""
    sock.setblocking(False)
    try:
        return sock.recv(4096) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def test_what_is_too_large_or_too_odd_is_refused(endpoint: Endpoint, tls_files: TlsFiles) -> None:
    """A header of 10 MB, paths that climb, an endless body: each gets a refusal, and the next client is served."""
    context = endpoint.context(tls_files)
    with connected(endpoint) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        before = endpoint.exporter.rss()
        with suppress(OSError):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 10_000_000)
        assert endpoint.exporter.rss() - before < 32e6
    for path in ("/assets/../site.py", "/assets/..%2f..%2fapp.py", "/../../etc/passwd", "/assets/%2e%2e/web/site.py"):
        with connected(endpoint) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
            token = httpx.BasicAuth(*AUTH)._auth_header.encode()
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: ".encode() + token + b"\r\n\r\n")
            assert b" 404 " in sock.recv(4096)
    huge = endpoint.get(tls_files, "/api/v1/sampling", method="POST", content=b"x" * 1_000_000, auth=AUTH)
    assert huge.status_code in {413, 415}
    assert endpoint.get(tls_files).status_code == 200


HOSTILE = [b'"} 1\nevil_metric{x="', b"<script>alert(1)</script>", b'x"\r\nSet-Cookie: a=b', b"\\", b"a\x00b\x7f\xff"]


def test_hostile_key_names_stay_names(endpoint: Endpoint, tls_files: TlsFiles, redis_server: Server) -> None:
    """Prometheus, HTML and header injection through a key's name: one label value, escaped text, no header."""
    client = redis_server.client()

    def shown() -> bool:
        for key in HOSTILE:
            for _ in range(20):
                client.get(key)
        return endpoint.get(tls_files, "/api/v1/hotkeys").text.count('"rank"') >= len(HOSTILE)

    wait_for(shown, 20, "the keys to be shown")
    for path in ("/metrics", "/", "/api/v1/hotkeys", "/health/redis", "/scrape?target=cache"):
        reply = endpoint.get(tls_files, path)
        assert "set-cookie" not in reply.headers
        if reply.headers["content-type"].startswith("text/html"):
            assert "<script>alert" not in reply.text
        assert not [line for line in reply.text.splitlines() if line.startswith(("evil_metric", "Set-Cookie"))]
