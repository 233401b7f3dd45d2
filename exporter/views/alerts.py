"""What is wrong by this process's own thresholds: readings come in, active alerts go out, the most severe first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.errors import DownReason
from exporter.snapshot import Source
from exporter.views.hotkeys import threshold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.config import Config
    from exporter.keynames import KeyNames
    from exporter.views.reading import Moment, Reading

HOT_KEY = "RedisHotKey"
SEVERITIES = ("critical", "warning", "info")
MEANT = frozenset({"off", "replica", "standby"})
"""Reasons not to measure that are nobody's trouble; the rule HotKeySamplingStopped leaves out the same."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One active alert of one node; `value` and `threshold` are in the unit that `summary` names."""

    name: str
    severity: str
    target: str
    addr: str
    summary: str
    value: float | None = None
    threshold: float | None = None
    reason: str | None = None
    db: int | None = None
    key: str | None = None


def active(readings: Iterable[Reading], config: Config, names: KeyNames) -> tuple[Alert, ...]:
    """All active alerts, by severity, then in the order of the nodes; hot keys by their rate."""
    found = [alert for reading in readings for alert in _of_node(reading, config, names)]
    return tuple(sorted(found, key=lambda alert: SEVERITIES.index(alert.severity)))


def answer(alerts: Iterable[Alert], now: Moment) -> dict[str, Any]:
    """Build the JSON of `/health/redis-alerts`."""
    return {
        "generated_at": now.iso,
        "alerts": [
            {
                "alert": one.name,
                "severity": one.severity,
                "target": one.target,
                "addr": one.addr,
                "db": one.db,
                "key": one.key,
                "reason": one.reason,
                "value": one.value,
                "threshold": one.threshold,
                "summary": one.summary,
            }
            for one in alerts
        ],
    }


def _of_node(reading: Reading, config: Config, names: KeyNames) -> Iterator[Alert]:
    if reading.down == DownReason.STARTING:
        return  # nothing is known yet, and an alert at every start would teach people to ignore it
    if not reading.up:
        yield Alert(
            "RedisDown",
            "critical",
            reading.node.target,
            reading.node.addr,
            f"The node cannot be used: {reading.down}.",
            reason=reading.down,
        )
        return
    yield from _memory(reading, config.alerts.memory_ratio)
    yield from _latency(reading, config.alerts.latency)
    yield from _sampling(reading)
    yield from _hot_keys(reading, names)


def _memory(reading: Reading, limit: float) -> Iterator[Alert]:
    """Memory is high: not for a cache that evicts, which lives at its maxmemory, but where nothing gives way."""
    status = reading.status
    if status is None or not status.used_memory_bytes:
        return
    if status.maxmemory_bytes and status.maxmemory_policy != "noeviction":
        return
    what, most = (
        ("maxmemory", status.maxmemory_bytes) if status.maxmemory_bytes else ("the host", status.total_memory_bytes)
    )
    if most and (ratio := status.used_memory_bytes / most) > limit:
        yield Alert(
            "RedisMemoryHigh",
            "warning",
            reading.node.target,
            reading.node.addr,
            f"Memory in use is {ratio:.0%} of {what}, and nothing is evicted.",
            ratio,
            limit,
        )


def _latency(reading: Reading, limit: float) -> Iterator[Alert]:
    latency = reading.status.latency_seconds if reading.status else None
    if latency is not None and latency > limit:
        yield Alert(
            "RedisSlow",
            "warning",
            reading.node.target,
            reading.node.addr,
            f"A PING took {1000 * latency:.0f} ms.",
            latency,
            limit,
        )


def _sampling(reading: Reading) -> Iterator[Alert]:
    off = reading.target.sampling.source == "off"
    stopped = "hotkeys" in reading.withheld or (reading.state and reading.state.source is Source.NONE)
    if reading.hotkeys is None and stopped and not off and not reading.stands_in:
        reason = reading.reason if reading.source == Source.NONE else "stale"
        if reason in MEANT:
            return
        yield Alert(
            "HotKeySamplingStopped",
            "warning",
            reading.node.target,
            reading.node.addr,
            f"Hot keys are not measured: {reason}.",
            reason=reason,
        )


def _hot_keys(reading: Reading, names: KeyNames) -> Iterator[Alert]:
    """One alert for each written name: the low end of the estimate is above the threshold that applies to the key."""
    settings = reading.target.sampling
    seen: set[tuple[int, str]] = set()
    for key in sorted(reading.hotkeys.keys if reading.hotkeys else (), key=lambda one: one.rate, reverse=True):
        limit = threshold(key.key, settings)
        written = names.label(key.key)
        if limit is None or key.low <= limit or (key.db, written) in seen:
            continue
        seen.add((key.db, written))
        dominant = key.share > settings.threshold_share
        yield Alert(
            HOT_KEY,
            "warning" if dominant else "info",
            reading.node.target,
            reading.node.addr,
            f"At least {key.low:,.0f} accesses per second, {key.share:.0%} of the node's.",
            key.low,
            limit,
            db=key.db,
            key=written,
        )
