"""Prometheus and Alertmanager of Debian for tests: started on a free port in a directory of their own, and ended."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.servers import dies_with_us, free_port, program, wait_for

if TYPE_CHECKING:
    from pathlib import Path


class Daemon:
    """One program that serves HTTP on `port`; a context manager that ends it."""

    def __init__(self, name: str, directory: Path, port: int, command: list[str]) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = directory / f"{name}-{port}.log"
        with self._log.open("wb") as log:
            whole = [*dies_with_us(), *command]
            self._process = subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)
        self._http = httpx.Client(base_url=self.url, trust_env=False, timeout=10)

    def __enter__(self) -> Self:
        def ready() -> bool:
            assert self._process.poll() is None, f"it ended at once:\n{self.log}"
            try:
                return self._http.get("/-/ready").is_success
            except httpx.TransportError:
                return False

        try:
            wait_for(ready, 30, f"{self.url} to be ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> str:
        """Everything it has written."""
        return self._log.read_text(errors="replace")

    def get(self, path: str, **parameters: str) -> Any:
        """GET a path of its API; the JSON of the answer."""
        return self._http.get(path, params=parameters).raise_for_status().json()

    def post(self, path: str, document: Any = None) -> None:
        """POST a JSON document."""
        self._http.post(path, json=document).raise_for_status()


class Alertmanager(Daemon):
    """An Alertmanager with this configuration file, without a cluster."""

    def __init__(self, directory: Path, config: Path) -> None:
        port = free_port()
        command = [
            program("prometheus-alertmanager", "prometheus-alertmanager"),
            f"--config.file={config}",
            f"--storage.path={directory / f'alertmanager-{port}'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        super().__init__("alertmanager", directory, port, command)

    def alerts(self) -> list[dict[str, Any]]:
        """All its alerts, inhibited ones included."""
        found: list[dict[str, Any]] = self.get("/api/v2/alerts")
        return found


class Prometheus(Daemon):
    """A Prometheus with this configuration file."""

    def __init__(self, directory: Path, config: Path) -> None:
        port = free_port()
        command = [
            program("prometheus", "prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / f'prometheus-{port}'}",
            f"--web.listen-address=127.0.0.1:{port}",
            # What fired before Alertmanager was found is told again soon, not after a minute.
            "--rules.alert.resend-delay=1s",
        ]
        super().__init__("prometheus", directory, port, command)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        found: list[dict[str, Any]] = self.get("/api/v1/query", query=expr)["data"]["result"]
        return found
