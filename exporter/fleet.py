"""The watched targets: a configuration in, threads per node and fleet-wide jobs that keep the Board up to date.

A reload changes only what differs, so that it does not cost an unchanged target its window.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from exporter.config import hash_secret_of
from exporter.errors import ConfigError, Problem
from exporter.monitor.shares import SharedBudget
from exporter.monitor.watchdog import Watchdog
from exporter.sampling.hotkeys import Safety
from exporter.sampling.scan import Pace
from exporter.schedule import Jobs
from exporter.warmer import Warmer
from exporter.watch import Order, Shared, Watch, end

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from exporter.config import Config, Keys, Target
    from exporter.meters import Meters
    from exporter.monitor.switch import Switch
    from exporter.schedule import GuardedThread
    from exporter.snapshot import Board, Node

SCAN_CPU_SHARE = 0.1
"""The part of one core that all scanning together may take."""


class Fleet:
    """The watched targets: threads per node, and the jobs that visit all of them.

    `become` changes only what differs, so that a reload does not cost an unchanged target its window.
    """

    def __init__(self, board: Board, meters: Meters) -> None:
        self._board = board
        self._meters = meters
        self._watched: dict[str, Watch] = {}
        self._jobs = Jobs(meters)
        self._scheduled: dict[str, tuple[float, Callable[[], None]]] = {}
        self._safety = Safety(Watchdog(), SharedBudget(0.0))
        self._pace = Pace(SCAN_CPU_SHARE)
        self._warmer = Warmer(board, meters, self._safety.streams)
        self._lock = threading.Lock()

    @staticmethod
    def check(config: Config) -> None:
        """See that nothing which `config` names is missing, before anything is changed.

        Raises:
            ConfigError: something is.

        """
        try:
            hash_secret_of(config.keys)
        except OSError as error:
            raise ConfigError(Problem("keys.hash_secret_file", f"the file {error.strerror}")) from None

    def become(self, config: Config) -> None:
        """Watch exactly the targets of `config`."""
        wanted = {target.name: Order(target, config.keys, config.keyspace) for target in config.targets}
        self._safety.budget.resize(config.sampling.total_events_per_second)
        with self._lock:
            gone = [name for name, watch in self._watched.items() if watch.order != wanted.get(name)]
            end([self._watched.pop(name) for name in gone])
            for name, order in wanted.items():
                if name not in self._watched:
                    self._watch(order)
            self._forget_the_others()
            self._schedule(config)
            self._warmer.become(config, {name: watch.topology for name, watch in self._watched.items()})

    def add(self, target: Target, keys: Keys) -> None:
        """Watch one more target, or the one of its name by other settings."""
        with self._lock:
            if target.name in self._watched:
                end([self._watched.pop(target.name)])
                # What was learned by other credentials is no answer to these.
                self._forget_the_others()
            self._watch(Order(target, keys))
            self._forget_the_others()

    def drop(self, names: Collection[str]) -> None:
        """Watch these targets no longer."""
        with self._lock:
            end([self._watched.pop(name) for name in names if name in self._watched])
            self._forget_the_others()

    @property
    def switch(self) -> Switch:
        """The kill switch of sampling."""
        return self._safety.switch

    def nodes(self, target: str) -> tuple[Node, ...]:
        """The nodes of one watched target; none if it is not watched."""
        watch = self._watched.get(target)
        return watch.nodes if watch else ()

    def _watch(self, order: Order) -> None:
        shared = Shared(self._board, self._safety, self._meters, self._pace)
        watch = self._watched[order.target.name] = Watch(order, shared)
        watch.start()

    def _forget_the_others(self) -> None:
        self._board.keep(lambda node: node.target in self._watched and self._watched[node.target].keeps(node))

    def _schedule(self, config: Config) -> None:
        """Run the jobs of `config`; those that run already are left alone as long as none of them changes."""
        wanted: dict[str, tuple[float, Callable[[], None]]] = {}
        if config.enrich.enabled:
            wanted["enrich"] = (config.enrich.interval, self.enrich)
        if wanted == self._scheduled:
            return
        self._jobs.stop()
        self._jobs, self._scheduled = Jobs(self._meters), wanted
        for name, (seconds, work) in wanted.items():
            self._jobs.every(seconds, name, work)
        self._jobs.start()

    def enrich(self) -> None:
        """Look up what the published keys of every node are."""
        for watch in tuple(self._watched.values()):
            watch.enrich()

    def threads(self) -> Iterator[GuardedThread]:
        """All guarded threads."""
        for watch in tuple(self._watched.values()):
            yield from watch.threads
        yield from self._warmer.threads()

    def stop(self) -> None:
        """End everything: first ask all, then wait for all."""
        with self._lock:
            for watch in self._watched.values():
                watch.ask_to_stop()
            self._warmer.stop()
            self._jobs.stop()
            end(list(self._watched.values()))
            self._watched.clear()
            self._safety.watchdog.close()
