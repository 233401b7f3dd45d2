"""`/api/v1/status`: what runs, with which settings, and what is shown or withheld of each node, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.views.health import parts
from exporter.views.reading import iso

if TYPE_CHECKING:
    from exporter.config import Config, Sampling, Target
    from exporter.views.health import Liveness
    from exporter.views.reading import Moment, Reading


@dataclass(frozen=True, slots=True)
class Build:
    """What runs, and since when."""

    version: str
    python: str
    started: Moment


def absent(reading: Reading) -> dict[str, str]:
    """Say for each kind of snapshot that is not shown why it is not."""
    reasons: dict[str, str] = {}
    if reading.hotkeys is None and not reading.stands_in:
        reasons["hotkeys"] = reading.reason
    if reading.status is None or not reading.up:
        reasons["stats"] = reading.down or ""
    if reading.enrichment is None:
        reasons["enrichment"] = "nothing published yet"
    reasons.update({kind: f"the latest is {age:g} s old" for kind, age in reading.withheld.items()})
    return reasons


def status(
    readings: tuple[Reading, ...], config: Config, liveness: Liveness, build: Build, now: Moment
) -> dict[str, Any]:
    """Build the JSON of `/api/v1/status`."""
    return {
        "generated_at": now.iso,
        "build": {"version": build.version, "python": build.python},
        "started_at": iso(build.started.wall),
        "uptime_seconds": round(now.monotonic - build.started.monotonic, 3),
        "config": _config(config),
        "nodes": [_node(reading) for reading in readings],
        "parts": parts(liveness),
    }


def _config(config: Config) -> dict[str, Any]:
    """Every setting that holds no secret: named one by one, so that a new secret cannot slip in."""
    return {
        "targets": [_target(target) for target in config.targets],
        "keys": {
            "privacy": config.keys.privacy,
            "mask": list(config.keys.mask),
            "groups": list(config.keys.groups),
            "max_label_length": config.keys.max_label_length,
        },
        "enrich": {"enabled": config.enrich.enabled, "interval": config.enrich.interval},
        "alerts": {"memory_ratio": config.alerts.memory_ratio, "latency": config.alerts.latency},
        "web": {"listen": config.web.listen},
        "log": {"level": config.log.level, "format": config.log.format},
    }


def _target(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "topology": target.topology,
        "nodes": target.nodes,
        "tls": target.endpoint.tls,
        "labels": dict(target.labels),
        "sampling": _sampling(target.sampling),
        "stats": {"interval": target.stats.interval},
    }


def _sampling(settings: Sampling) -> dict[str, Any]:
    return {
        "source": settings.source,
        "hotkeys_beside": settings.hotkeys_beside,
        "window": settings.window,
        "events_per_second": settings.events_per_second,
        "bytes_per_second": settings.bytes_per_second,
        "total_events_per_second": settings.total_events_per_second,
        "max_duty": settings.max_duty,
        "server_limit": settings.server_limit,
        "max_keys_per_second": settings.max_keys_per_second,
        "top": settings.top,
        "max_new_labels_per_hour": settings.max_new_labels_per_hour,
        "threshold": settings.threshold,
        "threshold_share": settings.threshold_share,
        "overrides": [
            {"match": one.match, "threshold": one.threshold, "ignore": one.ignore} for one in settings.overrides
        ],
    }


def _node(reading: Reading) -> dict[str, Any]:
    status = reading.status
    return {
        "target": reading.node.target,
        "addr": reading.node.addr,
        "up": reading.up,
        "reason": reading.down,
        "detail": reading.detail or None,
        "role": status.role if status else None,
        "server": status.server if status else None,
        "version": status.version if status else None,
        "server_limit_bytes": status.server_limit_bytes if status and reading.up else None,
        "stats_last_success": iso(reading.stats_last_success) if reading.stats_last_success else None,
        "sampling": {
            "source": reading.source,
            "reason": reading.reason,
            "up": reading.hotkeys is not None or reading.stands_in,
        },
        "window": _window(reading),
        "totals": _totals(reading),
        "withheld": [{"what": what, "why": why} for what, why in absent(reading).items()],
    }


def _window(reading: Reading) -> dict[str, Any] | None:
    hotkeys = reading.hotkeys
    if hotkeys is None:
        return None
    return {
        "end": hotkeys.window_end,
        "seconds": hotkeys.window_seconds,
        "observed_seconds": hotkeys.observed_seconds,
        "accesses_per_second": hotkeys.accesses_per_second,
        "commands_per_second": hotkeys.commands_per_second,
        "duty_ratio": hotkeys.duty_ratio,
        "lag_seconds": hotkeys.lag_seconds,
        "keys": hotkeys.window_keys,
        "floor": hotkeys.floor,
        "over_threshold": hotkeys.over_threshold,
        "labelled": len(hotkeys.labelled),
    }


def _totals(reading: Reading) -> dict[str, Any] | None:
    totals = reading.totals
    if totals is None:
        return None
    return {
        "observed_seconds": totals.observed_seconds,
        "events": totals.events,
        "bytes": totals.bytes,
        "own_lines": totals.own_lines,
        "skipped_lines": totals.skipped_lines,
        "bursts": dict(totals.bursts),
        "skips": dict(totals.skips),
        "labels_suppressed": totals.labels_suppressed,
        "last_success": iso(totals.last_success) if totals.last_success else None,
    }
