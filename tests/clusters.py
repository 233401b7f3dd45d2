"""A real cluster for tests, on loopback: primaries that share the slots, each with a replica.

In: how many shards. Out: a `Cluster` that can reshard, fail over, grow and shrink.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import redis
from redis.crc import key_slot

from tests.servers import free_port, wait_for

if TYPE_CHECKING:
    from tests.servers import Server, StartServer

SLOTS = 16_384


def nodes_of(server: Server) -> dict[str, dict[str, str]]:
    """CLUSTER NODES of one node: addr -> id, flags, primary, slots."""
    found = {}
    for line in str(_call(server, "CLUSTER", "NODES")).splitlines():
        words = line.split()
        found[words[1].partition("@")[0]] = {
            "id": words[0], "flags": words[2], "primary": words[3], "slots": " ".join(words[8:]),
        }  # fmt: skip
    return found


def _call(server: Server, *command: str | int) -> object:
    """One command on a connection of its own, replies as text."""
    client = redis.Redis(port=server.port, socket_timeout=5, decode_responses=True)
    client.response_callbacks.clear()
    try:
        return client.execute_command(*command)
    finally:
        client.close()


class Cluster:
    """`shards` primaries with a replica each. What is done to it is waited for on every living node."""

    def __init__(self, start_server: StartServer, shards: int = 3) -> None:
        self._start_server = start_server
        self.primaries = [self.node() for _ in range(shards)]
        self.replicas = [self.node() for _ in range(shards)]
        self.gone: list[Server] = []
        first = self.primaries[0]
        for at, server in enumerate(self.primaries):
            begin, end = SLOTS * at // shards, SLOTS * (at + 1) // shards - 1
            _call(server, "CLUSTER", "ADDSLOTSRANGE", begin, end)
            _call(server, "CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        for server in self.servers[1:]:
            self.meet(server)
        for primary, replica in zip(self.primaries, self.replicas, strict=True):
            wait_for(lambda: primary.addr in nodes_of(replica), 15, "a replica to hear of its primary")  # noqa: B023
            _call(replica, "CLUSTER", "REPLICATE", nodes_of(first)[primary.addr]["id"])
        self.settled()

    @property
    def servers(self) -> list[Server]:
        """All nodes that are part of it."""
        return [server for server in (*self.primaries, *self.replicas) if server not in self.gone]

    def node(self) -> Server:
        """Start one more server, which is part of no cluster yet."""
        config = {"cluster-enabled": "yes", "cluster-port": f"{free_port()}", "cluster-node-timeout": "1500"}
        # A primary that gives its last slot away would become a replica of whoever got it.
        config["cluster-allow-replica-migration"] = "no"
        return self._start_server(config={**config, "repl-diskless-sync-delay": "0"})

    def settled(self) -> None:
        """Wait until every node says that the cluster is whole, and every replica is in sync."""

        def well() -> bool:
            with suppress(redis.RedisError):
                for server in self.servers:
                    state = str(_call(server, "CLUSTER", "INFO"))
                    replication = str(_call(server, "INFO", "replication"))
                    if "cluster_state:ok" not in state or "master_link_status:down" in replication:
                        return False
                views = {frozenset(nodes_of(server)) for server in self.servers}
                return len(views) == 1
            return False

        wait_for(well, 30, "the cluster to be whole")

    def meet(self, server: Server) -> None:
        """Add a server, and wait until every node of the cluster knows it."""
        first = self.primaries[0]
        bus = str(_call(server, "CONFIG", "GET", "cluster-port")).split("'")[3]
        _call(first, "CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        ours = [one for one in self.servers if one in (first, server) or len(nodes_of(one)) > 1]

        def met() -> bool:
            views = [nodes_of(one) for one in {*ours, server}]
            return all({first.addr, server.addr} <= view.keys() for view in views)

        wait_for(met, 15, f"{server.addr} to be met")

    def forget(self, server: Server) -> None:
        """Remove a node that has no slots: all others forget it, and it forgets them."""
        self.gone.append(server)
        node = nodes_of(self.primaries[0])[server.addr]["id"]
        for other in self.servers:
            _call(other, "CLUSTER", "FORGET", node)
        _call(server, "CLUSTER", "RESET")

    def owner(self, key: str) -> Server:
        """The primary that holds a key's slot, as the first living node says."""
        slot = key_slot(key.encode())
        for addr, node in nodes_of(self.servers[0]).items():
            for part in node["slots"].split():
                first, _, last = part.partition("-")
                if not part.startswith("[") and int(first) <= slot <= int(last or first):
                    return next(server for server in self.servers if server.addr == addr)
        raise AssertionError(f"slot {slot} has no owner")

    def move(self, key: str, target: Server) -> None:
        """Move a key's slot, with its keys, to another primary, as redis-cli does."""
        slot, source = int(key_slot(key.encode())), self.owner(key)
        ids = {addr: node["id"] for addr, node in nodes_of(source).items()}
        _call(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.addr])
        _call(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.addr])
        client = source.client(decode_responses=True)
        while keys := client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for server in (target, source):
            _call(server, "CLUSTER", "SETSLOT", slot, "NODE", ids[target.addr])
        wait_for(lambda: self.owner(key) is target, 10, "the slot to be at its new node")
