"""INFO's replication section and Valkey's scripting engines: numbered lines in, one value for each out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.serverstats import Engine, MasterLink, Replica
from exporter.stats.info import first, number, pairs, word

if TYPE_CHECKING:
    from exporter.stats.info import Info

MOST_REPLICAS = 256
MOST_ENGINES = 16


def replicas(info: Info) -> tuple[Replica, ...]:
    """The replicas that a master lists."""
    found: dict[tuple[str, str, str], Replica] = {}
    for _, value in first(info.table("slave"), MOST_REPLICAS):
        parts = pairs(value)
        offset = number(parts, "offset")
        if offset is not None:
            ip, port, state = (word(parts.get(name, "")) for name in ("ip", "port", "state"))
            found[ip, port, state] = Replica(ip, port, state, offset, number(parts, "lag"))
    return tuple(found.values())


def masters(info: Info) -> tuple[MasterLink, ...]:
    """The master that a replica follows; empty on a master."""
    fields = info.fields
    if "master_link_status" not in fields:
        return ()
    return (
        MasterLink(
            host=word(fields.get("master_host", "")),
            port=word(fields.get("master_port", "")),
            up=fields["master_link_status"] == "up",
            last_io_seconds_ago=number(fields, "master_last_io_seconds_ago"),
            sync_in_progress=number(fields, "master_sync_in_progress"),
            offset=number(fields, "slave_repl_offset"),
        ),
    )


def engines(info: Info) -> tuple[Engine, ...]:
    """The scripting engines of Valkey 9.1."""
    found: dict[tuple[str, str, str], Engine] = {}
    for _, value in first(info.table("engine_"), MOST_ENGINES):
        parts = pairs(value)
        used, overhead = number(parts, "used_memory"), number(parts, "memory_overhead")
        if used is not None and overhead is not None:
            name, module, abi = (word(parts.get(one, "")) for one in ("name", "module", "abi_version"))
            found[name, module, abi] = Engine(name, module, abi, used, overhead)
    return tuple(found.values())
