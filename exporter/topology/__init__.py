"""The nodes of a target: a `Target` of the configuration in, the nodes that exist now and links to them out.

`members` is what all topologies share; `sentinel` and `cluster` find out who the nodes are.
"""

from __future__ import annotations

from exporter.topology.heat import sampled
from exporter.topology.members import Member, Role, Topology
from exporter.topology.open import follow_cluster, topology_of

__all__ = ["Member", "Role", "Topology", "follow_cluster", "sampled", "topology_of"]
