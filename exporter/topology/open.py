"""From what a target's configuration says to its topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.topology.members import Topology
from exporter.topology.sentinel import SentinelDiscovery

if TYPE_CHECKING:
    from exporter.config import Target


def topology_of(target: Target) -> Topology:
    """The topology that a target's configuration asks for; nothing is connected yet."""
    return Topology(target, SentinelDiscovery(target) if target.by_sentinel else None)
