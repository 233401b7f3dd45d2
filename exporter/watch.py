"""One target being watched: what is ordered in, threads for each of its nodes out, also where its nodes change.

A `NodeWatch` is all that runs for one node. A `Watch` has one for each node of its topology, and where the topology can
change, a thread that follows it: new nodes get theirs, gone ones are ended, and the others are not touched.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from exporter import tracing
from exporter.config import Keyspace, hash_secret_of
from exporter.errors import DownReason, NodeError
from exporter.keynames import KeyNames
from exporter.log import fresh, log
from exporter.monitor.governor import Governor, SkipReason
from exporter.monitor.reaper import Reaper
from exporter.sampling.enrich import Enricher
from exporter.sampling.hotkeys import Sampler
from exporter.sampling.keyspace import KeyspaceSampler
from exporter.sampling.native import NativeEyes
from exporter.sampling.scan import Scanner
from exporter.schedule import GuardedThread, Turns
from exporter.snapshot import Board, HotKeys, Membership, Node, NodeStatus
from exporter.stats.prober import Prober, unreachable
from exporter.topology import Member, Role, topology_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from exporter.config import Keys, Target
    from exporter.link import Link
    from exporter.meters import Meters
    from exporter.sampling.hotkeys import Safety
    from exporter.sampling.scan import Pace
    from exporter.topology import Topology

GRACE_SECONDS = 1.0
"""How long threads get to end by themselves before their sockets are shut."""
_BARS = {Role.REPLICA: SkipReason.REPLICA, Role.UNDECIDED: SkipReason.FAILOVER}


@dataclass(frozen=True, slots=True)
class Order:
    """What decides how one target is watched; while it stays equal, a reload leaves the target alone."""

    target: Target
    keys: Keys
    keyspace: Keyspace | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What all targets share."""

    board: Board
    safety: Safety
    meters: Meters
    pace: Pace


def end(watches: Collection[Watch | NodeWatch]) -> None:
    """End the threads of these targets or nodes, all within the same two times GRACE_SECONDS, and close every link."""
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
    """One target being watched, with a `NodeWatch` for each of its nodes."""

    def __init__(self, order: Order, shared: Shared) -> None:
        self.order = order
        self.topology: Topology = topology_of(order.target)
        self._shared = shared
        self._names = KeyNames.of(order.keys, hash_secret_of(order.keys))
        self._stop = threading.Event()
        self._changing = threading.Lock()
        self._running: dict[Node, NodeWatch] = {}
        self._fault: DownReason | None = None
        self._follower: GuardedThread | None = None
        if self.topology.discovery is not None:
            self._follower = GuardedThread(f"topology {order.target.name}", self._follow, self._stop)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as they are known now."""
        return self.topology.nodes()

    @property
    def threads(self) -> list[GuardedThread]:
        """All guarded threads."""
        follower = [self._follower] if self._follower else []
        return [*follower, *(thread for running in tuple(self._running.values()) for thread in running.threads)]

    def keeps(self, node: Node) -> bool:
        """Whether this node of the target may be one of ours; who follows changes forgets nodes itself."""
        return self._follower is not None or node in self.nodes

    def start(self) -> None:
        """Start all threads."""
        if self._follower is None:
            self._apply()
        else:
            for node in self.nodes:
                self._shared.board.add(node)
            self._follower.start()

    def enrich(self) -> None:
        """One round of the enrichment job; a node that cannot be asked is left for the next round."""
        for running in tuple(self._running.values()):
            running.enrich()

    def ask_to_stop(self) -> None:
        """Tell the threads; `end` waits for them."""
        with self._changing:
            self._stop.set()
            for running in self._running.values():
                running.ask_to_stop()

    def interrupt(self) -> None:
        """Cut off whoever still waits for a server that does not answer."""
        for running in self._running.values():
            running.interrupt()

    def close(self) -> None:
        """Close what no thread closes; all threads have ended, or are given up."""
        for running in self._running.values():
            running.close()
        if self._follower is not None:
            self._shared.board.forget(self._running.keys() | set(self.nodes))

    def _follow(self, stop: threading.Event) -> None:
        """Keep up with the topology; the body of a guarded thread."""
        discovery = self.topology.discovery
        assert discovery is not None
        try:
            while not stop.is_set():
                before = self.nodes
                try:
                    changed = self.topology.refresh()
                except NodeError as fault:
                    self._unknown(fault)
                else:
                    self._known()
                    if changed:
                        self._shared.board.forget(set(before) - set(self.nodes))
                        fresh()  # what follows a switch belongs together
                        with tracing.span("topology.switch", {"db.system.name": "redis"}):
                            self._apply()
                for addr, found in discovery.certificates.items():
                    self._shared.board.certify(Node(self.order.target.name, addr), found)
                discovery.wait(stop)
        finally:
            self.topology.close()

    def _apply(self) -> None:
        """Run exactly the nodes that there are, each as what it is."""
        nodes = self.nodes
        with self._changing:
            if self._stop.is_set():
                return
            gone = [self._running.pop(node) for node in tuple(self._running) if node not in nodes]
            for node in nodes:
                member = self.topology.member(node)
                if node not in self._running:
                    self._running[node] = NodeWatch(node, self.topology, self.order, self._shared, self._names)
                    self._running[node].be(member)
                    self._running[node].start()
                else:
                    self._running[node].be(member)
        end(gone)
        if self._follower is not None:
            members = filter(None, map(self.topology.member, nodes))
            primaries = [member.addr for member in members if member.role is Role.PRIMARY]
            log.info("topology.changed", "the nodes of a target or their roles have changed",
                     target=self.order.target.name, primaries=primaries, nodes=len(nodes))  # fmt: skip

    def _known(self) -> None:
        if self._fault is not None:
            self._fault = None
            log.info("topology.known", "the nodes of a target are known again", target=self.order.target.name)

    def _unknown(self, fault: NodeError) -> None:
        """Nobody knows which nodes there are: go on with those that were known; if there are none, say why."""
        if not self.topology.found:
            for node in self.nodes:
                self._shared.board.publish(node, unreachable(fault, time.monotonic()))
        if self._fault is not fault.reason:
            self._fault = fault.reason
            log.warning("topology.unknown", "nobody says which nodes a target has; those known before are kept",
                        target=self.order.target.name, addr=fault.addr, reason=fault.reason.value,
                        detail=str(fault))  # fmt: skip


class NodeWatch:
    """One node being watched: a prober and a sampler thread, a thread that scans, and an enricher."""

    def __init__(self, node: Node, topology: Topology, order: Order, shared: Shared, names: KeyNames) -> None:
        self._node = node
        self._target = order.target
        self._settings = order.keyspace
        self._names = names
        self._board = shared.board
        self._shared = shared
        self._stop = threading.Event()
        self._topology = topology
        self._own = topology.own(node)
        self._links: list[Link] = []
        self._enricher = Enricher(self._board, self._link(), self._own)
        by_member = topology.discovery is not None
        self._governor = Governor(order.target.sampling, primaries_only=by_member or order.target.nodes == "primaries")
        self.threads = list(self._threads())

    def start(self) -> None:
        """Start all threads."""
        self._board.add(self._node)
        for thread in self.threads:
            thread.start()

    def be(self, member: Member | None) -> None:
        """Take note of what the node is now; figures of one that is not the primary any more are withdrawn."""
        if member is None or member.role is Role.ANY:
            return
        self._board.add(self._node)
        self._board.publish(self._node, Membership(member.shard, member.group))
        barred = _BARS.get(member.role)
        self._governor.bar(barred)
        if barred is not None:
            self._board.withdraw(self._node, HotKeys)

    def enrich(self) -> None:
        """One round of the enrichment job; a node that cannot be asked is left for the next round."""
        if self._stop.is_set():
            return
        try:
            self._enricher.run()
        except NodeError as fault:
            log.debug("enrich.failed", "keys could not be looked up", addr=fault.addr, reason=fault.reason.value)

    def ask_to_stop(self) -> None:
        """Tell the threads; `end` waits for them."""
        self._stop.set()
        self._enricher.interrupt()

    def interrupt(self) -> None:
        """Cut off whoever still waits for a server that does not answer."""
        for link in self._links:
            link.interrupt()

    def close(self) -> None:
        """Close what no thread closes; all threads have ended, or are given up."""
        self._enricher.close()

    def _link(self) -> Link:
        link = self._topology.link(self._node)
        self._links.append(link)
        return link

    def _threads(self) -> Iterator[GuardedThread]:
        target, own, node = self._target, self._own, self._node
        probing = self._link()
        prober, reaper = Prober(probing, own, target.stats.interval), Reaper(probing, own)
        sampler = Sampler(
            self._board, self._link(), own, target.sampling, self._names, self._governor, self._shared.safety
        )

        def probe(stop: threading.Event) -> None:
            try:
                while not stop.is_set():
                    reaper.look(self._report(prober))
                    stop.wait(prober.pause(len(self._board.nodes), self._board.scraped_at(node)))
            finally:
                prober.close()

        label = f"{node.target}/{node.addr}"
        yield GuardedThread(f"prober {label}", probe, self._stop)
        yield GuardedThread(f"sampler {label}", sampler.run, self._stop)
        works = [self._native().steps]
        if certificates := self._topology.certificates(node, partial(self._board.certify, node)):
            works.append(certificates.steps)
        if self._settings and self._settings.enabled:
            works.append(self._keyspace(self._settings).steps)
        yield GuardedThread(f"looks {label}", Turns(works).run, self._stop)

    def _native(self) -> NativeEyes:
        scanner = Scanner(self._link(), self._own, self._settings or Keyspace(), self._shared.pace)
        return NativeEyes(self._board, self._link(), scanner, self._target.sampling)

    def _keyspace(self, settings: Keyspace) -> KeyspaceSampler:
        scanner = Scanner(self._link(), self._own, settings, self._shared.pace)
        measured = partial(self._shared.meters.job, "keyspace")
        return KeyspaceSampler(self._board, scanner, self._target, settings, self._names, measured)

    def _report(self, prober: Prober) -> NodeStatus:
        """Publish how the node is, and log when that changes."""
        node = self._node
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
