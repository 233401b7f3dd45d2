"""Health: of this process (its threads and jobs) and of Redis (the nodes). Values come in, JSON values go out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exporter.views.hotkeys import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.config import Config
    from exporter.keynames import KeyNames
    from exporter.snapshot import NodeStatus
    from exporter.views.reading import Moment, Reading

TOP = 10


Liveness = Mapping[str, bool]
"""Whether each part of this process that must run does run, by the part's name."""


def process(liveness: Liveness, version: str, uptime: float) -> dict[str, Any]:
    """Build the JSON of `/health`; `uptime` in seconds. The process is well while all of its parts run."""
    return {
        "status": "ok" if all(liveness.values()) else "failing",
        "version": version,
        "uptime_seconds": round(uptime, 3),
        "parts": parts(liveness),
    }


def parts(liveness: Liveness) -> list[dict[str, Any]]:
    """List the parts of the process for JSON."""
    return [{"name": name, "alive": alive} for name, alive in liveness.items()]


def down_targets(readings: Iterable[Reading], config: Config, target: str | None = None) -> list[str]:
    """Name the targets (or the one) of which no node is up."""
    up = {reading.node.target for reading in readings if reading.up}
    return [one.name for one in config.targets if target in {None, one.name} and one.name not in up]


def redis(readings: tuple[Reading, ...], names: KeyNames, now: Moment, down: list[str]) -> dict[str, Any]:
    """Build the JSON of `/health/redis`: every node with its state and its hottest keys; `down` from `down_targets`."""
    return {
        "status": "down" if down else "ok",
        "generated_at": now.iso,
        "down": down,
        "nodes": [_node(reading, names) for reading in readings],
    }


def _node(reading: Reading, names: KeyNames) -> dict[str, Any]:
    # What a node said before it went down is history, but its role is still who it is.
    status = reading.status if reading.up else None
    return {
        "target": reading.node.target,
        "addr": reading.node.addr,
        "status": "up" if reading.up else "down",
        "reason": reading.down,
        "detail": reading.detail or None,
        "role": reading.status.role if reading.status else None,
        "latency_seconds": status.latency_seconds if status else None,
        "memory": _memory(status) if status else None,
        "hit_ratio": dict(status.hit_ratio) if status else None,
        "sampling": _sampling(reading),
        "hotkeys": _top(reading, names),
    }


def _memory(status: NodeStatus) -> dict[str, Any]:
    return {
        "used_bytes": status.used_memory_bytes,
        "maxmemory_bytes": status.maxmemory_bytes,
        "policy": status.maxmemory_policy or None,
    }


def _sampling(reading: Reading) -> dict[str, Any]:
    hotkeys = reading.hotkeys
    return {
        "up": hotkeys is not None or reading.stands_in,
        "source": reading.source,
        "reason": reading.reason,
        "observed_seconds": hotkeys.observed_seconds if hotkeys else None,
        "duty_ratio": hotkeys.duty_ratio if hotkeys else None,
        "over_threshold": hotkeys.over_threshold if hotkeys else None,
    }


def _top(reading: Reading, names: KeyNames) -> list[dict[str, Any]]:
    keys = shown(reading.hotkeys, reading.enrichment, names)[:TOP] if reading.hotkeys else []
    return [
        {
            "rank": rank,
            "db": key.db,
            "key": key.key,
            "accesses_per_second": key.rate,
            "low": key.low,
            "high": key.high,
            "share_ratio": key.share,
        }
        for rank, key in enumerate(keys, start=1)
    ]
