"""The families of what a server itself says of its hot keys: one for each kind of figure, none a rate of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.views.exposition import Family
from exporter.views.families import Collect, Row, Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.views.families import Samples, Sheet
    from exporter.views.native import ShownNative


def _per_key(value: Callable[[ShownNative], float | None]) -> Callable[[Sheet], Samples]:
    return lambda sheet: ((written, value(key)) for written, key in sheet.native)


SECTIONS = (
    Section(
        Collect.HOTKEYS,
        lambda reading: (reading.native,),
        (
            Row(
                Family(
                    "redis_hotkey_cpu_seconds_per_second",
                    "gauge",
                    "CPU time per second that commands on a key took, as Redis HOTKEYS samples it over a session of up "
                    "to a minute; db is empty, since HOTKEYS adds up all databases.",
                ),
                _per_key(lambda key: key.cpu_seconds_per_second),
            ),
            Row(
                Family(
                    "redis_hotkey_network_bytes_per_second",
                    "gauge",
                    "Network bytes per second of commands on a key and their replies, as Redis HOTKEYS samples them.",
                ),
                _per_key(lambda key: key.network_bytes_per_second),
            ),
            Row(
                Family(
                    "redis_hotkey_server_accesses_per_second",
                    "gauge",
                    "Accesses per second of a key in the server's own last window, as Valkey's HOTKEYS estimates it.",
                ),
                _per_key(lambda key: key.accesses_per_second),
            ),
            Row(
                Family(
                    "redis_hotkey_lfu_frequency",
                    "gauge",
                    "LFU counter of a key, 0 to 255: a rank and no rate, it grows with the logarithm of the accesses.",
                ),
                _per_key(lambda key: key.frequency),
            ),
        ),
    ),
)
