"""Asks one node how it is, once per `stats.interval`: a link in, a `NodeStatus` out.

PING gives the latency, INFO nearly everything else; CONFIG is read once per connection, and only to learn whether the
server would end a stalled reader by itself.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import redis

from exporter.errors import DownReason, NodeError
from exporter.link import reason_of
from exporter.snapshot import NodeStatus
from exporter.stats import info
from exporter.stats.hits import HitRatio, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.link import Link, OwnTraffic


class Prober:
    """The state of one node, probed on a link of its own. Belongs to one thread."""

    def __init__(self, link: Link, own: OwnTraffic, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._own = own
        self._clock = clock
        self._hits = HitRatio()
        self._server_limit = 0
        self._last_success: float | None = None
        self._last: NodeStatus | None = None

    def probe(self) -> NodeStatus:
        """How the node is now. Never raises: a node that cannot be reached is `down` with its reason."""
        try:
            if not self._link.is_open:
                self._link.open()
                self._server_limit = server_limit(self._config())
            started = self._clock()
            self._call("PING")
            latency = self._clock() - started
            fields = info.parse(self._call("INFO"))
        except NodeError as fault:
            return self._unreachable(fault)
        if info.integer(fields, "loading"):
            status = self._status(fields, latency)
            self._last = replace(status, down=DownReason.LOADING, detail="the server is loading its data set")
            return self._last
        self._last_success = time.time()
        self._hits.add(self._reading(fields), fields.get("run_id", ""))
        self._last = self._status(fields, latency)
        return self._last

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    def _call(self, command: str) -> bytes:
        try:
            reply = self._link.call(command)
        except redis.ResponseError as refusal:
            self._link.close()
            reason, detail = reason_of(refusal)
            raise NodeError(self._link.node.addr, command, reason, detail) from None
        return reply if isinstance(reply, bytes) else b""

    def _config(self) -> dict[str, str]:
        """What CONFIG says about buffers; empty where it is renamed or forbidden."""
        settings: dict[str, str] = {}
        for name in ("client-output-buffer-limit", "maxmemory-clients"):
            try:
                reply = self._link.call("CONFIG", "GET", name)
            except redis.ResponseError:
                continue
            if isinstance(reply, list) and len(reply) == 2:
                settings[name] = reply[1].decode("ascii", "replace")
        return settings

    def _reading(self, fields: Mapping[str, str]) -> Reading:
        hits = info.integer(fields, "keyspace_hits") or 0
        misses = info.integer(fields, "keyspace_misses") or 0
        return Reading(self._clock(), hits, misses, self._own.hits, self._own.misses)

    def _unreachable(self, fault: NodeError) -> NodeStatus:
        known = self._last or self._status({}, None)
        self._last = replace(
            known, down=fault.reason, detail=str(fault), latency_seconds=None, loading=False,
            ops_per_second=0.0, input_bytes_per_second=0.0, taken_at=self._clock(),
        )  # fmt: skip
        return self._last

    def _status(self, fields: Mapping[str, str], latency: float | None) -> NodeStatus:
        role = fields.get("role", "unknown")
        return NodeStatus(
            down=None,
            detail="",
            role=role,
            server="valkey" if fields.get("server_name") == "valkey" else "redis",
            version=fields.get("valkey_version") or fields.get("redis_version", ""),
            run_id=fields.get("run_id", ""),
            latency_seconds=latency,
            uptime_seconds=info.number(fields, "uptime_in_seconds"),
            used_memory_bytes=info.integer(fields, "used_memory"),
            maxmemory_bytes=info.integer(fields, "maxmemory"),
            total_memory_bytes=info.integer(fields, "total_system_memory"),
            maxmemory_policy=fields.get("maxmemory_policy", ""),
            ops_per_second=info.number(fields, "instantaneous_ops_per_sec") or 0.0,
            input_bytes_per_second=1024 * (info.number(fields, "instantaneous_input_kbps") or 0.0),
            loading=fields.get("loading", "0") not in {"", "0"},
            # A replica in full sync, or a primary that is handing over: figures would be about another data set.
            failover=fields.get("master_failover_state", "no-failover") != "no-failover"
            or fields.get("master_sync_in_progress", "0") == "1",
            connected_clients=info.integer(fields, "connected_clients"),
            evicted_keys=info.integer(fields, "evicted_keys"),
            hit_ratio=self._hits.ratios(),
            server_limit_bytes=self._server_limit,
            largest_output_buffer_bytes=info.integer(fields, "client_recent_max_output_buffer") or 0,
            last_success=self._last_success,
            taken_at=self._clock(),
        )


def server_limit(settings: Mapping[str, str]) -> int:
    """The bytes at which the server ends a normal client that does not read; 0: never, or it does not say.

    Of `client-output-buffer-limit normal HARD SOFT SECONDS` and `maxmemory-clients` the smaller one counts. A
    percentage of maxmemory-clients is left out: what it means moves with maxmemory.
    """
    words = settings.get("client-output-buffer-limit", "").split()
    limits = [int(words[at + 1]) for at, word in enumerate(words) if word == "normal" and words[at + 1].isdigit()]
    clients = settings.get("maxmemory-clients", "")
    if clients.isdigit():
        limits.append(int(clients))
    return min((limit for limit in limits if limit > 0), default=0)
