"""The families of the nodes as a table: one reading comes in, labels and values of every family go out.

Each section belongs to one value of `collect[]` and names the snapshots that it is made of, so that `views.metrics`
renders it again only when one of them is another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from exporter.views.exposition import Family, label, labels
from exporter.views.hotkeys import shown
from exporter.views.native import shown as native_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from exporter.config import Target
    from exporter.keynames import KeyNames
    from exporter.snapshot import HotKeys, NodeStatus, SamplingTotals
    from exporter.views.exposition import Kind
    from exporter.views.hotkeys import ShownKey
    from exporter.views.native import ShownNative
    from exporter.views.reading import Reading

    # What a family's function gives: labels after `target` and `addr` (written, without a comma before), and a value.
    Samples = Iterable[tuple[str, float | None]]


class Collect(StrEnum):
    """The values of `collect[]`; every family belongs to exactly one."""

    HOTKEYS = "hotkeys"
    STATS = "stats"
    KEYSPACE = "keyspace"
    WARMING = "warming"
    SELF = "self"


@dataclass(frozen=True, slots=True)
class Row:
    """One family of a section and where its samples come from."""

    family: Family
    samples: Callable[[Sheet], Samples]


@dataclass(frozen=True, slots=True)
class Section:
    """Families that are rendered together, since they are made of the same snapshots of a node.

    `scrape_only` are those that describe one scrape of one node, which `/metrics` has no place for.
    """

    collect: Collect
    sources: Callable[[Reading], tuple[object, ...]]
    rows: tuple[Row, ...]
    scrape_only: bool = False


class Sheet:
    """One reading while it is rendered; the keys' labels are written once for all families."""

    def __init__(self, reading: Reading, names: KeyNames) -> None:
        self.reading = reading
        self.names = names
        self._keys: list[tuple[str, ShownKey]] | None = None
        self._native: list[tuple[str, ShownNative]] | None = None

    @property
    def keys(self) -> list[tuple[str, ShownKey]]:
        """Give the keys that the label budget lets in, with their labels `db` and `key`."""
        if self._keys is None:
            hotkeys, settings = self.reading.hotkeys, self.reading.target.sampling
            found = shown(hotkeys, self.reading.enrichment, self.names, hotkeys.labelled, settings) if hotkeys else []
            self._keys = [(labels((("db", str(key.db)), ("key", key.key))), key) for key in found]
        return self._keys

    @property
    def native(self) -> list[tuple[str, ShownNative]]:
        """Give the keys that the server itself names, with their labels `db` (empty if unknown) and `key`."""
        if self._native is None:
            native = self.reading.native
            found = native_keys(native, self.names, native.labelled) if native else []
            self._native = [
                (labels((("db", "" if key.db is None else str(key.db)), ("key", key.key))), key) for key in found
            ]
        return self._native


def _row(name: str, text: str, samples: Callable[[Sheet], Samples], kind: Kind = "gauge") -> Row:
    return Row(Family(name, kind, text), samples)


def _per_key(value: Callable[[ShownKey], float | None]) -> Callable[[Sheet], Samples]:
    return lambda sheet: ((written, value(key)) for written, key in sheet.keys)


def _hotkeys(value: Callable[[HotKeys], float | None]) -> Callable[[Sheet], Samples]:
    return lambda sheet: [("", value(sheet.reading.hotkeys))] if sheet.reading.hotkeys else ()


def _totals(value: Callable[[SamplingTotals], float | None]) -> Callable[[Sheet], Samples]:
    return lambda sheet: [("", value(sheet.reading.totals))] if sheet.reading.totals else ()


def _totals_by(name: str, value: Callable[[SamplingTotals], Mapping[str, float]]) -> Callable[[Sheet], Samples]:
    def samples(sheet: Sheet) -> Samples:
        counts = value(sheet.reading.totals) if sheet.reading.totals else {}
        return ((label(name, one), counts[one]) for one in sorted(counts))

    return samples


def _while_up(value: Callable[[NodeStatus], float | None]) -> Callable[[Sheet], Samples]:
    def samples(sheet: Sheet) -> Samples:
        status = sheet.reading.status
        # While a node is down its last figures are history.
        return [("", value(status))] if status and sheet.reading.up else ()

    return samples


def _key_info(sheet: Sheet) -> Iterator[tuple[str, float]]:
    for written, key in sheet.keys:
        facts = key.facts
        if facts and facts.type is not None:
            slot = "" if facts.slot is None else str(facts.slot)
            more = labels((("type", facts.type), ("encoding", facts.encoding or ""), ("slot", slot)))
            yield f"{written},{more}", 1


def _groups(sheet: Sheet) -> Iterator[tuple[str, float]]:
    rates: dict[tuple[int, str], float] = {}
    for group in sheet.reading.hotkeys.groups if sheet.reading.hotkeys else ():
        rates[group.db, group.group] = rates.get((group.db, group.group), 0.0) + group.rate
    for (db, name), rate in rates.items():
        yield labels((("db", str(db)), ("key_group", name))), rate


def _thresholds(value: Callable[[Target], float]) -> Callable[[Sheet], Samples]:
    """Configuration, and not a figure that could be stale: rules compare with it at any time."""
    return lambda sheet: [("", value(sheet.reading.target))]


def _sampling_up(sheet: Sheet) -> Samples:
    return [("", 1 if sheet.reading.hotkeys or sheet.reading.stands_in else 0)]


def _source(sheet: Sheet) -> Samples:
    reading = sheet.reading
    return [(labels((("source", reading.source), ("reason", reading.reason))), 1)]


def _down(sheet: Sheet) -> Samples:
    return [(label("reason", sheet.reading.down), 1)] if sheet.reading.down else ()


def _node_info(sheet: Sheet) -> Samples:
    status = sheet.reading.status
    if not status or not sheet.reading.up:
        return ()
    # A standalone server has no shard and no group; the labels are there so that queries fit every topology.
    part = sheet.reading.membership
    shard, group = (part.shard, part.group) if part else ("", "")
    return [(labels((("role", status.role), ("shard", shard), ("replication_group", group))), 1)]


def _hit_ratios(sheet: Sheet) -> Iterator[tuple[str, float]]:
    status = sheet.reading.status
    if status and sheet.reading.up:
        for window in sorted(status.hit_ratio):
            yield label("window", window), status.hit_ratio[window]


_PER_SECOND = "Accesses per second of a key over the sampling window"
_DB = "db is the plain number of the database"

SECTIONS = (
    Section(
        Collect.HOTKEYS,
        lambda reading: (reading.hotkeys, reading.enrichment, reading.target),
        (
            _row(
                "redis_hotkey_accesses_per_second",
                f"{_PER_SECOND}, estimated; {_DB}. Shown are the window's top and the last seconds' top.",
                _per_key(lambda key: key.rate),
            ),
            _row(
                "redis_hotkey_accesses_per_second_low",
                f"{_PER_SECOND}, lower end of the 95 % interval; equals the estimate when everything was observed.",
                _per_key(lambda key: key.low),
            ),
            _row(
                "redis_hotkey_accesses_per_second_high",
                f"{_PER_SECOND}, upper end of the 95 % interval; equals the estimate when everything was observed.",
                _per_key(lambda key: key.high),
            ),
            _row(
                "redis_hotkey_share_ratio",
                "Share of the key among all key accesses of its node.",
                _per_key(lambda key: key.share),
            ),
            _row(
                "redis_hotkey_write_ratio",
                "Share of writes among the accesses of the key.",
                _per_key(lambda key: key.write_ratio),
            ),
            _row(
                "redis_hotkey_memory_bytes",
                "Memory that the key and its value take, as MEMORY USAGE estimates it.",
                _per_key(lambda key: key.facts.memory_bytes if key.facts else None),
            ),
            _row(
                "redis_hotkey_ttl_seconds",
                "Remaining life of the key; absent where the key has no expiry.",
                _per_key(lambda key: key.ttl_seconds),
            ),
            _row(
                "redis_hotkey_info",
                f"Type, encoding and cluster slot of the key (slot is empty outside a cluster); {_DB}.",
                _key_info,
            ),
            _row(
                "redis_hotkey_low_to_threshold_ratio",
                "Lower end of the interval over the threshold that applies to the key, sampling.overrides included: "
                "above 1 the key is hot. Absent where the key is ignored.",
                _per_key(lambda key: key.low_to_threshold),
            ),
            _row(
                "redis_hotkeys_over_threshold",
                "Keys whose low estimate is above the threshold of accesses per second.",
                _hotkeys(lambda hotkeys: hotkeys.over_threshold),
            ),
            _row(
                "redis_key_group_accesses_per_second",
                f"Accesses per second of all keys of a group, the rest in the group other; {_DB}.",
                _groups,
            ),
            _row(
                "redis_sampling_duty_ratio",
                "Share of the window during which MONITOR was on.",
                _hotkeys(lambda hotkeys: hotkeys.duty_ratio),
            ),
            _row(
                "redis_sampling_lag_seconds",
                "How far reading lagged behind the server at the end of the last observation.",
                _hotkeys(lambda hotkeys: hotkeys.lag_seconds),
            ),
            _row(
                "redis_sampling_watched_throughput_ratio",
                "Commands per second while MONITOR is on over those of all the time; below 1 the rates are corrected.",
                _hotkeys(lambda hotkeys: hotkeys.watched_ratio),
            ),
            _row(
                "redis_sampling_window_keys",
                "Different keys in the sampling window.",
                _hotkeys(lambda hotkeys: hotkeys.window_keys),
            ),
            _row(
                "redis_sampling_floor",
                "Accesses per second below which a key may be missing from the window; 0 while nothing is cut.",
                _hotkeys(lambda hotkeys: hotkeys.floor),
            ),
        ),
    ),
    Section(
        Collect.HOTKEYS,
        lambda reading: (reading.hotkeys is None, reading.totals, reading.state, reading.native, reading.target),
        (
            _row(
                "redis_hotkey_threshold_accesses_per_second",
                "Configured threshold above which a key counts as hot.",
                _thresholds(lambda target: target.sampling.threshold),
            ),
            _row(
                "redis_hotkey_threshold_share_ratio",
                "Configured share of a node's accesses above which a key counts as dominant.",
                _thresholds(lambda target: target.sampling.threshold_share),
            ),
            _row(
                "redis_hotkey_labels_suppressed_total",
                "Keys that were not shown because too many new ones came up within an hour.",
                _totals(lambda totals: totals.labels_suppressed),
                "counter",
            ),
            _row(
                "redis_sampling_source_info",
                "Where the hot-key figures come from (source none: nowhere), and why.",
                _source,
            ),
            _row("redis_sampling_up", "1 while the sampling window is fresh, 0 otherwise.", _sampling_up),
            _row(
                "redis_sampling_observed_seconds_total",
                "Time observed with MONITOR, on the server's clock.",
                _totals(lambda totals: totals.observed_seconds),
                "counter",
            ),
            _row(
                "redis_sampling_events_total",
                "Commands that the server showed us.",
                _totals(lambda totals: totals.events),
                "counter",
            ),
            _row(
                "redis_sampling_bytes_total",
                "Bytes that the server sent us to show commands.",
                _totals(lambda totals: totals.bytes),
                "counter",
            ),
            _row(
                "redis_sampling_bursts_total",
                "Observations by what ended them: complete, or a limit (events, bytes, time, lag, buffer) or a fault.",
                _totals_by("outcome", lambda totals: totals.bursts),
                "counter",
            ),
            _row(
                "redis_sampling_skips_total",
                "Observations that did not take place, by reason.",
                _totals_by("reason", lambda totals: totals.skips),
                "counter",
            ),
            _row(
                "redis_sampling_last_success_timestamp_seconds",
                "When the sampling window was last brought up to date.",
                _totals(lambda totals: totals.last_success),
            ),
        ),
    ),
    Section(
        Collect.HOTKEYS,
        lambda reading: (reading.status, reading.up),
        (
            _row(
                "redis_sampling_server_limit_bytes",
                "Size at which the server itself ends a client that does not read; 0 means never, or unreadable.",
                _while_up(lambda status: status.server_limit_bytes),
            ),
        ),
    ),
    Section(
        Collect.STATS,
        lambda reading: (reading.status, reading.down, reading.stats_last_success, reading.membership),
        (
            _row("redis_up", "Information about the Redis instance", lambda sheet: [("", int(sheet.reading.up))]),
            _row("redis_down_info", "Why the node is down; present only while it is.", _down),
            _row(
                "redis_node_info",
                "Role of the node, and its shard and replication group (empty for a standalone server).",
                _node_info,
            ),
            _row(
                "redis_ping_latency_seconds",
                "How long the node took to answer the last PING.",
                _while_up(lambda status: status.latency_seconds),
            ),
            _row(
                "redis_total_system_memory_bytes",
                "total_system_memory_bytes metric",
                _while_up(lambda status: status.total_memory_bytes),
            ),
            _row(
                "redis_keyspace_hit_ratio",
                "Share of lookups that found their key over the last minutes, without the lookups of this exporter.",
                _hit_ratios,
            ),
            # An old time stamp says that it is old: it is not withheld with the rest.
            _row(
                "redis_stats_last_success_timestamp_seconds",
                "When INFO was last read.",
                lambda sheet: [("", sheet.reading.stats_last_success)],
            ),
        ),
    ),
)
