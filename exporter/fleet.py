"""The watched targets: a configuration in, threads per node and fleet-wide jobs that keep the Board up to date.

A reload changes only what differs, so that it does not cost an unchanged target its window.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from exporter.config import Keyspace, hash_secret_of
from exporter.errors import ConfigError, NodeError, Problem
from exporter.keynames import KeyNames
from exporter.log import log
from exporter.monitor.governor import Governor
from exporter.monitor.reaper import Reaper
from exporter.monitor.shares import SharedBudget
from exporter.monitor.watchdog import Watchdog
from exporter.sampling.enrich import Enricher
from exporter.sampling.hotkeys import Safety, Sampler
from exporter.sampling.keyspace import KeyspaceSampler
from exporter.sampling.native import NativeEyes
from exporter.sampling.scan import Pace, Scanner
from exporter.schedule import GuardedThread, Jobs, Turns
from exporter.snapshot import Board, Node, NodeStatus
from exporter.stats.prober import Prober
from exporter.topology import topology_of
from exporter.warmer import Warmer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from exporter.config import Config, Keys, Target
    from exporter.link import Link
    from exporter.meters import Meters
    from exporter.monitor.switch import Switch
    from exporter.topology import Topology

GRACE_SECONDS = 1.0
"""How long threads get to end by themselves before their sockets are shut."""
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
        self._warmer = Warmer(board, meters)
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
        self._watched[order.target.name] = Watch(order, self._board, self._safety, self._meters, self._pace)

    def _forget_the_others(self) -> None:
        self._board.keep({node for watch in self._watched.values() for node in watch.nodes})

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


@dataclass(frozen=True, slots=True)
class Order:
    """What decides how one target is watched; while it stays equal, a reload leaves the target alone."""

    target: Target
    keys: Keys
    keyspace: Keyspace | None = None


def end(watches: Collection[Watch]) -> None:
    """End the threads of these targets, all within the same two times GRACE_SECONDS, and close every link."""
    for watch in watches:
        watch.ask_to_stop()
    threads = [thread for watch in watches for thread in watch.threads]
    _join(threads)
    for watch in watches:
        watch.interrupt()
    _join(threads)
    for watch in watches:
        watch.close()


def _join(threads: Collection[GuardedThread]) -> None:
    until = time.monotonic() + GRACE_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


class Watch:
    """One target being watched: a prober and a sampler thread for each node, an enricher, and a thread that scans."""

    def __init__(self, order: Order, board: Board, safety: Safety, meters: Meters, pace: Pace) -> None:
        self.order = order
        self._board = board
        self._safety = safety
        self._meters = meters
        self._pace = pace
        self._stop = threading.Event()
        self.topology: Topology = topology_of(order.target)
        self._links: list[Link] = []
        self.nodes: tuple[Node, ...] = self.topology.nodes()
        names = KeyNames.of(order.keys, hash_secret_of(order.keys))
        self._enrichers = [Enricher(board, self._link(node), self.topology.own(node)) for node in self.nodes]
        self.threads = [thread for node in self.nodes for thread in self._threads(node, names)]
        works = [self._native(node).steps for node in self.nodes]
        if order.keyspace and order.keyspace.enabled:
            works += [self._keyspace(node, names, order.keyspace).steps for node in self.nodes]
        self.threads.append(GuardedThread(f"looks {order.target.name}", Turns(works).run, self._stop))
        for thread in self.threads:
            thread.start()

    def enrich(self) -> None:
        """One round of the enrichment job; a node that cannot be asked is left for the next round."""
        for enricher in self._enrichers:
            if self._stop.is_set():
                return
            try:
                enricher.run()
            except NodeError as fault:
                log.debug("enrich.failed", "keys could not be looked up", addr=fault.addr, reason=fault.reason.value)

    def ask_to_stop(self) -> None:
        """Tell the threads; `end` waits for them."""
        self._stop.set()
        for enricher in self._enrichers:
            enricher.interrupt()

    def interrupt(self) -> None:
        """Cut off whoever still waits for a server that does not answer."""
        for link in self._links:
            link.interrupt()

    def close(self) -> None:
        """Close what no thread closes; all threads have ended, or are given up."""
        for enricher in self._enrichers:
            enricher.close()

    def _link(self, node: Node) -> Link:
        link = self.topology.link(node)
        self._links.append(link)
        return link

    def _threads(self, node: Node, names: KeyNames) -> tuple[GuardedThread, GuardedThread]:
        target, own = self.order.target, self.topology.own(node)
        self._board.add(node)
        probing = self._link(node)
        prober, reaper = Prober(probing, own, target.stats.interval), Reaper(probing, own)
        governor = Governor(target.sampling, primaries_only=target.nodes == "primaries")
        sampler = Sampler(self._board, self._link(node), own, target.sampling, names, governor, self._safety)

        def probe(stop: threading.Event) -> None:
            try:
                while not stop.is_set():
                    reaper.look(self._report(node, prober))
                    stop.wait(prober.pause(len(self._board.nodes), self._board.scraped_at(node)))
            finally:
                prober.close()

        label = f"{node.target}/{node.addr}"
        return (
            GuardedThread(f"prober {label}", probe, self._stop),
            GuardedThread(f"sampler {label}", sampler.run, self._stop),
        )

    def _native(self, node: Node) -> NativeEyes:
        scanner = Scanner(self._link(node), self.topology.own(node), self.order.keyspace or Keyspace(), self._pace)
        return NativeEyes(self._board, self._link(node), scanner, self.order.target.sampling)

    def _keyspace(self, node: Node, names: KeyNames, settings: Keyspace) -> KeyspaceSampler:
        scanner = Scanner(self._link(node), self.topology.own(node), settings, self._pace)
        measured = partial(self._meters.job, "keyspace")
        return KeyspaceSampler(self._board, scanner, self.order.target, settings, names, measured)

    def _report(self, node: Node, prober: Prober) -> NodeStatus:
        """Publish how the node is, and log when that changes."""
        before, status = self._board.latest(node, NodeStatus), prober.probe()
        self._board.publish(node, status)
        if prober.stats is not None:
            self._board.publish(node, prober.stats)
        if before is not None and before.down == status.down:
            return status
        if status.down is None:
            log.info("node.up", "the node answers", target=node.target, addr=node.addr,
                     role=status.role, server=status.server, version=status.version)  # fmt: skip
        else:
            log.warning("node.down", "the node cannot be used", target=node.target, addr=node.addr,
                        reason=status.down, detail=status.detail)  # fmt: skip
        return status
