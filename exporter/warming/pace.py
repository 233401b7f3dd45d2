"""How fast, and when not at all: token buckets and a circuit breaker. Pure: time comes in as `now`."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_BACKOFF = 5.0
LONGEST_BACKOFF = 300.0
OPENS_AFTER = 3


class Bucket:
    """A token bucket in debt form: `take` never refuses, it says how long to wait before the next.

    A quarter of a second may be used at once; a batch that is larger than that is paid for afterwards.
    """

    def __init__(self, per_second: float, now: float) -> None:
        self._rate = per_second
        self._level = per_second / 4
        self._at = now

    def take(self, amount: float, now: float) -> float:
        """Use `amount` tokens; returns the seconds to wait until the bucket is out of debt."""
        self._level = min(self._rate / 4, self._level + (now - self._at) * self._rate) - amount
        self._at = now
        return max(0.0, -self._level / self._rate)


@dataclass(frozen=True, slots=True)
class Circuit:
    """Whether a source may be asked: after a few failures in a row it rests, for twice as long each time."""

    failures: int = 0
    closed_at: float = 0.0

    def allows(self, now: float) -> bool:
        """Whether it may be tried now."""
        return self.failures < OPENS_AFTER or now >= self.closed_at

    def failed(self, now: float) -> Circuit:
        """One more failure in a row."""
        failures = self.failures + 1
        rest = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** (failures - OPENS_AFTER))
        return Circuit(failures, now + rest)
