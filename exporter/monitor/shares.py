"""How nodes share what this process may read in all: demands in, events per second for each node out.

A tenth of `sampling.total_events_per_second` goes to all nodes alike, whether they need it or not: so no node is blind,
and small ones have room to grow, since the rate of a few events is never steady. The rest is shared by need and max-min
fair (nobody gets more while a smaller demand is not met): first among the nodes that have keys over the threshold, then
among the others. What nobody needs is spread evenly.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.snapshot import Node

_BASE = 0.1
_FRESH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Demand:
    """What one node could use: events per second, never more than `most` (its own budget), and whether it is `hot`."""

    events: float
    most: float
    hot: bool = False


def shares(total: float, demands: Mapping[Node, Demand]) -> dict[Node, float]:
    """Events per second for each node: at most its own budget, and at most `total` in sum."""
    given = dict.fromkeys(demands, 0.0)
    if not demands:
        return given
    wanted = {node: min(demand.events, demand.most) for node, demand in demands.items()}
    room = {node: demand.most for node, demand in demands.items()}
    left = total - _fill(given, room, demands, total * _BASE)
    left -= _fill(given, wanted, [node for node, demand in demands.items() if demand.hot], left)
    left -= _fill(given, wanted, demands, left)
    _fill(given, room, demands, left)
    return given


def _fill(given: dict[Node, float], wanted: Mapping[Node, float], nodes: Iterable[Node], amount: float) -> float:
    """Spread `amount` evenly over what `nodes` still want (water-filling); returns how much was spread."""
    gaps = sorted((max(0.0, wanted[node] - given[node]), node) for node in nodes)
    left = amount
    for at, (gap, node) in enumerate(gaps):
        part = min(gap, left / (len(gaps) - at))
        given[node] += part
        left -= part
    return amount - left


class SharedBudget:
    """The total budget of one process. Every node's sampler says what it could use and is told what it gets."""

    def __init__(self, total: float) -> None:
        self._total = total
        self._lock = threading.Lock()
        self._demands: dict[Node, Demand] = {}
        self._shares: dict[Node, float] = {}
        self._at = float("-inf")

    def resize(self, total: float) -> None:
        """Share another total from now on."""
        with self._lock:
            self._total, self._at = total, float("-inf")

    def share(self, node: Node, demand: Demand, now: float) -> float:
        """Events per second that `node` may read now (`now`: this process's monotonic clock, in seconds)."""
        with self._lock:
            known = node in self._demands
            self._demands[node] = demand
            if not known or now - self._at > _FRESH_SECONDS:
                self._shares, self._at = shares(self._total, self._demands), now
            return self._shares[node]

    def leave(self, node: Node) -> None:
        """`node` is not sampled any more."""
        with self._lock:
            self._demands.pop(node, None)
            self._at = float("-inf")
