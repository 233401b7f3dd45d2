"""Prometheus' HTTP service discovery: readings come in, one entry for each node goes out.

Every entry leads back to this exporter: `/scrape` with the node as its `target`, under the node's own `instance`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.views.reading import Reading


def discovery(readings: tuple[Reading, ...], exporter: str) -> list[dict[str, Any]]:
    """Build the JSON of `/sd`; `exporter` is the `host:port` at which the client reaches this process."""
    shared = Counter(reading.node.addr for reading in readings)
    return [
        {
            "targets": [exporter],
            "labels": {
                **reading.target.labels,
                "__metrics_path__": "/scrape",
                # Two targets may lead to one address, with other users for example; their names tell them apart.
                "__param_target": reading.node.addr if shared[reading.node.addr] == 1 else reading.node.target,
                "instance": reading.node.addr,
                "target": reading.node.target,
                "role": reading.status.role if reading.status else "unknown",
            },
        }
        for reading in readings
    ]
