"""The composition root: builds the parts from the configuration, starts them in order, stops them in reverse.

In: a function that loads the configuration. Out: a running daemon, until SIGTERM or SIGINT.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from exporter import __version__
from exporter.config.endpoint import join
from exporter.errors import CommandFailed, ConfigError
from exporter.fleet import Fleet
from exporter.log import log
from exporter.schedule import GuardedThread
from exporter.snapshot import Board
from exporter.web.server import application, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.meters import Meters


class App:
    """One daemon. `run` blocks the main thread, which belongs to the web server."""

    def __init__(self, load: Callable[[], Config], config: Config, meters: Meters) -> None:
        self._load = load
        self._config = config
        self._meters = meters
        self._board = Board()
        self._fleet = Fleet(self._board, meters)
        self._stop = threading.Event()
        self._hangup = threading.Event()
        self._reloader = GuardedThread("reload", self._reload_on_hangup, self._stop)

    def run(self, sock: socket.socket | None = None) -> None:
        """Serve until a signal says stop; everything that was started is ended before this returns.

        Args:
            sock: what to listen on, if it is bound already.

        Raises:
            CommandFailed: the address to listen on is not free.

        """
        sock = sock or listening_socket(self._config)
        try:
            signal.signal(signal.SIGHUP, lambda *_: self._hangup.set())
            self._fleet.become(self._config)
            self._reloader.start()
            host, port = sock.getsockname()[:2]
            log.info("app.started", "listening", version=__version__, listen=join(host, port),
                     targets=len(self._config.targets))  # fmt: skip
            app = application(self._board, lambda: self._config, self._meters, self.alive)
            serve(app, sock)
        finally:
            # From here on nothing may interrupt the clean end, which is bounded in time.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            began = time.monotonic()
            self._stop.set()
            self._hangup.set()
            self._fleet.stop()
            sock.close()
            log.info("app.stopped", "stopped", seconds=round(time.monotonic() - began, 3))

    def alive(self) -> dict[str, bool]:
        """Which of the threads that must always run do."""
        return {thread.name: thread.is_alive() for thread in (*self._fleet.threads(), self._reloader)}

    def reload(self) -> None:
        """Read the configuration again; if it is unusable the running one stays."""
        try:
            config = self._load()
        except ConfigError as unusable:
            for problem in unusable.problems:
                log.error("config.rejected", "the running configuration stays", problem=str(problem))
            return
        if config.web != self._config.web:
            log.warning("config.web_unchanged", "web settings take effect at the next start")
        self._config = config
        self._fleet.become(config)
        log.info("config.reloaded", "configuration reloaded", targets=len(config.targets))

    def _reload_on_hangup(self, stop: threading.Event) -> None:
        while True:
            self._hangup.wait()
            self._hangup.clear()
            if stop.is_set():
                return
            self.reload()


def listening_socket(config: Config) -> socket.socket:
    """The socket of `web.listen`, bound before anything else is started.

    Raises:
        CommandFailed: the address is taken, forbidden or not ours.

    """
    host, port = config.web.host, config.web.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise CommandFailed(f"web.listen: {config.web.listen}: {error.strerror or error}") from None
