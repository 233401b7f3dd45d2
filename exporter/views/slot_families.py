"""The families of a cluster node's busiest slots, as the server counts them: hot spots without a look at any key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.views.exposition import label
from exporter.views.redis_families.rows import row, section

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.serverstats import ServerStats
    from exporter.views.exposition import Kind
    from exporter.views.families import Row, Samples

_OF = "of the busiest slots of a cluster node"


def _per_slot(name: str, divisor: float = 1.0) -> Callable[[ServerStats], Samples]:
    return lambda stats: (
        (label("slot", slot), numbers[name] / divisor) for slot, numbers in stats.slots.items() if name in numbers
    )


def _row(name: str, what: str, samples: Callable[[ServerStats], Samples], kind: Kind = "counter") -> Row:
    return row(f"cluster_slot_{name}", f"{what} {_OF}, by CLUSTER SLOT-STATS.", samples, kind)


SECTIONS = (
    section(
        (
            _row("keys", "Keys", _per_slot("key-count"), "gauge"),
            _row("memory_bytes", "Memory", _per_slot("memory-bytes"), "gauge"),
            _row("cpu_seconds_total", "CPU time of commands on keys", _per_slot("cpu-usec", 1e6)),
            _row("network_input_bytes_total", "Network bytes received for keys", _per_slot("network-bytes-in")),
            _row("network_output_bytes_total", "Network bytes sent for keys", _per_slot("network-bytes-out")),
        ),
        lambda stats: (stats.slots,),
    ),
)
