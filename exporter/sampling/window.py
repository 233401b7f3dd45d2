"""What has been hot in the last minute: observed pieces in, rates with 95 % intervals out (pure).

The window is the mean of its one-second strata (see `stratum`); seconds that were not observed are left out, they are
gaps and not zeros. Time is the server's clock, as the pieces tell it. A variance is never less than Poisson's, and the
interval takes Student's t with Satterthwaite's degrees of freedom from the centred fourth moments.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import floor, inf, sqrt
from typing import TYPE_CHECKING

from exporter.sampling.calibration import Calibration
from exporter.sampling.interval import NORMAL_QUANTILE, Estimate, interval
from exporter.sampling.ledger import Ledger, Sums, largest_first
from exporter.sampling.stratum import OpenSecond, Piece, Stratum
from exporter.snapshot import GroupRate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.sampling.stratum import DbKey, Moments

__all__ = ["Estimate", "KeyEstimate", "Piece", "Window"]

INDEX_SECONDS = 15  # the index holds as many keys as this many seconds may have; some 250 bytes each
_LEAST_FREEDOM = 3.0  # for keys seen once or twice fewer make the interval several times wider and cover no more
_SMALL_ERROR = 0.01  # of the total
_FEWEST_KNOWN = 5  # seconds
_SURE_RISE = 3.0  # standard deviations
_STEP_SECONDS = 1.0  # a clock that went back further starts a new window


@dataclass(frozen=True, slots=True)
class KeyEstimate:
    """Accesses per second of one key over the window: 0 <= low <= rate <= high, 0 <= writes_rate <= rate."""

    db: int
    key: bytes
    rate: float
    low: float
    high: float
    writes_rate: float


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all estimates of one moment share, from the strata in the window.

    `span`: the seconds that amounts are divided by, adjusted to the server's own count of commands.
    """

    strata: int
    span: float
    observed: float
    sampled: int
    lone: int
    lone_weight: float
    lone_fourth: float
    freedom: float
    poisson: float
    floor: float

    @classmethod
    def of(cls, strata: Iterable[Stratum]) -> _Frame:
        every = list(strata)
        accesses = sum(one.accesses.amount for one in every)
        lone = [one for one in every if one.alone]
        several = [one for one in every if not one.exact and not one.alone]
        return cls(
            strata=len(every),
            span=sum(one.extent for one in every) / _adjustment(every),
            observed=sum(one.observed for one in every),
            sampled=len(lone) + len(several),
            lone=len(lone),
            lone_weight=sum(one.alone * one.extent**2 for one in lone),
            lone_fourth=sum(one.alone**2 * one.extent**4 for one in lone),
            freedom=sum(one.pieces - 1 for one in several) + max(0, len(lone) - 1),
            poisson=sum(one.poisson * one.accesses.amount for one in every) / max(1.0, accesses),
            floor=sum(one.floor for one in every),
        )


def _adjustment(strata: Sequence[Stratum]) -> float:
    """Compute the server's own count of commands over our estimate of it: what all keys' estimates have in common.

    A ratio to a known total (Cochran, 6.3) takes away the error that bursts made in all keys alike, by chance or
    because they disturb what they see. It would lend the total's own error to keys that have nothing to do with it,
    so it fades out where that is not small, as in spiky loads.
    """
    known = [one for one in strata if one.watched.amount > 0.0]
    sampled = sum(not one.exact for one in strata)
    if 2 * len(known) <= sampled or len(known) < _FEWEST_KNOWN:
        return 1.0
    served, watched = sum(one.served for one in known), sum(one.watched.amount for one in known)
    error = sum(one.watched.variance for one in known) / watched**2
    share = sum(one.extent for one in known) / sum(one.extent for one in strata)
    return max(0.5, 1.0 + share * (served / watched - 1.0) / (1.0 + error / _SMALL_ERROR**2))


class Window:
    """The last `seconds` whole seconds. A second with more than `max_keys_per_second` keys keeps its largest.

    Then `floor` says how much a dropped key may have had, and so does the `high` of every key that may have been
    dropped. All figures are about closed seconds. For one thread.
    """

    def __init__(self, seconds: int = 60, max_keys_per_second: int = 5000) -> None:
        self._seconds = seconds
        self._max_keys = max_keys_per_second
        self._restart()

    def _restart(self) -> None:
        self._calibration = Calibration()
        self._ledger = Ledger(INDEX_SECONDS * self._max_keys)
        self._strata: deque[Stratum] = deque()
        self._open: OpenSecond | None = None
        self._since: float | None = None
        self._end: int | None = None
        self._latest = -inf
        self._moved = False
        self._recent_of: tuple[int | None, int] | None = None
        self._recent: dict[int, float] = {}
        self._frame = _Frame.of(())

    # --- what comes in ----------------------------------------------------------------------------------------------

    def add(self, piece: Piece) -> None:
        """Take one piece; it closes the seconds before it.

        Where the server's clock was set back by up to a second, the piece counts for the second that is open; by more,
        and the window starts anew. A jump forward leaves a gap.
        """
        if piece.start < self._latest - _STEP_SECONDS:
            self._restart()
        self._recent_of, self._recent = None, {}
        second = floor(piece.start)
        self._move(second)
        if self._open is None:
            self._end = second if self._end is None else self._end
            self._open = OpenSecond(max(second, self._end), self._since)
        self._open.add(piece)
        self._latest = max(self._latest, piece.end)

    def advance(self, now: float) -> bool:
        """Close the seconds that ended by `now` (server clock).

        Tells whether seconds have ended since the last call, be it by `now` or by a piece that was added.
        """
        self._move(floor(now))
        moved, self._moved = self._moved, False
        return moved

    def _move(self, second: int) -> None:
        """Make `second` the end of the window, if it is later."""
        if self._end is None or second <= self._end:
            return
        self._end, self._moved = second, True
        self._latest = max(self._latest, float(second))
        oldest = second - self._seconds
        while self._strata and self._strata[0].second < oldest:
            self._ledger.leave(self._strata.popleft())
        if self._open is not None and self._open.second < second:
            closed = self._open.close(self._calibration.cost) if self._open.second >= oldest else None
            self._since, self._open = self._open.last, None
            if closed is not None:
                self._ledger.enter(*closed, self._max_keys)
                self._strata.append(closed[0])
                self._learn(closed[0])
        self._frame = _Frame.of(self._strata)

    def _learn(self, stratum: Stratum) -> None:
        """What the server counted in a second calibrates the next ones."""
        if stratum.counted is not None:
            self._calibration.learn(stratum.counted)
            stratum.counted = None

    # --- what comes out ---------------------------------------------------------------------------------------------

    @property
    def window_end(self) -> float:
        """The end of the last second that ended, on the server's clock; 0 before the first piece."""
        return float(self._end or 0)

    @property
    def open_until(self) -> float | None:
        """When the second ends that pieces are being added to, on the server's clock."""
        return None if self._open is None else float(self._open.second + 1)

    @property
    def observed_seconds(self) -> float:
        """Time that was observed in the window's seconds."""
        return self._frame.observed

    @property
    def duty_ratio(self) -> float:
        """Share of the time since the oldest observed second of the window began that was observed."""
        if self._end is None or not self._strata:
            return 0.0
        return min(1.0, self._frame.observed / (self._end - self._strata[0].second))

    @property
    def keys_seen(self) -> int:
        """Distinct keys that the window holds."""
        return len(self._ledger)

    @property
    def floor(self) -> float:
        """The highest rate that a key without a single entry may have had; 0 unless seconds had to be cut."""
        return self._frame.floor / self._frame.span if self._frame.floor else 0.0

    @property
    def commands_per_second(self) -> float:
        """Commands of all clients per second."""
        return self._overall([one.commands for one in self._strata]).rate

    def total(self) -> Estimate:
        """Estimate the accesses per second of all keys together."""
        return self._overall([one.accesses for one in self._strata])

    def top(self, limit: int) -> list[KeyEstimate]:
        """Name the `limit` keys with the highest rates over the window, highest first."""
        return [self._estimate(slot) for slot in self._ledger.top(limit)]

    def of(self, keys: Iterable[DbKey]) -> list[KeyEstimate]:
        """Estimate those of `keys` that the window holds."""
        return [self._estimate(slot) for key in keys if (slot := self._ledger.slot(key)) is not None]

    def recent(self, limit: int, seconds: int = 3) -> list[KeyEstimate]:
        """Name `limit` keys by what they did in the last `seconds` closed seconds; estimates are over the whole window.

        First up to a third of them that surely rose, by how much; then those with the most accesses. A key that is new
        among many hot ones would not be seen otherwise. The open second is left out: its end is never far.
        """
        risen = self._risen(seconds, limit // 3)
        others = largest_first(self._recent_amounts(seconds), limit)
        slots = [*risen, *(slot for slot in others if slot not in risen)]
        return [self._estimate(slot) for slot in slots[:limit]]

    def _risen(self, seconds: int, limit: int) -> list[int]:
        """Find the slots that had more accesses lately than before, beyond chance, by the surplus, largest first.

        Chance: three standard deviations of the accesses that were seen, as if they were Poisson's.
        """
        strata = self._recent_strata(seconds)
        span, observed = sum(one.extent for one in strata), sum(one.observed for one in strata)
        before = self._frame.span - span
        if not observed or before < seconds:
            return []
        worth = span / observed
        surplus: dict[int, float] = {}
        for slot, amount in self._recent_amounts(seconds).items():
            if amount > _SURE_RISE**2 * worth:
                more = amount - (self._ledger.amount(slot) - amount) * span / before
                if more > _SURE_RISE * sqrt((amount + worth) * worth):
                    surplus[slot] = more
        return largest_first(surplus, limit)

    def _recent_strata(self, seconds: int) -> list[Stratum]:
        start = (self._end or 0) - seconds
        return [stratum for stratum in self._strata if stratum.second >= start]

    def _recent_amounts(self, seconds: int) -> dict[int, float]:
        """Add up what the last closed seconds hold, by slot; asked for twice in a row, computed once."""
        asked = self._end, seconds
        if asked != self._recent_of:
            self._recent_of, self._recent = asked, self._ledger.recent_amounts(self._recent_strata(seconds))
        return self._recent

    @property
    def exact(self) -> bool:
        """Whether all that is in the window was observed in full: low = rate = high for every key."""
        return bool(self._strata) and not self._frame.sampled

    def rising(self, threshold: float, seconds: int = 3) -> frozenset[DbKey]:
        """Name the keys whose rate over the last `seconds` closed seconds is surely above `threshold`.

        Surely: the amount less two standard deviations of a Poisson count, each access seen standing for `worth`.
        """
        strata = self._recent_strata(seconds)
        span, observed = sum(one.extent for one in strata), sum(one.observed for one in strata)
        if not span or not observed:
            return frozenset()
        worth = span / observed if any(not one.exact for one in strata) else 0.0
        least = threshold * span
        amounts = self._recent_amounts(seconds).items()
        found = (slot for slot, amount in amounts if amount > least and amount - 2 * sqrt(amount * worth) > least)
        return frozenset(self._ledger.key(slot) for slot in found)

    def over(self, threshold: float) -> int:
        """Count the keys whose `low` is above `threshold` (accesses per second).

        No variance is less than Poisson's, so that most keys need no interval: Wilson's low end is above the threshold
        only if the rate is above threshold + z * sqrt(variance / rate * threshold).
        """
        frame = self._frame
        least = threshold * frame.span
        if not frame.sampled:
            return len(self._ledger.above(least))
        least += NORMAL_QUANTILE * sqrt(frame.poisson * least)
        return sum(self._estimate(slot).low > threshold for slot in self._ledger.above(least))

    def groups(self, name_of: Callable[[bytes], str], limit: int) -> list[GroupRate]:
        """Rates of the `limit` largest groups, largest first; then for each db the rest as the group `other`."""
        sums = self._ledger.groups(name_of)
        ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
        shown = dict(ranked[:limit])
        for (db, _), amount in ranked[limit:]:
            shown[db, "other"] = shown.get((db, "other"), 0.0) + amount
        return [GroupRate(db, name, amount / self._frame.span) for (db, name), amount in shown.items()]

    # --- estimates --------------------------------------------------------------------------------------------------

    def _estimate(self, slot: int) -> KeyEstimate:
        sums, frame = self._ledger.sums(slot), self._frame
        found = self._interval(sums)
        hidden = max(0.0, frame.floor - sums.covered) / frame.span if frame.floor else 0.0
        # Not every client need be slower while we watch: the interval reaches down to what was really seen.
        low = max(0.0, found.low - sums.unseen / frame.span) if sums.unseen else found.low
        writes = min(found.rate, sums.writes / frame.span)
        return KeyEstimate(*self._ledger.key(slot), found.rate, low, found.high + hidden, writes)

    def _overall(self, moments: Sequence[Moments]) -> Estimate:
        """Estimate what is counted in every stratum, from each stratum's own moments."""
        amount = sum(one.amount for one in moments)
        rate = amount / self._frame.span if self._frame.span else 0.0
        variance = fourth = lone = 0.0
        for stratum, one in zip(self._strata, moments, strict=True):
            variance += stratum.alone * one.amount**2 if stratum.alone else one.variance
            fourth += stratum.alone**2 * (one.amount - rate * stratum.extent) ** 4 if stratum.alone else one.fourth
            lone += stratum.alone * stratum.extent * one.amount
        return self._interval(Sums(amount, variance, fourth, 0.0, 0.0, lone, self._frame.lone))

    def _interval(self, sums: Sums) -> Estimate:
        frame = self._frame
        rate = sums.amount / frame.span if frame.span else 0.0
        if not frame.sampled:
            return Estimate(rate, rate, rate)
        variance, fourth = sums.variance, sums.fourth
        if frame.lone:
            # The sum of alone * (amount - rate * extent)^2 over all strata of one piece, those without the key as well.
            variance += rate * (rate * frame.lone_weight - 2.0 * sums.lone)
            fourth += rate**4 * frame.lone_fourth * (1.0 - sums.seen / frame.lone)
            if 2 * frame.lone > frame.strata > 1:
                variance *= frame.strata / (frame.strata - 1)  # the mean was estimated from the same strata
        variance = max(variance, frame.poisson * sums.amount)
        degrees = min(max(_LEAST_FREEDOM, variance**2 / fourth) if fourth else inf, frame.freedom)
        return interval(rate, variance / frame.span**2, degrees)
