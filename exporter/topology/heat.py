"""Where to look for heat: the members of a deployment in, those that are sampled out (pure).

That is each primary, or, where replicas are preferred, one replica in its place: all writes get there, and looking at
them costs the primary nothing. A shard without a replica that can be used is sampled at its primary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.topology.members import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from exporter.topology.members import Member


def sampled(
    members: Sequence[Member], usable: Callable[[str], bool], before: Collection[str], *, prefer_replica: bool
) -> frozenset[str]:
    """The addresses to sample.

    Args:
        members: all members.
        usable: whether a replica is up and in sync.
        before: the addresses that were sampled until now; a replica stays in use as long as it can be used.
        prefer_replica: whether replicas are preferred at all.

    """
    chosen = set()
    for primary in members:
        if primary.role not in {Role.PRIMARY, Role.ANY}:
            continue
        replicas = [
            one.addr
            for one in members
            if prefer_replica and one.role is Role.REPLICA and one.group == primary.group and usable(one.addr)
        ]
        chosen.add(min(replicas, key=lambda addr: (addr not in before, addr), default=primary.addr))
    return frozenset(chosen)
