"""The last hour of rates, in bounded memory: what is published comes in now and then, curves for drawing go out.

A curve is a row of slots of ten seconds. A slot holds the first value that was noted in it; what was not noted is a
gap and not a zero, since a key that is not among the hottest still has a rate.
"""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    # What is drawn, within its scope (a node): a key, a group, or the node itself.
    Subject = Hashable
    Curve = tuple[float | None, ...]

SLOT_SECONDS = 10
SLOTS = 360
MOST_CURVES = 2_000
"""With 360 slots of 4 bytes each: 3 MB, of which an hour of 2,000 different hot keys is needed to see anything."""


@dataclass(slots=True)
class _Track:
    """Values from slot `first` on, one for each slot, NaN for a gap."""

    first: int
    values: array[float]

    @property
    def end(self) -> int:
        return self.first + len(self.values)


class History:
    """Curves of many subjects in several scopes. Threads may note and read at the same time."""

    def __init__(self, most: int = MOST_CURVES) -> None:
        self._most = most
        # In the order of the last note, so that the first is the one that was unseen for longest.
        self._tracks: dict[tuple[Hashable, Subject], _Track] = {}
        self._last: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def note(self, scope: Hashable, at: float, values: Callable[[], Mapping[Subject, float]]) -> None:
        """Note the values of one scope at `at` (monotonic seconds); they are asked for only once in each slot."""
        slot = int(at // SLOT_SECONDS)
        if self._last.get(scope) == slot:
            return
        with self._lock:
            self._last[scope] = slot
            for subject, value in values().items():
                self._append((scope, subject), slot, value)

    def _append(self, name: tuple[Hashable, Subject], slot: int, value: float) -> None:
        track = self._tracks.pop(name, None)
        if track is None or not 0 <= slot - track.end < SLOTS:
            if track is None and len(self._tracks) >= self._most and not self._make_room(slot):
                return
            track = _Track(slot, array("f"))
        track.values.extend([nan] * (slot - track.end))
        track.values.append(value)
        if (extra := len(track.values) - SLOTS) > 0:
            del track.values[:extra]
            track.first += extra
        self._tracks[name] = track

    def _make_room(self, slot: int) -> bool:
        """Drop the curve that was unseen for longest, but none that is being drawn on."""
        name = next(iter(self._tracks))
        if self._tracks[name].end >= slot:
            return False
        del self._tracks[name]
        return True

    def curve(self, scope: Hashable, subjects: tuple[Subject, ...], at: float, slots: int = SLOTS) -> Curve:
        """The last `slots` values up to `at`, the oldest first, None for gaps; several subjects are added up."""
        last = int(at // SLOT_SECONDS)
        first = last - slots + 1
        sums: list[float | None] = [None] * slots
        with self._lock:
            tracks = [self._tracks[scope, one] for one in subjects if (scope, one) in self._tracks]
            rows = [(track.first - first, track.values[:]) for track in tracks]
        for offset, values in rows:
            for place, value in enumerate(values, offset):
                if 0 <= place < slots and not isnan(value):
                    sums[place] = value + (sums[place] or 0.0)
        return tuple(sums)

    def span(self, at: float) -> int:
        """For how many slots there is anything at all, at most an hour."""
        last = int(at // SLOT_SECONDS)
        with self._lock:
            first = min((track.first for track in self._tracks.values()), default=last)
        return max(1, min(SLOTS, last - first + 1))

    def keep(self, wanted: Callable[[Hashable], bool]) -> None:
        """Forget the scopes that are not `wanted`."""
        with self._lock:
            self._last = {scope: slot for scope, slot in self._last.items() if wanted(scope)}
            self._tracks = {name: track for name, track in self._tracks.items() if wanted(name[0])}
