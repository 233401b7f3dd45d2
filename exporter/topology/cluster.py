"""Which nodes a cluster has, by what its own nodes say: CLUSTER NODES of some of them in, the members out.

Up to three nodes are asked every second, and at once when something is said to have changed (MOVED, a node that went
down or changed its role). The best view counts: a node that was cut off, or removed from the cluster, knows of fewer
slots with an owner, or only of older epochs.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from exporter.config.endpoint import join
from exporter.errors import DownReason, NodeError
from exporter.topology.members import Member, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exporter.config import Target
    from exporter.link import Link
    from exporter.snapshot import Certificates

REFRESH_SECONDS = 1.0
SECONDS_PER_NODE = 0.01
"""What CLUSTER NODES costs a server grows with the cluster: beyond a hundred nodes it is asked less often."""
SOONEST_SECONDS = 0.2
"""How soon the nodes are asked again, however much is said to have changed."""
ASKED = 3
PATIENCE_SECONDS = 0.6
"""Once one node has answered and this time is over, no further one is asked."""
STOP_SECONDS = 0.2
SHARD_NAME_LENGTH = 8
_ABSENT = frozenset({"noaddr", "handshake"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One node as another one shows it: `primary` is the id of the node that it replicates, empty for a primary."""

    id: str
    addr: str
    primary: str
    failed: bool
    epoch: int
    slots: int


def entries(text: str, asked: str, *, by_name: bool = False) -> tuple[Entry, ...]:
    """Read the reply to CLUSTER NODES; lines of nodes that nobody can reach (yet) are left out.

    Args:
        text: `ID IP:PORT@BUSPORT,HOSTNAME FLAGS PRIMARY PING PONG EPOCH LINK SLOT…`, a line for each node.
        asked: the host that was asked; a node that was never told its own address is there.
        by_name: use host names where the nodes announce them, as certificates want it.

    Raises:
        ValueError: this is not such a reply.

    """
    return tuple(filter(None, (_entry(line.split(), asked, by_name=by_name) for line in text.splitlines() if line)))


def _entry(words: Sequence[str], asked: str, *, by_name: bool) -> Entry | None:
    if len(words) < 8:
        raise ValueError("a line of CLUSTER NODES has at least eight words")
    node, place, flags, primary, _, _, epoch, _, *ranges = words
    kinds = set(flags.split(","))
    address, _, names = place.partition(",")
    host, _, port = address.partition("@")[0].rpartition(":")
    if kinds & _ABSENT or port == "0":
        return None
    named = names.partition(",")[0]
    if by_name and named and named != "?":
        host = named
    return Entry(
        id=node,
        addr=join(host.strip("[]") or asked, int(port)),
        primary="" if primary == "-" else primary,
        failed="fail" in kinds,
        epoch=int(epoch),
        slots=sum(map(_width, ranges)),
    )


def _width(text: str) -> int:
    """How many slots a range has; one that is on its way (`[93->-ID]`) is counted where it comes from."""
    if text.startswith("["):
        return 0
    first, _, last = text.partition("-")
    return int(last or first) - int(first) + 1


def best(views: Sequence[tuple[Entry, ...]]) -> tuple[Entry, ...]:
    """Choose the view that knows an owner for most slots, and among those the one with the newest epoch."""
    return max(views, key=lambda view: (sum(one.slots for one in view), max((one.epoch for one in view), default=0)))


def members(view: Sequence[Entry], known: Sequence[Member]) -> tuple[Member, ...]:
    """Who the nodes are, primaries first. A shard keeps its name as long as one of its nodes stays in it.

    A node that the cluster has given up is undecided: what it was is for its replicas to say.
    """
    before = {member.addr: member.shard for member in known if member.shard}
    shards = _shards(view, before)
    found = []
    for one in view:
        shard = shards.get(one.primary or one.id) or before.get(one.addr, "")
        role = Role.REPLICA if one.primary else Role.UNDECIDED if one.failed else Role.PRIMARY
        found.append(Member(one.addr, role, shard=shard, group=shard))
    return tuple(sorted(found, key=lambda member: (member.role is Role.REPLICA, member.addr)))


def _shards(view: Sequence[Entry], before: Mapping[str, str]) -> dict[str, str]:
    """Name the shard of each primary (by id): as before, or else after the smallest id among its nodes."""
    names: dict[str, str] = {}
    primaries = [one for one in view if not one.primary]
    # Who has slots now comes first: a primary that has failed may have left its shard to one of its replicas.
    for one in sorted(primaries, key=lambda one: (one.failed, not one.slots, one.id)):
        nodes = [one, *(other for other in view if other.primary == one.id)]
        named = [before[node.addr] for node in nodes if node.addr in before]
        options = [*named[:1], min(node.id for node in nodes)[:SHARD_NAME_LENGTH], one.id[:SHARD_NAME_LENGTH]]
        taken = set(names.values())
        # One that has left its name to another, and has nothing of its own, still belongs there.
        names[one.id] = options[0] if one.failed else next((name for name in options if name not in taken), one.id)
    return names


class ClusterDiscovery:
    """Asks the nodes of one cluster. Belongs to one thread, but for `hurry`."""

    def __init__(self, target: Target) -> None:
        self.seeds = target.seeds
        self._by_name = target.endpoint.tls and target.tls.server_name is None
        self._links: dict[str, Link] = {}
        self._faulty: set[str] = set()
        self._hurry = threading.Event()
        self._nodes = 0

    @property
    def certificates(self) -> dict[str, Certificates]:
        """None: those who are asked are nodes themselves."""
        return {}

    def find(self, known: tuple[Member, ...], connect: Callable[[str], Link]) -> tuple[Member, ...]:
        """The members now, primaries first.

        Raises:
            NodeError: no node answers, or none is part of a cluster.

        """
        views: list[tuple[Entry, ...]] = []
        asked: set[str] = set()
        fault: NodeError | None = None
        until = time.monotonic() + PATIENCE_SECONDS
        for addr in self._in_order(known):
            stranger = bool(known) and addr not in {member.addr for member in known}
            if len(views) == ASKED or (views and (stranger or time.monotonic() > until)):
                break
            asked.add(addr)
            try:
                views.append(self._view(addr, connect))
                self._faulty.discard(addr)
            except NodeError as error:
                fault = fault or error
                self._faulty.add(addr)
                self._links.pop(addr).close()
        for addr in set(self._links) - asked:
            self._links.pop(addr).close()
        if not views:
            raise fault or NodeError(self.seeds[0], "CLUSTER NODES", DownReason.TIMEOUT, "no node answers")
        view = best(views)
        self._nodes = len(view)
        self._faulty &= {one.addr for one in view} | set(self.seeds)
        return members(view, known)

    def wait(self, stop: threading.Event) -> None:
        """Return when something is said to have changed, or when it is time to ask again."""
        began = time.monotonic()
        until = began + max(REFRESH_SECONDS, SECONDS_PER_NODE * self._nodes)
        while not stop.is_set() and (left := until - time.monotonic()) > 0:
            if self._hurry.wait(min(left, STOP_SECONDS)):
                self._hurry.clear()
                until = min(until, began + SOONEST_SECONDS)

    def hurry(self) -> None:
        """Something has changed: look again soon. For any thread."""
        self._hurry.set()

    def close(self) -> None:
        """Close all connections."""
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _in_order(self, known: Sequence[Member]) -> Iterator[str]:
        """Whom to ask: the nodes, those that answered last time first, and the seeds if none of them answers."""
        nodes = [member.addr for member in known]
        yield from sorted(nodes, key=lambda addr: addr in self._faulty)
        yield from (seed for seed in self.seeds if seed not in nodes)

    def _view(self, addr: str, connect: Callable[[str], Link]) -> tuple[Entry, ...]:
        """What one node says. Raises NodeError."""
        link = self._links.get(addr)
        if link is None:
            link = self._links[addr] = connect(addr)
        try:
            reply = link.call("CLUSTER", "NODES")
        except redis.ResponseError as refusal:
            reason = DownReason.NOPERM if "NOPERM" in str(refusal) or "no permissions" in str(refusal) else None
            words = "this user may not ask" if reason else "this is no node of a cluster"
            raise NodeError(addr, "CLUSTER NODES", reason or DownReason.PROTOCOL, words) from None
        try:
            view = entries(bytes(reply).decode(), host_of(addr), by_name=self._by_name)
        except (ValueError, TypeError):
            view = ()
        if not view:
            raise NodeError(addr, "CLUSTER NODES", DownReason.PROTOCOL, "the answer is not what a cluster would say")
        return view


def host_of(addr: str) -> str:
    """Return the host of `host:port`, without brackets."""
    return addr.rpartition(":")[0].strip("[]")
