"""The nodes of a target: a `Target` of the configuration in, `Node`s and links to them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from exporter.link import Link, OwnTraffic
from exporter.snapshot import Node

if TYPE_CHECKING:
    from exporter.config import Target


class Topology(Protocol):
    """What a target is made of. Standalone today; Sentinel and Cluster have the same two questions to answer."""

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that exist now. Raises NodeError where that has to be asked for and nobody answers."""
        ...

    def link(self, node: Node) -> Link:
        """A new, unopened connection to one node."""
        ...

    def own(self, node: Node) -> OwnTraffic:
        """What this process itself does on one node."""
        ...


class Standalone:
    """One server under one address, which is known from the start."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._node = Node(target.name, target.endpoint.addr)
        self._own = OwnTraffic()

    def nodes(self) -> tuple[Node, ...]:
        """The one node."""
        return (self._node,)

    def link(self, node: Node) -> Link:
        """A new, unopened connection to the node."""
        return Link(self._target, node, self._own)

    def own(self, node: Node) -> OwnTraffic:  # noqa: ARG002 - other topologies have several
        """What this process itself does on the node."""
        return self._own


def topology_of(target: Target) -> Topology:
    """The topology that a target's configuration asks for."""
    return Standalone(target)
