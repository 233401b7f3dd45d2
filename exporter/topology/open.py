"""From what a target's configuration says to its topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.topology.cluster import ClusterDiscovery
from exporter.topology.members import Topology
from exporter.topology.sentinel import SentinelDiscovery

if TYPE_CHECKING:
    from exporter.config import Target


def topology_of(target: Target) -> Topology:
    """The topology that a target's configuration asks for; nothing is connected yet."""
    if target.by_sentinel:
        return Topology(target, SentinelDiscovery(target))
    return Topology(target, ClusterDiscovery(target) if target.by_cluster else None)


def follow_cluster(topology: Topology, target: Target) -> None:
    """From now on, follow the cluster that the one server of a topology has turned out to be a node of."""
    topology.discovery = ClusterDiscovery(target)
