"""How fast, how much at once, and when not at all. Pure: time comes in as `now`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

FIRST_BACKOFF = 5.0
LONGEST_BACKOFF = 300.0
OPENS_AFTER = 3
LEAST_PIECE = 4
NEAR_PIECE = 5
ALONE_PIECE = 32
PIECE_BYTES = 32_768
NEAR_BYTES = 4096
WORK_SHARE = 0.3
LEAST_WORK_SECONDS = 50e-6
ALONE_WORK_SECONDS = 300e-6
EXCHANGES = 5
LEAST_GROWS = 1.02
SHRINKS = 0.75
GROWS = 1.05
SLOW_FACTOR = 4.0
SLOW_SECONDS = 300e-6
LONGEST_REST = 0.005


class Bucket:
    """A token bucket in debt form: `take` never refuses, it says how long to wait before the next.

    What `burst` seconds bring may be used at once; a batch that is larger than that is paid for afterwards.
    """

    def __init__(self, per_second: float, now: float, burst: float = 0.25) -> None:
        self._rate = per_second
        self._most = self._level = per_second * burst
        self._at = now

    def take(self, amount: float, now: float) -> float:
        """Use `amount` tokens; returns the seconds to wait until the bucket is out of debt."""
        self._level = min(self._most, self._level + (now - self._at) * self._rate) - amount
        self._at = now
        return max(0.0, -self._level / self._rate)


class Tempo:
    """How much to send at once, so that others at the same server hardly notice; and when to let them go first.

    A server works off what comes at once before it turns to anybody else, so a pipeline delays whoever comes behind it
    by its whole length. In: how long the server took to answer, and how long it takes without any work, asked now and
    then on the same connection. Out: the number of keys whose work takes about `share` of that. Where that is less than
    can be told from chance, as beside a server on the same machine, it is at most `near`, or more if nobody waits.

    Only the quickest of a few exchanges tells what a piece costs: the others waited for other clients, or for a core of
    a machine that is busy, and smaller pieces would only add to that. For the same reason it takes the median, not the
    quickest, to say that a server has become slow.
    """

    def __init__(self, most: int, near: int = NEAR_PIECE, share: float = WORK_SHARE) -> None:
        self._most = most
        self._near = min(near, most)
        self._share = share
        self._size = float(self._near)
        self._idle: float | None = None
        self._quickest = float("inf")
        self._calm = float("inf")
        self._lately: deque[float] = deque(maxlen=EXCHANGES)
        self._took: list[float] = []
        self.alone = False
        """Whether nobody else uses the server."""

    @property
    def size(self) -> int:
        """How many keys to send at once."""
        return max(1, min(int(self._size), self._limit))

    @property
    def bytes(self) -> int:
        """How many bytes to send at once, unless a single key is larger."""
        return NEAR_BYTES if self._is_near and not self.alone else PIECE_BYTES

    def idle(self, seconds: float) -> None:
        """How long the server took to answer when there was nothing to do."""
        self._lately.append(seconds)
        self._idle = median(self._lately)
        self._quickest = min(self._lately)
        self._calm = min(self._idle, self._calm * LEAST_GROWS)

    def took(self, keys: int, seconds: float) -> None:
        """How long the server took to answer to so many keys."""
        self._took.append(seconds)
        if self._idle is None or len(self._took) < EXCHANGES:
            return
        quickest = min(self._took)
        self._took.clear()
        least = ALONE_WORK_SECONDS if self.alone else LEAST_WORK_SECONDS
        if quickest > self._quickest + max(least, self._share * self._quickest):
            self._size = max(min(LEAST_PIECE, self._near), self._size * SHRINKS)
        elif keys >= int(self._size):
            self._size = min(self._limit, self._size * GROWS + 1)

    @property
    def _is_near(self) -> bool:
        return self._share * self._quickest <= LEAST_WORK_SECONDS

    @property
    def _limit(self) -> int:
        if not self._is_near:
            return self._most
        return min(ALONE_PIECE, self._most) if self.alone else self._near

    @property
    def rest(self) -> float:
        """Seconds to leave the server to others before the next piece: none unless it has become slow to answer."""
        if self._idle is None or self._idle < max(SLOW_FACTOR * self._calm, self._calm + SLOW_SECONDS):
            return 0.0
        return min(LONGEST_REST, self._idle)


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
