"""Missed keys are heard of wherever the primary is, also after it has moved."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from exporter.config import load
from exporter.topology import Member, Role, Topology, topology_of
from exporter.warming.missed import Missed
from tests.servers import wait_for

if TYPE_CHECKING:
    from exporter.link import Link
    from exporter.snapshot import Node
    from tests.servers import Server, StartServer


class Moving:
    """Two servers, of which one at a time is the primary, as a Sentinel's topology shows them."""

    def __init__(self, *servers: Server) -> None:
        self._topologies: list[Topology] = []
        for server in servers:
            [target] = load(None, redis_url=server.url, environ={}).targets
            self._topologies.append(topology_of(target))
        self.primary = 0

    def nodes(self) -> tuple[Node, ...]:
        """Both."""
        return tuple(topology.nodes()[0] for topology in self._topologies)

    def member(self, node: Node) -> Member:
        """The role of each."""
        return Member(node.addr, Role.PRIMARY if self.nodes().index(node) == self.primary else Role.REPLICA)

    def link(self, node: Node) -> Link:
        """To either."""
        return self._topologies[self.nodes().index(node)].link(node)


def test_who_listens_moves_with_the_primary(start_server: StartServer) -> None:
    """What is missed on the new primary counts from soon after a failover on, beside what was missed on the old one."""
    old, new = start_server("redis-7.0"), start_server("redis-7.0")
    for server in (old, new):
        server.client().config_set("notify-keyspace-events", "Em")
    moving, stop = Moving(old, new), threading.Event()
    missed = Missed(moving)  # type: ignore[arg-type]
    thread = threading.Thread(target=missed.run, args=(stop,))
    thread.start()
    try:

        def heard(server: Server, key: str) -> bool:
            server.client().get(key)
            return key.encode() in {found for _, found, _ in missed.top(0)}

        wait_for(lambda: heard(old, "a"), 10, "a miss on the first primary")
        moving.primary = 1
        wait_for(lambda: heard(new, "b"), 10, "a miss on the second one")
        wait_for(lambda: not old.client().pubsub_numpat(), 10, "the first one to be left")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert not new.client().pubsub_numpat()
