"""Families of the server as a whole: who it is, its databases, its configured limits, its certificates and engines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.views.exposition import label, labels
from exporter.views.redis_families.rows import plain, row, section, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.serverstats import BufferLimit, Engine, ServerStats
    from exporter.views.families import Samples

_INSTANCE = (
    "role", "redis_version", "redis_build_id", "redis_mode", "os", "maxmemory_policy", "tcp_port", "run_id",
    "process_id",
)  # fmt: skip
_IF_PRESENT = ("valkey_version", "valkey_release_stage", "availability_zone")
_IO_THREAD = re.compile(r"used_active_time_io_thread_(\d{1,3})")
_LONGEST = 128
DATABASES = 16
"""What a server has unless it says something else."""
MOST_DATABASES = 1024


def _instance(stats: ServerStats) -> Samples:
    info = dict(stats.info)
    info["redis_mode"] = info.get("redis_mode") or info.get("server_mode", "")
    pairs = [(name, info.get(name, "")[:_LONGEST]) for name in _INSTANCE]
    # redis_exporter has this label since long after 1.45.0; on servers of that time its older label set is kept.
    if "valkey_version" in info or not info.get("redis_version", "").startswith(("6.", "7.")):
        pairs.append(("master_replid", info.get("master_replid", "")[:_LONGEST]))
    pairs += [(name, info[name][:_LONGEST]) for name in _IF_PRESENT if info.get(name)]
    return ((labels(pairs), 1.0),)


def _database_count(stats: ServerStats) -> int:
    """How many databases the server has: a cluster has one, unless Valkey 9 gives it more."""
    limits = stats.limits.values if stats.limits else {}
    if value_of(stats.info, "cluster_enabled") == 1:
        count = limits.get("cluster-databases", 1.0)
    else:
        count = limits.get("databases", float(DATABASES))
    return int(min(max(count, 1.0), MOST_DATABASES))


def _counted(name: str) -> Callable[[ServerStats], Samples]:
    """A number of every database; 0 in the empty ones, of which INFO says nothing."""

    def samples(stats: ServerStats) -> Iterator[tuple[str, float | None]]:
        empty = [f"db{number}" for number in range(_database_count(stats))]
        for database in dict.fromkeys((*stats.databases, *empty)):
            yield label("db", database), stats.databases.get(database, {}).get(name, 0.0)

    return samples


def _numbers(*names: str, divisor: float = 1.0) -> Callable[[ServerStats], Samples]:
    """A number of the databases that have it, under the first of its names that the server uses."""

    def samples(stats: ServerStats) -> Iterator[tuple[str, float]]:
        for database, known in stats.databases.items():
            for name in names:
                if name in known:
                    yield label("db", database), known[name] / divisor
                    break

    return samples


def _config(name: str) -> Callable[[ServerStats], Samples]:
    return plain(lambda stats: stats.limits.values.get(name) if stats.limits else None)


def _buffers(**sizes: Callable[[BufferLimit], float]) -> Callable[[ServerStats], Samples]:
    def samples(stats: ServerStats) -> Iterator[tuple[str, float]]:
        for buffer in stats.limits.buffers if stats.limits else ():
            for limit, value in sizes.items():
                yield labels((("class", buffer.client_class), ("limit", limit))), value(buffer)

    return samples


def _certificates(stats: ServerStats) -> Iterator[tuple[str, float]]:
    for certificate in ("server", "client", "ca"):
        serial = stats.info.get(f"tls_{certificate}_cert_serial")
        if serial is not None:
            yield labels((("certificate", certificate), ("serial", serial[:_LONGEST]))), 1.0


def _engines(value: Callable[[Engine], float]) -> Callable[[ServerStats], Samples]:
    return lambda stats: (
        (labels((("engine", one.name), ("module", one.module), ("abi_version", one.abi_version))), value(one))
        for one in stats.engines
    )


def _io_threads(stats: ServerStats) -> Iterator[tuple[str, float | None]]:
    for name in stats.info:
        if thread := _IO_THREAD.fullmatch(name):
            yield label("thread", thread[1]), value_of(stats.info, name)


SECTIONS = (
    section(
        (
            row("instance_info", "Information about the Redis instance", _instance),
            row(
                "start_time_seconds",
                "Start time of the Redis instance since unix epoch in seconds.",
                plain(lambda stats: stats.started_at),
            ),
            row("db_keys", "Total number of keys by DB", _counted("keys")),
            row("db_keys_expiring", "Total number of expiring keys by DB", _counted("expires")),
            row("db_avg_ttl_seconds", "Avg TTL in seconds", _numbers("avg_ttl", divisor=1e3)),
            row("db_keys_cached", "Total number of cached keys by DB", _numbers("cached_keys")),
            row(
                "db_keys_with_expiring_items",
                "Total number of keys with expiring items by DB",
                _numbers("subexpiry", "keys_with_volatile_items"),
            ),
            row("config_io_threads", "config_io_threads metric", _config("io-threads")),
            row("config_maxclients", "config_maxclients metric", _config("maxclients")),
            row("config_maxmemory", "config_maxmemory metric", _config("maxmemory")),
            row("config_repl_backlog_size", "config_repl_backlog_size metric", _config("repl-backlog-size")),
            row(
                "config_client_output_buffer_limit_bytes",
                "The configured buffer limits per class",
                _buffers(hard=lambda one: one.hard, soft=lambda one: one.soft),
            ),
            row(
                "config_client_output_buffer_limit_overcome_seconds",
                "How long for buffer limits per class to be exceeded before replicas are dropped",
                _buffers(soft=lambda one: one.seconds),
            ),
            row("tls_certificate_info", "Information about a Valkey TLS certificate", _certificates),
            row("scripting_engine_info", "Information about a Valkey scripting engine", _engines(lambda _one: 1.0)),
            row(
                "scripting_engine_memory_used_bytes",
                "Memory used by a Valkey scripting engine",
                _engines(lambda one: one.used_memory),
            ),
            row(
                "scripting_engine_memory_overhead_bytes",
                "Memory overhead of a Valkey scripting engine",
                _engines(lambda one: one.memory_overhead),
            ),
            row(
                "active_time_io_thread_seconds_total",
                "active_time_io_thread_seconds_total metric",
                _io_threads,
                "counter",
            ),
        )
    ),
)
