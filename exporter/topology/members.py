"""The nodes of one target as they are now, links to them, and what this process itself does on each of them.

In: a `Target`, and for a deployment whose nodes change a `Discovery`. Out: `Member`s, `Link`s, `OwnTraffic`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from exporter.config.endpoint import host_and_port
from exporter.link import REPLY_TIMEOUT, Link, OwnTraffic
from exporter.snapshot import Node
from exporter.topology.certificates import CertificateLook

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from exporter.config import Endpoint, Target
    from exporter.snapshot import Certificates

PROBE_TIMEOUT = 0.5
"""Who decides for a whole deployment cannot wait longer for one of its nodes."""


class Role(StrEnum):
    """What a node is for its deployment. `any`: there is nobody to ask, its own INFO decides."""

    ANY = "any"
    PRIMARY = "primary"
    REPLICA = "replica"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Member:
    """One node of a deployment; `shard` and `group` name what it is a part of, empty where there is no such thing."""

    addr: str
    role: Role = Role.ANY
    shard: str = ""
    group: str = ""


class Discovery(Protocol):
    """Knows how to find out which nodes a deployment has. Belongs to one thread, but for `hurry`."""

    @property
    def seeds(self) -> tuple[str, ...]:
        """Addresses that stand for the deployment until its nodes are known."""
        ...

    @property
    def certificates(self) -> Mapping[str, Certificates]:
        """The certificates of who is asked, by address: those that are no nodes themselves."""
        ...

    def find(self, known: tuple[Member, ...], connect: Callable[[str], Link]) -> tuple[Member, ...]:
        """The members now, given those that were found last, primaries first. `connect` makes links to any of them.

        Raises:
            NodeError: nobody answers, or nobody knows.

        """
        ...

    def wait(self, stop: threading.Event) -> None:
        """Return when it is time to look again: something is said to have changed, or some seconds are over."""
        ...

    def hurry(self) -> None:
        """Something is said to have changed: look again soon. For any thread."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Topology:
    """The nodes of one target. `refresh` belongs to one thread, everything else to any."""

    def __init__(self, target: Target, discovery: Discovery | None = None) -> None:
        self._target = target
        self._own: dict[str, OwnTraffic] = {}
        self.discovery = discovery
        seeds = discovery.seeds[:1] if discovery else (target.endpoint.addr,)
        self._members = {addr: Member(addr, Role.UNDECIDED if discovery else Role.ANY) for addr in seeds}
        self._found: tuple[Member, ...] = ()

    @property
    def found(self) -> bool:
        """Whether the nodes are known, and not only where to ask for them."""
        return self.discovery is None or bool(self._found)

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that exist now, as far as is known."""
        return tuple(Node(self._target.name, addr) for addr in self._members)

    def member(self, node: Node) -> Member | None:
        """What a node is in this deployment now; None if it is no part of it any more."""
        return self._members.get(node.addr)

    def refresh(self) -> bool:
        """Ask who is there; returns whether anything has changed.

        Raises:
            NodeError: nobody answers, or nobody knows; what was known stays.

        """
        if self.discovery is None:
            return False
        found = self.discovery.find(self._found, self._probe)
        if found == self._found:
            return False
        kept = found if self._target.nodes == "all" else [one for one in found if one.role is not Role.REPLICA]
        self._found = found
        self._members = {member.addr: member for member in kept}
        self._own = {addr: own for addr, own in self._own.items() if addr in self._members}
        return True

    def hurry(self) -> None:
        """A node has changed, or a key is somewhere else: look again soon. For any thread."""
        if self.discovery is not None:
            self.discovery.hurry()

    def close(self) -> None:
        """Close what was opened in order to find out who is there."""
        if self.discovery is not None:
            self.discovery.close()

    def link(self, node: Node, timeout: float = REPLY_TIMEOUT) -> Link:
        """A new, unopened connection to one node."""
        return Link(self._target, node, self.own(node), self._endpoint(node.addr), timeout)

    def own(self, node: Node) -> OwnTraffic:
        """What this process itself does on one node."""
        return self._own.setdefault(node.addr, OwnTraffic(self.hurry))

    def certificates(self, node: Node, publish: Callable[[Certificates], None]) -> CertificateLook | None:
        """Looks after the certificates of one node; None where it is reached without TLS."""
        endpoint = self._endpoint(node.addr)
        if not endpoint.tls:
            return None
        return CertificateLook(node, endpoint, self._target.tls, self.own(node), publish)

    def _probe(self, addr: str) -> Link:
        """A link to a node that may not be a member yet, for a discovery that cannot wait long."""
        node = Node(self._target.name, addr)
        return Link(self._target, node, self.own(node), self._endpoint(addr), PROBE_TIMEOUT)

    def _endpoint(self, addr: str) -> Endpoint:
        """The target's credentials and kind of connection, at another address."""
        if addr == self._target.endpoint.addr:
            return self._target.endpoint
        host, port = host_and_port(addr)
        return replace(self._target.endpoint, host=host, port=port, path=None)
