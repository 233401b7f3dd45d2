"""What real servers said of themselves, captured with `INFO everything` after a run of many commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.serverstats import ServerStats
from exporter.stats import commandstats, info, replication, sentinel

if TYPE_CHECKING:
    from exporter.stats.info import Info

DATA = Path(__file__).parent / "data"
KINDS = ("redis-6.2.14", "redis-7.0.15", "redis-8.10.2", "valkey-9.1.2")


def captured_text(kind: str) -> bytes:
    """The reply to INFO."""
    return (DATA / "info" / f"{kind}.txt").read_bytes()


def captured(kind: str) -> Info:
    """The reply, parsed."""
    return info.parse(captured_text(kind))


def stats_of(text: bytes, **more: Any) -> ServerStats:
    """The statistics that a text of INFO holds, taken at 0 s; `more` are answers to other questions."""
    known = info.parse(text)
    given = {
        "info": known.fields, "taken_at": 0.0, "interval": 1.0, "databases": info.databases(known),
        "commands": commandstats.commands().read(known), "errors": commandstats.errors().read(known),
        "latencies": commandstats.latencies().read(known), "replicas": replication.replicas(known),
        "masters": replication.masters(known), "engines": replication.engines(known),
        "sentinel_masters": sentinel.masters(known), "cluster": known.cluster,
    }  # fmt: skip
    return ServerStats(**(given | more))
