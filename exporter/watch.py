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
from exporter.monitor.canary import Canary
from exporter.monitor.clients import Introductions
from exporter.monitor.governor import Governor, SkipReason
from exporter.monitor.presence import Presence
from exporter.monitor.reaper import Reaper
from exporter.sampling.enrich import Enricher
from exporter.sampling.hotkeys import Sampler
from exporter.sampling.keyspace import KeyspaceSampler
from exporter.sampling.native import NativeEyes
from exporter.sampling.scan import Scanner
from exporter.schedule import Bell, GuardedThread, Turns
from exporter.serverstats import ServerStats
from exporter.snapshot import Board, HotKeys, Membership, Node, NodeStatus, SamplingState, Source
from exporter.stats.prober import Prober, unreachable
from exporter.topology import Member, Role, follow_cluster, sampled, topology_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from exporter.config import Keys, Target
    from exporter.link import Link
    from exporter.meters import Meters
    from exporter.sampling.hotkeys import Safety
    from exporter.sampling.scan import Pace
    from exporter.topology import Topology

MOST_LOGGED = 20
"""How many primaries one log line names."""
GRACE_SECONDS = 1.0
"""How long threads get to end by themselves before their sockets are shut."""
_BARS = {
    Role.ANY: None,
    Role.PRIMARY: SkipReason.STANDBY,  # a replica is sampled in its place
    Role.REPLICA: SkipReason.REPLICA,
    Role.UNDECIDED: SkipReason.FAILOVER,
}
_HOPELESS = frozenset({"denied", "unsupported", "server_limit", "watchdog", "off"})
"""Why a sampler that cannot look leaves its turn to another."""


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
        self.shared = shared
        self.names = KeyNames.of(order.keys, hash_secret_of(order.keys))
        self._stop = threading.Event()
        self._changing = threading.Lock()
        self._running: dict[Node, NodeWatch] = {}
        self._fault: DownReason | None = None
        self._sampled: frozenset[str] = frozenset()
        self._follower: GuardedThread | None = None
        if self.topology.discovery is not None:
            self._follower = self._new_follower()

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
                self.shared.board.add(node)
            self._follower.start()

    def changed(self, node: Node) -> None:
        """Take note that a node went up or down or has another role; for its prober."""
        stats, target = self.shared.board.latest(node, ServerStats), self.order.target
        clustered = stats is not None and stats.info.get("cluster_enabled") == "1"
        if self._follower is None and target.topology == "auto" and clustered:
            with self._changing:
                if self._follower is None and not self._stop.is_set():
                    log.info("topology.cluster", "the server is a node of a cluster, which is followed from now on",
                             target=target.name, addr=node.addr)  # fmt: skip
                    follow_cluster(self.topology, target)
                    self._follower = self._new_follower()
                    self._follower.start()
        self.topology.hurry()

    def _new_follower(self) -> GuardedThread:
        return GuardedThread(f"topology {self.order.target.name}", self._follow, self._stop)

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
            self.shared.board.forget(self._running.keys() | set(self.nodes))

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
                        self.shared.board.forget(set(before) - set(self.nodes))
                        fresh()  # what follows a switch belongs together
                        with tracing.span("topology.switch", {"db.system.name": "redis"}):
                            self._apply()
                    elif self.order.target.sampling.prefer_replica:
                        self._settle()
                for addr, found in discovery.certificates.items():
                    self.shared.board.certify(Node(self.order.target.name, addr), found)
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
            new = [node for node in nodes if node not in self._running]
            self._running |= {node: NodeWatch(node, self) for node in new}
            self._settle()
            for node in new:
                self._running[node].start()
        end(gone)
        if self._follower is not None:
            members = filter(None, map(self.topology.member, nodes))
            primaries = [member.addr for member in members if member.role is Role.PRIMARY][:MOST_LOGGED]
            log.info("topology.changed", "the nodes of a target or their roles have changed",
                     target=self.order.target.name, primaries=primaries, nodes=len(nodes))  # fmt: skip

    def _settle(self) -> None:
        """Tell every node what it is, and whether it is the one of its shard that is sampled."""
        members = {node.addr: self.topology.member(node) or Member(node.addr) for node in self._running}
        preferred = self.order.target.sampling.prefer_replica
        self._sampled = sampled(tuple(members.values()), self._in_sync, self._sampled, prefer_replica=preferred)
        for node, running in self._running.items():
            member = members[node.addr]
            running.be(member, None if node.addr in self._sampled else _BARS[member.role])

    def _in_sync(self, addr: str) -> bool:
        """Whether a replica is up and shows what its primary does."""
        node = Node(self.order.target.name, addr)
        status, stats = self.shared.board.latest(node, NodeStatus), self.shared.board.latest(node, ServerStats)
        well = status is not None and status.down is None and not status.loading and not status.failover
        return well and stats is not None and bool(stats.masters) and all(link.up for link in stats.masters)

    def _known(self) -> None:
        if self._fault is not None:
            self._fault = None
            log.info("topology.known", "the nodes of a target are known again", target=self.order.target.name)

    def _unknown(self, fault: NodeError) -> None:
        """Nobody knows which nodes there are: go on with those that were known; if there are none, say why."""
        if not self.topology.found and not self._running:
            for node in self.nodes:
                self.shared.board.publish(node, unreachable(fault, time.monotonic()))
        if self._fault is not fault.reason:
            self._fault = fault.reason
            log.warning("topology.unknown", "nobody says which nodes a target has; those known before are kept",
                        target=self.order.target.name, addr=fault.addr, reason=fault.reason.value,
                        detail=str(fault))  # fmt: skip


class NodeWatch:
    """One node being watched: a prober and a sampler thread, a thread that scans, and an enricher."""

    def __init__(self, node: Node, watch: Watch) -> None:
        order, topology = watch.order, watch.topology
        self._node = node
        self._target = order.target
        self._settings = order.keyspace
        self._names = watch.names
        self._shared, self._board = watch.shared, watch.shared.board
        self._changed = watch.changed
        self._stop = threading.Event()
        self._topology = topology
        self._own = topology.own(node)
        self._bell = Bell(self._stop)
        self._own.noticed = self._bell.ring
        self._links: list[Link] = []
        self._enricher = Enricher(self._board, self._link(), self._own)
        self._part: Membership | None = None
        self._barred: SkipReason | None = None
        by_member = topology.discovery is not None and not order.target.sampling.prefer_replica
        primaries_only = by_member or order.target.nodes == "primaries"
        self._governor = Governor(order.target.sampling, primaries_only=primaries_only)
        self.threads = list(self._threads())

    def start(self) -> None:
        """Start all threads."""
        self._board.add(self._node)
        for thread in self.threads:
            thread.start()

    def be(self, member: Member, barred: SkipReason | None) -> None:
        """Take note of what the node is now, and why it is not to be sampled, if so; its figures are then withdrawn."""
        if member.role is Role.ANY:
            return
        self._board.add(self._node)
        part = Membership(member.shard, member.group)
        if part != self._part:
            self._part = part
            self._board.publish(self._node, part)
        self._barred = barred
        self._bar()

    def _bar(self) -> None:
        """Bar the sampler for what the node is, or because another exporter samples it."""
        reason = self._barred or (SkipReason.STANDBY if self._presence.stands_by else None)
        self._governor.bar(reason)
        if reason is not None:
            self._board.withdraw(self._node, HotKeys)

    def _wants(self) -> bool:
        """Whether this node is to be sampled by us, and can be."""
        settings, state = self._target.sampling, self._board.latest(self._node, SamplingState)
        hopeless = state is not None and state.source is Source.NONE and state.reason in _HOPELESS
        by_monitor = settings.source in {"auto", "monitor"} and not settings.beside_others
        return by_monitor and not hopeless and self._barred is None

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
        self._bell.ring()
        self._enricher.interrupt()

    def interrupt(self) -> None:
        """Cut off whoever still waits for a server that does not answer."""
        for link in self._links:
            link.interrupt()

    def close(self) -> None:
        """Close what no thread closes; all threads have ended, or are given up."""
        self._enricher.close()

    def _link(self) -> Link:
        self._links.append(self._topology.link(self._node))
        return self._links[-1]

    def _threads(self) -> Iterator[GuardedThread]:
        target, own, node = self._target, self._own, self._node
        probing = self._link()
        self._presence = Presence(probing)
        prober, reaper = Prober(probing, own, target.stats.interval), Reaper(probing, own)
        introductions = Introductions(self._board, probing)
        sampler = Sampler(
            self._board, self._link(), own, target.sampling, self._names, self._governor,
            Canary(self._link(), own.token), self._shared.safety,
        )  # fmt: skip

        def probe(stop: threading.Event) -> None:
            try:
                while not stop.is_set():
                    reaper.look(introductions.look(self._report(prober)))
                    self._bell.wait(prober.pause(len(self._board.nodes), self._board.scraped_at(node)))
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
        node, stood_by = self._node, self._presence.stands_by
        before, status = self._board.latest(node, NodeStatus), prober.probe()
        if self._presence.look(status, wanted=self._wants()) != stood_by:
            self._bar()
        self._board.publish(node, status)
        if prober.stats is not None:
            self._board.publish(node, prober.stats)
        if before is None or (before.down, before.role) != (status.down, status.role):
            self._changed(node)
        if before is not None and before.down == status.down:
            return status
        if status.down is None:
            log.info("node.up", "the node answers", target=node.target, addr=node.addr,
                     role=status.role, server=status.server, version=status.version)  # fmt: skip
        else:
            log.warning("node.down", "the node cannot be used", target=node.target, addr=node.addr,
                        reason=status.down, detail=status.detail)  # fmt: skip
        return status
