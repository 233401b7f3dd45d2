"""What sampling one node has cost and seen: slices come in, the counters of `SamplingTotals` go out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from exporter.monitor.session import Outcome
from exporter.snapshot import SamplingTotals

if TYPE_CHECKING:
    from exporter.monitor.session import Slice


class Totals:
    """The counters of `SamplingTotals` while they grow."""

    def __init__(self) -> None:
        self.observed_seconds = 0.0
        self.events = 0
        self.bytes = 0
        self.own_lines = 0
        self.skipped_lines = 0
        self.bursts: Counter[str] = Counter({outcome.value: 0 for outcome in Outcome})
        self.skips: Counter[str] = Counter()
        self.labels_suppressed = 0
        self.last_success: float | None = None

    def took(self, piece: Slice) -> None:
        """A slice ended."""
        self.observed_seconds += piece.end - piece.start
        self.events += piece.lines
        self.bytes += piece.size_bytes
        self.bursts[piece.outcome.value] += 1

    def frozen(self) -> SamplingTotals:
        """The counters as a snapshot."""
        return SamplingTotals(
            self.observed_seconds, self.events, self.bytes, self.own_lines, self.skipped_lines,
            dict(self.bursts), dict(self.skips), self.labels_suppressed, self.last_success,
        )  # fmt: skip
