"""Families of masters, replicas and Sentinels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.views.exposition import labels
from exporter.views.redis_families.rows import row, section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.serverstats import MasterLink, Replica, SentinelDetails, SentinelMaster, ServerStats
    from exporter.views.families import Samples


def _replicas(value: Callable[[Replica], float | None]) -> Callable[[ServerStats], Samples]:
    return lambda stats: (
        (labels((("slave_ip", one.ip), ("slave_port", one.port), ("slave_state", one.state))), value(one))
        for one in stats.replicas
    )


def _master(value: Callable[[MasterLink], float | None]) -> Callable[[ServerStats], Samples]:
    return lambda stats: (
        (labels((("master_host", one.host), ("master_port", one.port))), value(one)) for one in stats.masters
    )


def _slave_info(stats: ServerStats) -> Iterator[tuple[str, float]]:
    read_only = stats.info.get("slave_read_only", "")[:16]
    for one in stats.masters:
        yield labels((("master_host", one.host), ("master_port", one.port), ("read_only", read_only))), 1.0


def _sentinel(value: Callable[[SentinelMaster], float]) -> Callable[[ServerStats], Samples]:
    return lambda stats: (
        (labels((("master_name", one.name), ("master_address", one.address))), value(one))
        for one in stats.sentinel_masters
    )


def _status(stats: ServerStats) -> Iterator[tuple[str, float]]:
    for one in stats.sentinel_masters:
        pairs = (("master_name", one.name), ("master_address", one.address), ("master_status", one.status))
        yield labels(pairs), float(one.status == "ok")


def _details(value: Callable[[SentinelDetails], float | None]) -> Callable[[ServerStats], Samples]:
    return lambda stats: (
        (labels((("master_name", one.name), ("master_address", one.address))), value(one))
        for one in stats.sentinel_details
    )


def _setting(name: str, divisor: float = 1.0) -> Callable[[ServerStats], Samples]:
    def value(one: SentinelDetails) -> float | None:
        found = one.settings.get(name)
        return None if found is None else found / divisor

    return _details(value)


def _quorum(stats: ServerStats) -> Iterator[tuple[str, float]]:
    for one in stats.sentinel_details:
        yield labels((("master_name", one.name), ("message", one.message))), float(one.quorum)


_REPLICATION = (
    row("connected_slave_offset_bytes", "Offset of connected slave", _replicas(lambda one: one.offset)),
    row("connected_slave_lag_seconds", "Lag of connected slave", _replicas(lambda one: one.lag)),
    row("master_link_up", "Master link status on Redis slave", _master(lambda one: float(one.up))),
    row("master_last_io_seconds_ago", "Master last io seconds ago", _master(lambda one: one.last_io_seconds_ago)),
    row("master_sync_in_progress", "Master sync in progress", _master(lambda one: one.sync_in_progress)),
    row("slave_repl_offset", "Slave replication offset", _master(lambda one: one.offset)),
    row("slave_info", "Information about the Redis slave", _slave_info),
)

_SENTINEL = (
    row("sentinel_master_status", "Master status on Sentinel", _status),
    row("sentinel_master_slaves", "The number of slaves of the master", _sentinel(lambda one: one.replicas)),
    row(
        "sentinel_master_sentinels",
        "The number of sentinels monitoring this master",
        _sentinel(lambda one: one.sentinels),
    ),
    row("sentinel_master_ckquorum_status", "Master ckquorum status", _quorum),
    row("sentinel_master_ok_slaves", "The number of okay slaves of the master", _details(lambda one: one.ok_replicas)),
    row(
        "sentinel_master_ok_sentinels",
        "The number of okay sentinels monitoring this master",
        _details(lambda one: one.ok_sentinels),
    ),
    row(
        "sentinel_master_setting_ckquorum",
        "Show the current ckquorum config for each master",
        _setting("quorum"),
    ),
    row(
        "sentinel_master_setting_failover_timeout",
        "Show the current failover-timeout config for each master",
        _setting("failover-timeout"),
    ),
    row(
        "sentinel_master_setting_parallel_syncs",
        "Show the current parallel-syncs config for each master",
        _setting("parallel-syncs"),
    ),
    row(
        "sentinel_master_setting_down_after_milliseconds",
        "Show the current down-after-milliseconds config for each master",
        _setting("down-after-milliseconds"),
    ),
    row(
        "sentinel_master_config_epoch",
        "The configuration epoch of the master (increments on each failover)",
        _setting("config-epoch"),
    ),
    row(
        "sentinel_master_last_ok_ping_reply_seconds",
        "Elapsed time in seconds since the last successful ping reply from the master",
        _setting("last-ok-ping-reply", 1e3),
    ),
)

SECTIONS = (section(_REPLICATION), section(_SENTINEL))
