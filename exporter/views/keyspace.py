"""The families of the keyspace as a table: key groups, the largest keys, and how far and how old the figures are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.views.exposition import Family, labels
from exporter.views.families import Collect, Row, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.snapshot import KeyGroup, Keyspace, KeyspaceState
    from exporter.views.exposition import Kind
    from exporter.views.families import Samples, Sheet


def _row(name: str, text: str, samples: Callable[[Sheet], Samples], kind: Kind = "gauge") -> Row:
    return Row(Family(name, kind, text), samples)


def _per_group(value: Callable[[KeyGroup], float | None]) -> Callable[[Sheet], Samples]:
    def samples(sheet: Sheet) -> Iterator[tuple[str, float | None]]:
        for one in sheet.reading.keyspace.groups if sheet.reading.keyspace else ():
            yield labels((("db", str(one.db)), ("key_group", one.group))), value(one)

    return samples


def _lives(sheet: Sheet) -> Iterator[tuple[str, float | None]]:
    for one in sheet.reading.keyspace.groups if sheet.reading.keyspace else ():
        if one.life:
            for percentile, seconds in (("10", one.life.p10), ("50", one.life.p50), ("90", one.life.p90)):
                pairs = (("db", str(one.db)), ("key_group", one.group), ("percentile", percentile))
                yield labels(pairs), seconds


def _bigkeys(sheet: Sheet) -> Iterator[tuple[str, float]]:
    """The larger one of two keys that are written alike."""
    written: dict[str, int] = {}
    for one in sheet.reading.keyspace.bigkeys if sheet.reading.keyspace else ():
        pairs = labels((("db", str(one.db)), ("key", sheet.names.label(one.key)), ("type", one.type)))
        written[pairs] = max(one.memory_bytes, written.get(pairs, 0))
    yield from written.items()


def _keyspace(value: Callable[[Keyspace], float | None]) -> Callable[[Sheet], Samples]:
    return lambda sheet: [("", value(sheet.reading.keyspace))] if sheet.reading.keyspace else ()


def _state(value: Callable[[KeyspaceState], float]) -> Callable[[Sheet], Samples]:
    return lambda sheet: [("", value(sheet.reading.keyspace_state))] if sheet.reading.keyspace_state else ()


def _reason(sheet: Sheet) -> Samples:
    state = sheet.reading.keyspace_state
    return [(labels((("reason", state.reason),)), 1)] if state else ()


_KEYS = "Keys of a group, extrapolated from what SCAN has shown; db is the plain number of the database"
_MEMORY = "Memory that the keys of a group and their values take, extrapolated from MEMORY USAGE"
_LOW = "lower end of the 95 % interval; equals the estimate when every key was seen."
_HIGH = "upper end of the 95 % interval; equals the estimate when every key was seen."

SECTIONS = (
    Section(
        Collect.KEYSPACE,
        lambda reading: (reading.keyspace,),
        (
            _row("redis_key_group_count", f"{_KEYS}.", _per_group(lambda one: one.keys)),
            _row("redis_key_group_count_low", f"{_KEYS}: {_LOW}", _per_group(lambda one: one.keys_low)),
            _row("redis_key_group_count_high", f"{_KEYS}: {_HIGH}", _per_group(lambda one: one.keys_high)),
            _row("redis_key_group_memory_usage_bytes", f"{_MEMORY}.", _per_group(lambda one: one.memory)),
            _row(
                "redis_key_group_memory_usage_bytes_low", f"{_MEMORY}: {_LOW}", _per_group(lambda one: one.memory_low)
            ),
            _row(
                "redis_key_group_memory_usage_bytes_high",
                f"{_MEMORY}: {_HIGH}",
                _per_group(lambda one: one.memory_high),
            ),
            _row(
                "redis_key_group_expiring_ratio",
                "Share of the keys of a group that have an expiry, from a sample of its keys.",
                _per_group(lambda one: one.life.expiring_ratio if one.life else None),
            ),
            _row(
                "redis_key_group_ttl_seconds",
                "Remaining life of the keys of a group that have an expiry, as percentiles of a sample of them.",
                _lives,
            ),
            _row(
                "redis_bigkey_memory_bytes",
                "Memory that one of the largest keys of its type and its value take, as MEMORY USAGE estimates it.",
                _bigkeys,
            ),
            _row(
                "redis_keyspace_sampled_ratio",
                "Share of all keys that the figures of key groups are made of; 1 when every key was seen.",
                _keyspace(lambda keyspace: keyspace.sampled_ratio),
            ),
            _row(
                "redis_keyspace_oldest_observation_timestamp_seconds",
                "When the look began that the figures of key groups are from.",
                _keyspace(lambda keyspace: keyspace.began),
            ),
        ),
    ),
    Section(
        Collect.KEYSPACE,
        lambda reading: (reading.keyspace_state,),
        (
            _row(
                "redis_keyspace_look_progress_ratio",
                "How far the look over the keys is that is under way; 1 between two looks.",
                _state(lambda state: state.progress_ratio),
            ),
            _row("redis_keyspace_looks_total", "Looks over the keys that were finished.",
                 _state(lambda state: state.looks), "counter"),
            _row(
                "redis_keyspace_server_seconds_total",
                "Time that looking at keys has taken the server, on its own clock.",
                _state(lambda state: state.server_seconds),
                "counter",
            ),
            _row(
                "redis_keyspace_state_info",
                "What the keyspace sampler does: looking, complete, sampled, or why it cannot look.",
                _reason,
            ),
        ),
    ),
)  # fmt: skip
