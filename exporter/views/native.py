"""Hot keys by what the server itself says: raw names come in, rows of the API and a table of the page go out.

These figures are no rates of ours: CPU time and network bytes (Redis HOTKEYS), accesses by the server's own count
(Valkey), and LFU counters, which are ranks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exporter.views.markup import Html, tag
from exporter.views.page.panels import panel, table
from exporter.views.words import quantity, size, span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Set

    from exporter.keynames import KeyNames
    from exporter.snapshot import NativeKeys
    from exporter.views.reading import Reading

MOST_ROWS = 20


@dataclass(frozen=True, slots=True)
class ShownNative:
    """One key as it may be shown; keys that are written alike add up, of their LFU counters the highest stands."""

    db: int | None
    key: str
    accesses_per_second: float | None
    cpu_seconds_per_second: float | None
    network_bytes_per_second: float | None
    frequency: int | None


def shown(native: NativeKeys, names: KeyNames, only: Set[tuple[int, bytes]] | None = None) -> list[ShownNative]:
    """All keys of a snapshot (or `only` some), one for each database and written name."""
    found: dict[tuple[int | None, str], ShownNative] = {}
    for key in native.keys:
        if only is not None and (key.db or 0, key.key) not in only:
            continue
        one = ShownNative(
            key.db, names.label(key.key), key.accesses_per_second, key.cpu_seconds_per_second,
            key.network_bytes_per_second, key.frequency,
        )  # fmt: skip
        same = found.get((one.db, one.key))
        found[one.db, one.key] = one if same is None else _sum(same, one)
    return list(found.values())


def _sum(one: ShownNative, other: ShownNative) -> ShownNative:
    def total(first: float | None, second: float | None) -> float | None:
        return second if first is None else first + (second or 0)

    counts = [count for count in (one.frequency, other.frequency) if count is not None]
    return replace(
        one,
        accesses_per_second=total(one.accesses_per_second, other.accesses_per_second),
        cpu_seconds_per_second=total(one.cpu_seconds_per_second, other.cpu_seconds_per_second),
        network_bytes_per_second=total(one.network_bytes_per_second, other.network_bytes_per_second),
        frequency=max(counts, default=None),
    )


def rows(reading: Reading, names: KeyNames, limit: int, db: int | None) -> list[dict[str, Any]]:
    """The rows of `/api/v1/hotkeys` for a node whose keys have no rates of ours; `rank` is left to the caller."""
    if reading.native is None or reading.hotkeys is not None:
        return []
    return [
        {
            "rank": 0,
            "target": reading.node.target,
            "addr": reading.node.addr,
            "db": key.db,
            "key": key.key,
            **dict.fromkeys(_UNKNOWN),
            "server_accesses_per_second": key.accesses_per_second,
            "cpu_seconds_per_second": key.cpu_seconds_per_second,
            "network_bytes_per_second": key.network_bytes_per_second,
            "lfu_frequency": key.frequency,
        }
        for key in shown(reading.native, names)
        if db is None or key.db in {None, db}
    ][:limit]


_UNKNOWN = (
    "accesses_per_second", "low", "high", "share_ratio", "reads_per_second", "writes_per_second", "type",
    "memory_bytes", "ttl_seconds",
)  # fmt: skip


def native_table(
    readings: Sequence[Reading], names: KeyNames, takes: Callable[[int, bytes, KeyNames], bool] = lambda *_: True
) -> Html:
    """What servers themselves say of their hot keys, as a panel of the page; empty where none is asked.

    `takes` says which keys are shown.
    """

    def wanted(native: NativeKeys) -> list[ShownNative]:
        only = {(one.db or 0, one.key) for one in native.keys if takes(one.db or 0, one.key, names)}
        return shown(native, names, only)[:MOST_ROWS]

    found = [reading for reading in readings if reading.native and wanted(reading.native)]
    if not found:
        return tag("section", at={"id": "native"})
    columns = ("key", *(f"{name}.number" for name, _ in _COLUMNS))
    body = [
        tag("tr", tag("th.key", tag("code", key.key), tag("span.chip", f"db {key.db}") if key.db else None,
                      tag("small", f"{reading.node.target} {reading.node.addr} · {reading.native.source.value}"),
                      at={"scope": "row"}),
            *[tag("td.number", show(key) or "\N{EN DASH}") for _, show in _COLUMNS])
        for reading in found
        if reading.native
        for key in wanted(reading.native)
    ]  # fmt: skip
    note = "a rank, or over the server's own window; no rates of ours"
    return panel("native", "Hot keys by the server itself", note, table("native", "keys by the server", columns, body))


def _optional(value: float | None, write: Callable[[float], str]) -> str | None:
    return None if value is None else write(value)


_COLUMNS: tuple[tuple[str, Callable[[ShownNative], str | None]], ...] = (
    ("CPU/s", lambda key: _optional(key.cpu_seconds_per_second, span)),
    ("network/s", lambda key: _optional(key.network_bytes_per_second, size)),
    ("accesses/s", lambda key: _optional(key.accesses_per_second, quantity)),
    ("LFU counter", lambda key: _optional(key.frequency, quantity)),
)
