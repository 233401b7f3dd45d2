"""The kill switch: sampling of one target, or of all, is off until it is switched on again or its time is over.

Whoever pulls it needs no configuration file and no restart; a reload leaves it as it is, a restart ends it.
"""

from __future__ import annotations

import math
import threading


class Switch:
    """Which targets must not be sampled now. Thread-safe; times are seconds of this process's monotonic clock."""

    def __init__(self) -> None:
        self._until: dict[str | None, float] = {}
        self._lock = threading.Lock()

    def off(self, target: str | None, until: float = math.inf) -> None:
        """Do not sample `target` (None: any target) before `until`."""
        with self._lock:
            self._until[target] = until

    def on(self, target: str | None) -> None:
        """Sample `target` again (None: every target, also those that were switched off one by one)."""
        with self._lock:
            if target is None:
                self._until.clear()
            else:
                self._until.pop(target, None)

    def is_off(self, target: str, now: float) -> bool:
        """Whether `target` must not be sampled now."""
        return self.off_until(target, now) is not None

    def off_until(self, target: str, now: float) -> float | None:
        """When sampling of `target` goes on, infinity for "when somebody switches it on"; None while it is on."""
        until = max(self._until.get(None, -math.inf), self._until.get(target, -math.inf))
        return until if now < until else None
