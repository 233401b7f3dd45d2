"""Was warming any use? Warmed keys and observed reads in, counts of useful and wasted keys out. No clock of its own.

A warmed key is useful once somebody reads it before it expires, and wasted if it expires unread. Both can only be known
while every command is seen: a key counts as wasted only where (nearly) its whole life was observed in full, and the
share of time that was is published beside the counts.
"""

from __future__ import annotations

import heapq
import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.warmth import Use

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_KEYS = 50_000
"""Warmed keys that are followed at a time; of more, the first ones."""
NEARLY_ALL = 0.95
LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class _Warmed:
    at: float
    until: float
    observed: float


class Attribution:
    """Follows the keys of one job. Thread-safe: the sampler tells what was read, the job what was written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[int, _Warmed] = {}
        self._ends: list[tuple[float, int]] = []
        self._began: float | None = None
        self._observed = 0.0
        self._useful = 0
        self._wasted = 0
        self._saved = 0.0
        self.cost_seconds = 0.0
        """What loading one key costs; whoever measures it sets it."""

    def warmed(self, db: int, keys: Iterable[tuple[bytes, int | None]], now: float) -> None:
        """Keys were written, each with its life in milliseconds."""
        with self._lock:
            if self._began is None:
                self._began = now
            for key, life_ms in keys:
                if len(self._keys) >= MOST_KEYS:
                    return
                mark = hash((db, key))
                life = LONGEST_SECONDS if life_ms is None else min(LONGEST_SECONDS, life_ms / 1000)
                self._keys[mark] = _Warmed(now, now + life, self._observed)
                heapq.heappush(self._ends, (now + life, mark))

    def seen(self, seconds: float, accesses: Mapping[tuple[int, bytes], tuple[int, int]]) -> None:
        """For so long all commands were seen; `accesses` maps (db, key) to (accesses, of which writes)."""
        with self._lock:
            if self._began is None:
                return
            self._observed += seconds
            if not self._keys:
                return
            for place, (count, writes) in accesses.items():
                if count > writes and self._keys.pop(hash(place), None) is not None:
                    self._useful += 1
                    self._saved += self.cost_seconds

    def use(self, now: float) -> Use:
        """The counts as they are now; keys whose time is over are settled."""
        with self._lock:
            while self._ends and self._ends[0][0] <= now:
                _, mark = heapq.heappop(self._ends)
                warmed = self._keys.get(mark)
                # A key that was warmed again has a later end of its own.
                if warmed is None or warmed.until > now:
                    continue
                del self._keys[mark]
                life = now - warmed.at
                if self._observed - warmed.observed >= NEARLY_ALL * life:
                    self._wasted += 1
            since = now - self._began if self._began is not None else math.inf
            ratio = min(1.0, self._observed / since) if since > 0 else 0.0
            return Use(self._useful, self._wasted, ratio, self._saved)
