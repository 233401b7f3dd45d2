"""The real program for tests: a process of its own, asked over HTTP, ended within its promise.

In: arguments, configuration, environment. Out: an `Exporter` that serves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, Self

import httpx
import psutil
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.servers import ROOT, dies_with_us, free_port, runs, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Sample = tuple[dict[str, str], float]


class Exporter:
    """The real program as a process of its own, on a free loopback port.

    `config` becomes its configuration file. The URL travels in the environment, as users are told to do.
    """

    def __init__(
        self,
        directory: Path,
        *args: str,
        redis_url: str = "",
        config: Mapping[str, Any] | str | None = None,
        env: Mapping[str, str] | None = None,
        command: str = "serve",
    ) -> None:
        self.port = free_port()
        self._log = directory / f"exporter-{self.port}.log"
        arguments = [sys.executable, "-m", "exporter", command, "--listen", f"127.0.0.1:{self.port}"]
        self._file = directory / f"exporter-{self.port}.yaml"
        if config is not None:
            self.configure(config)
            arguments += ["--config", str(self._file)]
        ours = ("REDIS_URL", "HOTKEY_EXPORTER_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self._environ = {**inherited, **({"REDIS_URL": redis_url} if redis_url else {}), **(env or {})}
        self._command = [*dies_with_us(), *arguments, *args]
        self.process = self._launch()
        self._http = httpx.Client(base_url=self.url, trust_env=False, timeout=5)

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environ, cwd=ROOT
            )

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything it has written to stdout and stderr."""
        return self._log.read_text(errors="replace")

    def configure(self, config: Mapping[str, Any] | str) -> None:
        """Write its configuration file; SIGHUP makes a running program read it."""
        self._file.write_text(config if isinstance(config, str) else yaml.safe_dump(dict(config)))

    def wait_until(self, path: str = "/-/ready", timeout: float = 30) -> Self:
        """Wait until `path` answers 200."""

        def answers() -> bool:
            assert self.process.poll() is None, f"the exporter ended with {self.process.poll()}:\n{self.log}"
            try:
                return self._http.get(path).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        wait_for(answers, timeout, f"{self.url}{path} to answer 200")
        return self

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET a path, options as for httpx; an error status does not raise."""
        return self._http.get(path, **options)

    def metrics(self, path: str = "/metrics") -> dict[str, list[Sample]]:
        """One scrape: sample name -> [(labels, value)]."""
        samples: dict[str, list[Sample]] = {}
        for family in text_string_to_metric_families(self.get(path).raise_for_status().text):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
        return samples

    def api_hotkeys(self, **parameters: str | int) -> dict[str, Any]:
        """The JSON of /api/v1/hotkeys."""
        answer: dict[str, Any] = self.get("/api/v1/hotkeys", params=parameters).raise_for_status().json()
        return answer

    def processes(self) -> list[psutil.Process]:
        """The program and all its descendants."""
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def pids(self) -> list[int]:
        """The process ids of the whole tree."""
        return [process.pid for process in self.processes()]

    def rss(self) -> int:
        """Resident bytes of the whole tree; a child that has not yet become another program has none of its own."""
        main, *others = self.processes()
        command = main.cmdline()
        return sum(one.memory_info().rss for one in (main, *(other for other in others if other.cmdline() != command)))

    def kill(self) -> None:
        """End it as the out-of-memory killer would; `restart` starts it again."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> Self:
        """Start it again after `kill`, as it was, and wait until it is ready."""
        self.process = self._launch()
        return self.wait_until(timeout=60)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Ask it to end; it must within 5 s, with code 0 and without leftovers. Returns the seconds it took."""
        self._http.close()
        if self.process.poll() is not None:
            return 0.0
        tree, started = self.processes(), time.monotonic()
        self.process.send_signal(number)
        try:
            code = self.process.wait(5)
            seconds = time.monotonic() - started
            assert code == 0, f"the exporter ended with {code}:\n{self.log}"
            wait_for(lambda: not any(map(runs, tree)), 1, f"the exporter's children to end: {tree}")
        except subprocess.TimeoutExpired:
            pytest.fail(f"the exporter did not end within 5 s of {number.name}:\n{self.log}")
        finally:
            _kill(tree)
            self.process.wait()
        return seconds


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


class StartExporter(Protocol):
    """What the `start_exporter` fixture is: `Exporter`'s arguments in, a program that is ready out."""

    def __call__(self, *args: str, wait: str = "/-/ready", **options: Any) -> Exporter:
        """Start one more exporter and wait until the path `wait` answers 200; with "" do not wait."""
