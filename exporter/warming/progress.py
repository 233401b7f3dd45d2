"""How far a run is, for whoever looks while it goes on; and how it ended."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from exporter.warming.items import RESULT_OF, Fault, Outcome, Reason, Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Progress:
    """The counts of one run while they grow. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self.bytes = 0
        self.asked = 0
        self.expected: int | None = None

    def add(self, results: Sequence[Result], size: int) -> None:
        """Results of a batch of `size` bytes."""
        with self._lock:
            for result, count in Counter(results).items():
                self._keys[result.value] += count
            self.asked += len(results)
            self.bytes += size

    def fault(self, fault: Fault) -> None:
        """One key that cannot be warmed."""
        with self._lock:
            self._faults[fault.value] += 1
            self._keys[RESULT_OF[fault].value] += 1
            self.asked += 1

    def take_back(self, results: int) -> None:
        """So many keys that were written are no longer there: they were undone."""
        with self._lock:
            self._keys[Result.WRITTEN.value] -= results
            self._keys[Result.UNDONE.value] += results

    @property
    def keys(self) -> dict[str, int]:
        """Results so far, all of them."""
        with self._lock:
            return {result.value: self._keys[result.value] for result in Result}

    @property
    def faults(self) -> dict[str, int]:
        """Why keys were not warmed, those reasons that occurred."""
        with self._lock:
            return {fault: count for fault, count in self._faults.items() if count}

    @property
    def source_errors(self) -> int:
        """Keys that could not be read."""
        with self._lock:
            return sum(self._faults[fault.value] for fault in (Fault.GARBAGE, Fault.FIELD, Fault.TYPE, Fault.SOURCE))


@dataclass(frozen=True, slots=True)
class Report:
    """How one run ended. `seconds` is its whole time, `source_seconds` what of it was waited for the source.

    `coverage` is the share of the wanted keys that were in the cache at its end, None where none was wanted. `resumed`
    counts the records that another run had done already.
    """

    job_name: str
    target: str
    trigger: str
    outcome: Outcome
    reason: Reason | None
    detail: str
    started_at: float
    seconds: float
    source_seconds: float
    keys: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    faults: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    bytes: int = 0
    resumed: int = 0
    hit_ratio: float | None = None

    @property
    def coverage(self) -> float | None:
        """The share of the wanted keys that is in the cache now."""
        there = sum(self.keys.get(result.value, 0) for result in (Result.WRITTEN, Result.EXISTS, Result.REFRESHED))
        lost = sum(self.keys.get(result.value, 0) for result in (Result.UNDONE, Result.MISSING, Result.FAILED))
        return there / (there + lost) if there + lost else None
