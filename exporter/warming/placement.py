"""Where the keys of a target go: its primaries, found anew for every run, and which of them holds which key.

In: a topology. Out: links to write on. A standalone server and a Sentinel group have one primary, a cluster several.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any

import redis
from redis.crc import key_slot

from exporter.errors import DownReason, NodeError
from exporter.snapshot import Node
from exporter.topology import Role
from exporter.warming.guards import Vitals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.link import Link, OwnTraffic
    from exporter.topology import Topology
    from exporter.warming.writes import Command

WRITE_TIMEOUT = 10.0
OTHERS_SECONDS = 0.25
"""Over how long the commands of others are counted, at least: one more or less of ours is hardly seen in them."""
OTHERS_ERROR = 20
"""How many commands of ours may be counted at one end of such a time and not at the other."""
VITALS = ("INFO", "server", "memory", "persistence", "replication", "stats", "cluster")
_SINCE_7 = re.compile(rb"\r\nredis_version:(?:[7-9]|\d\d)\.")


def _takes_sections(info: object) -> bool:
    """Whether INFO takes several sections, as it does since 7.0."""
    return isinstance(info, bytes) and _SINCE_7.search(info) is not None


def slot_of(key: bytes) -> int:
    """The hash slot of a key, by the rule of Redis Cluster (also where there is no cluster: for shards)."""
    return int(key_slot(key))


class Placement:
    """Links to all primaries, opened at once. Belongs to one thread, but for `interrupt`."""

    def __init__(self, topology: Topology, target: str, db: int) -> None:
        self._topology = topology
        self._target = target
        self._db = db
        self._links: dict[str, Link] = {}
        self._slots: list[tuple[int, int, str]] = []
        self._questions: dict[str, Command] = {}
        self.vitals: dict[str, Vitals] = {}
        self._seen: dict[str, tuple[float, int]] = {}
        self._refused: Counter[str] = Counter()
        self.others = inf
        """Commands a second of everybody else, at the primary with most of them; infinite while that is not known."""
        self.waited = 0.0
        """Seconds until the slowest primary began to answer to the last `send`."""

    def home(self, name: str) -> Node:
        """The primary that holds the keys whose names begin with `{name}`."""
        return Node(self._target, self.place(f"{{{name}}}".encode()))

    @property
    def addresses(self) -> tuple[str, ...]:
        """All primaries."""
        return tuple(self._links)

    def open(self) -> None:
        """Find the primaries and connect to them. Raises NodeError."""
        fault: NodeError | None = None
        for node in self._topology.nodes():
            if (member := self._topology.member(node)) is None or member.role is Role.REPLICA:
                continue  # an old primary may still take itself for one
            link = self._topology.link(node)
            try:
                said = link.call("INFO")
                vitals = Vitals.parse(said)
                if vitals.role == "master" and not vitals.loading:
                    if self._db:
                        link.call("SELECT", self._db)
                    self._links[node.addr], self.vitals[node.addr] = link, vitals
                    self._questions[node.addr] = VITALS if _takes_sections(said) else ("INFO",)
                    self._see(node.addr, vitals)
                    continue
                if vitals.loading:
                    fault = NodeError(node.addr, "warm", DownReason.LOADING, "the server is loading its data set")
            except redis.ResponseError as refusal:
                fault = NodeError(node.addr, "warm", DownReason.NOPERM, type(refusal).__name__)
            except NodeError as error:
                fault = error
            link.close()
        if not self._links:
            raise fault or NodeError(self._target, "warm", DownReason.UNREACHABLE, "there is no primary")
        if len(self._links) > 1:
            self._slots = self._read_slots()

    def own(self, addr: str) -> OwnTraffic:
        """What we do on one primary."""
        return self._topology.own(Node(self._target, addr))

    def link(self, node: Node) -> Link:
        """One more link to a primary, unopened."""
        return self._topology.link(node)

    def identity(self, addr: str) -> tuple[bytes | None, bytes]:
        """How MONITOR shows what `send` does there: the address of its connection, and the word that marks it."""
        return self._links[addr].address, self.own(addr).token

    def send(
        self, commands: Sequence[tuple[bytes, Command]], tail: Callable[[str], Sequence[Command]] = lambda _: ()
    ) -> list[Any]:
        """Send commands to where their keys are, and behind them what `tail` gives for each of these nodes.

        Returns the replies in the order of the commands; an error reply stands among them. Raises NodeError.
        """
        by_place: dict[str, list[int]] = {}
        for at, (key, _) in enumerate(commands):
            by_place.setdefault(self.place(key), []).append(at)
        replies: list[Any] = [None] * len(commands)
        self.waited = 0.0
        for addr, places in by_place.items():
            answers = self.exchange(addr, [*(commands[at][1] for at in places), *tail(addr)])
            self.waited = max(self.waited, self._links[addr].waited)
            for at, answer in zip(places, answers, strict=False):
                replies[at] = answer
        return replies

    def look(self) -> None:
        """See how all primaries are, and what else they have to do. Raises NodeError."""
        others = []
        for addr in self._links:
            self.vitals[addr] = Vitals.parse(self.exchange(addr, [self._questions[addr]])[0])
            since, before = self._seen[addr]
            if time.monotonic() - since >= OTHERS_SECONDS:
                now, theirs = self._see(addr, self.vitals[addr])
                rate = (theirs - before) / (now - since)
                # Somebody has set the counters back.
                others.append(rate if theirs - before > -OTHERS_ERROR else inf)
        self.others = max(others, default=self.others)

    def ping(self) -> float:
        """How long it takes when nothing is to be done (seconds, the slowest primary). Raises NodeError."""
        longest = 0.0
        for addr, link in self._links.items():
            self.exchange(addr, [("PING",)])
            longest = max(longest, link.waited)
        return longest

    def interrupt(self) -> None:
        """Let whoever waits for a primary fail at once. For other threads."""
        for link in tuple(self._links.values()):
            link.interrupt()

    def close(self) -> None:
        """Close all links."""
        for link in self._links.values():
            link.close()
        self._links.clear()

    def exchange(self, addr: str, commands: Sequence[Command], *, framed: bool = True) -> list[Any]:
        """Send commands to one primary; their replies. Raises NodeError.

        On a unix socket they go as one transaction that is marked as ours, unless they do that themselves.
        """
        link = self._links[addr]
        if not link.is_open:
            # A link that broke would come back in database 0.
            raise NodeError(addr, "warm", DownReason.CLOSED, "the connection broke")
        if not (framed and commands and addr.startswith("unix:")):
            replies = link.pipeline(commands, WRITE_TIMEOUT)
            self._refused[addr] += sum(isinstance(reply, redis.ResponseError) for reply in replies)
            return replies
        token = self.own(addr).token
        done = link.pipeline([("MULTI",), ("PING", token), *commands, ("EXEC",)], WRITE_TIMEOUT)[-1]
        return done[1:] if isinstance(done, list) else [done] * len(commands)

    def place(self, key: bytes) -> str:
        """The address of the primary that holds a key."""
        if not self._slots and self._links:
            return next(iter(self._links))
        slot = slot_of(key)
        for first, last, addr in self._slots:
            if first <= slot <= last:
                return addr
        raise NodeError(self._target, "warm", DownReason.UNREACHABLE, "there is no primary for a key")

    def _see(self, addr: str, vitals: Vitals) -> tuple[float, int]:
        """Note when a primary had worked off how many commands of others (from some number on).

        What it refuses at once it does not count. What fails later it does, and so it does with what a script of ours
        calls: both pass for commands of others here, who are then waited for in vain.
        """
        ours = self.own(addr).commands - self._refused[addr]
        seen = self._seen[addr] = time.monotonic(), vitals.commands - ours
        return seen

    def _read_slots(self) -> list[tuple[int, int, str]]:
        """Which primary has which slots, as the first one says."""
        reply = next(iter(self._links.values())).call("CLUSTER", "SLOTS")
        ports = {addr.rpartition(":")[2]: addr for addr in self._links}
        slots = []
        for first, last, primary, *_ in reply:
            named = f"{primary[0].decode('ascii', 'replace')}:{primary[1]}"
            # The address that the cluster announces may be another one than ours for the same node.
            addr = named if named in self._links else ports.get(str(primary[1]))
            if addr is not None:
                slots.append((first, last, addr))
        return slots
