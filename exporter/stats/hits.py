"""The hit ratio of the last minutes, without our own probes: counters in, ratios out.

    ratio = dh / (dh + dm),  dh and dm the growth of keyspace_hits and keyspace_misses less what we caused

A restart (another run id) or CONFIG RESETSTAT (a counter that shrinks) starts anew instead of giving nonsense.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOWS = {"1m": 60.0, "5m": 300.0}


@dataclass(frozen=True, slots=True)
class Reading:
    """The server's counters and our own share of them at one moment (seconds of a monotonic clock)."""

    at: float
    hits: int
    misses: int
    own_hits: int
    own_misses: int


class HitRatio:
    """The ratios over each of `WINDOWS`. A reading every second makes 300 of them at most."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque()
        self._run_id = ""

    def add(self, reading: Reading, run_id: str) -> None:
        """Take in the counters as they are now."""
        last = self._readings[-1] if self._readings else reading
        if run_id != self._run_id or reading.hits < last.hits or reading.misses < last.misses:
            self._readings.clear()
            self._run_id = run_id
        self._readings.append(reading)
        while reading.at - self._readings[0].at > max(WINDOWS.values()):
            self._readings.popleft()

    def ratios(self) -> dict[str, float]:
        """The ratio of each window in which anything was read, between 0 and 1."""
        if not self._readings:
            return {}
        now = self._readings[-1]
        found: dict[str, float] = {}
        for name, seconds in WINDOWS.items():
            then = next(reading for reading in self._readings if now.at - reading.at <= seconds)
            # A probe of ours may be counted here a moment before the server counts it, hence never below zero.
            hits = max(0, now.hits - then.hits - (now.own_hits - then.own_hits))
            misses = max(0, now.misses - then.misses - (now.own_misses - then.own_misses))
            if hits + misses:
                found[name] = hits / (hits + misses)
        return found
