"""The families of heat as a cluster sees it, by slot and by node, and of whether what is read is the node's stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.crc import key_slot

from exporter.keynames import LongKey
from exporter.views.exposition import Family, label
from exporter.views.families import Collect, Row, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.snapshot import HotKeys
    from exporter.views.families import Samples, Sheet


def _slots(sheet: Sheet) -> Iterator[tuple[str, float]]:
    """What the shown keys do to their slots; in a cluster only, and within the label budget of the keys."""
    hotkeys, part = sheet.reading.hotkeys, sheet.reading.membership
    if hotkeys is None or part is None or not part.shard:
        return
    rates: dict[int, float] = {}
    for key in hotkeys.keys:
        if (key.db, key.key) in hotkeys.labelled and not isinstance(key.key, LongKey):
            slot = int(key_slot(key.key))
            rates[slot] = rates.get(slot, 0.0) + key.rate
    for slot, rate in rates.items():
        yield label("slot", str(slot)), rate


def _node(value: Callable[[HotKeys], float | None]) -> Callable[[Sheet], Samples]:
    return lambda sheet: [("", value(sheet.reading.hotkeys))] if sheet.reading.hotkeys else ()


SECTIONS = (
    Section(
        Collect.HOTKEYS,
        lambda reading: (reading.hotkeys, reading.membership),
        (
            Row(
                Family(
                    "redis_hot_slot_accesses_per_second",
                    "gauge",
                    "Accesses per second of the shown keys of a cluster's slot, added up: at least so many has the "
                    "slot.",
                ),
                _slots,
            ),
            Row(
                Family(
                    "redis_sampling_accesses_per_second",
                    "gauge",
                    "Key accesses per second of the node over the sampling window, all keys together.",
                ),
                _node(lambda hotkeys: hotkeys.accesses_per_second),
            ),
            Row(
                Family(
                    "redis_sampling_canary_lag_seconds",
                    "gauge",
                    "How long the last canary, a PING on a second connection, took until it was read in MONITOR's "
                    "stream; about the length of a slice while all is well.",
                ),
                _node(lambda hotkeys: hotkeys.canary_lag_seconds),
            ),
        ),
    ),
)
