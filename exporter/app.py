"""The composition root: builds the parts from the configuration, starts them in order, stops them in reverse.

In: a function that loads the configuration. Out: a running daemon, until SIGTERM or SIGINT.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from exporter import __version__, memory, tracing
from exporter.config.endpoint import join
from exporter.errors import CommandFailed, ConfigError
from exporter.fleet import Fleet
from exporter.guests import Guests
from exporter.log import correlation, log, setup
from exporter.schedule import GuardedThread
from exporter.snapshot import Board
from exporter.web.access import Access
from exporter.web.server import application, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.errors import Problem
    from exporter.meters import Meters
    from exporter.snapshot import Node

PROGRAM = "hotkey-exporter"
GUESTS_SECONDS = 10.0
"""How often guests that nobody asks for any more are looked for."""


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
        self._guests = Guests()
        self._effective = config
        self._access: Access | None = None
        self._changing = threading.Lock()
        self._keeper = GuardedThread("configuration", self._keep_up, self._stop)

    def run(self, sock: socket.socket | None = None) -> None:
        """Serve until a signal says stop; everything that was started is ended before this returns.

        Args:
            sock: what to listen on, if it is bound already.

        Raises:
            CommandFailed: the address to listen on is not free.
            ConfigError: `web.config_file` cannot be used.

        """
        tracing.start(self._config.tracing, PROGRAM, __version__)
        access = Access(self._config.web.config_file)
        self._access = access
        sock = sock or listening_socket(self._config)
        try:
            signal.signal(signal.SIGHUP, lambda *_: self._hangup.set())
            self._fleet.become(self._config)
            _warn(self._config)
            self._meters.config_read(usable=True)
            self._meters.alert_thresholds(self._config.alerts.memory_ratio, self._config.alerts.latency)
            self._keeper.start()
            host, port = sock.getsockname()[:2]
            log.info("app.started", "listening", version=__version__, listen=join(host, port),
                     targets=len(self._config.targets))  # fmt: skip
            memory.begin()
            app = application(self._board, self, self._meters, access=access)
            serve(app, sock, access=access)
        finally:
            # From here on nothing may interrupt the clean end, which is bounded in time.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            began = time.monotonic()
            self._stop.set()
            self._hangup.set()
            self._fleet.stop()
            sock.close()
            tracing.stop()
            log.info("app.stopped", "stopped", seconds=round(time.monotonic() - began, 3))

    def alive(self) -> dict[str, bool]:
        """Which of the threads that must always run do."""
        return {thread.name: thread.is_alive() for thread in (*self._fleet.threads(), self._keeper)}

    def config(self) -> Config:
        """Return the configuration of the moment, guests among its targets."""
        return self._effective

    def reload(self) -> tuple[Problem, ...]:
        """Read the configuration again and apply it; if it is unusable the running one stays, and the problems say why.

        What is applied is applied as a whole, and targets that do not change keep what is known of them.
        """
        with self._changing, correlation(keep=True):
            try:
                config = self._load()
                self._fleet.check(config)
                if self._access is not None:
                    self._access.use(config.web.config_file)
            except ConfigError as unusable:
                self._meters.config_read(usable=False)
                for problem in unusable.problems:
                    log.error("config.rejected", "the running configuration stays", problem=str(problem))
                return unusable.problems
            if config.web.listen != self._config.web.listen:
                log.warning("config.listen_unchanged", "web.listen takes effect at the next start")
            if config.tracing != self._config.tracing:
                log.warning("config.tracing_unchanged", "tracing takes effect at the next start")
            if config.log != self._config.log:
                setup(config.log.level, config.log.format, self._meters.log_event)
            self._guests.retain(config, time.monotonic())
            self._config, self._effective = config, self._with_guests(config)
            self._fleet.become(self._effective)
            _warn(config)
            self._meters.config_read(usable=True)
            self._meters.alert_thresholds(config.alerts.memory_ratio, config.alerts.latency)
            log.info("config.reloaded", "configuration reloaded", targets=len(config.targets))
        return ()

    def admit(self, url: str) -> Node | None:
        """Watch a server that is not configured, if `web.scrape_allow` lets it in."""
        with self._changing:
            before = self._guests.targets
            target = self._guests.admit(url, self._config, time.monotonic())
            if target is None:
                return None
            if target not in before:
                log.info("guest.admitted", "a server that is not configured is watched for a while", addr=target.name)
                self._effective = self._with_guests(self._config)
                self._fleet.add(target, self._config.keys)
            return next(iter(self._fleet.nodes(target.name)), None)

    def switch_sampling(self, target: str | None, seconds: float | None, *, on: bool) -> None:
        """Switch sampling on or off, for one target or all; a restart ends it, a reload does not."""
        if on:
            self._fleet.switch.on(target)
        else:
            self._fleet.switch.off(target, math.inf if seconds is None else time.monotonic() + seconds)
        log.warning("sampling.switched", "sampling was switched over HTTP", state="on" if on else "off",
                    target=target or "all", seconds=seconds)  # fmt: skip

    def sampling_off_seconds(self, target: str) -> float | None:
        """Say for how long sampling of a target is still switched off."""
        now = time.monotonic()
        until = self._fleet.switch.off_until(target, now)
        return None if until is None else until - now

    def _with_guests(self, config: Config) -> Config:
        return config.model_copy(update={"targets": (*config.targets, *self._guests.targets)})

    def _keep_up(self, stop: threading.Event) -> None:
        """Reload at SIGHUP, and now and then see guests off and tidy up."""
        tidied = time.monotonic()
        while not stop.is_set():
            asked = self._hangup.wait(GUESTS_SECONDS)
            self._hangup.clear()
            if stop.is_set():
                return
            if asked:
                with correlation():
                    self.reload()
                continue
            self._see_off()
            if time.monotonic() - tidied >= memory.TIDY_SECONDS:
                tidied = time.monotonic()
                memory.tidy()

    def _see_off(self) -> None:
        with self._changing:
            before = {target.name for target in self._guests.targets}
            self._guests.retain(self._config, time.monotonic())
            gone = before - {target.name for target in self._guests.targets}
            if gone:
                self._effective = self._with_guests(self._config)
                self._fleet.drop(gone)
                log.info("guest.left", "servers that nobody asks for any more are not watched", count=len(gone))


def _warn(config: Config) -> None:
    """Log what works as configured, and not as most people would want it."""
    for target in config.targets:
        if target.tls.insecure_skip_verify or target.sentinel.tls.insecure_skip_verify:
            log.warning("tls.unverified", "insecure_skip_verify: who is on the path can read password and commands",
                        target=target.name)  # fmt: skip
    if config.keys.privacy == "hash" and config.keys.hash_secret_file is None:
        log.warning("keys.hash_not_kept", "privacy is hash without hash_secret_file: every key has another name after "
                    "each start, and on each exporter")  # fmt: skip


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
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        raise CommandFailed(f"web.listen: {config.web.listen}: {why}; choose another with --listen HOST:PORT") from None
