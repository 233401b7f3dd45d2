"""Which keys become Prometheus labels: few at a time, and few new ones in any hour (pure).

In: the window's top and the recent top, every second or so. Out: the (db, key) pairs that may be shown.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.sampling.stratum import DbKey
    from exporter.sampling.window import KeyEstimate

HOUR_SECONDS = 3600.0
DWELL_SECONDS = 10.0


class LabelBudget:
    """Lets the `top` keys of both lists in, at most 2 * `top` at a time and `max_new_per_hour` new ones in any hour.

    A label is new if it has not been shown within the hour; one that returns is free. Half of the new ones is kept for
    keys above the threshold, over the window (`low`) or lately (`rising`). While there is room, a shown key stays as
    long as either list has it within 1.5 * `top`, and for its first ten seconds anywhere; one that is in neither list
    goes at once.
    No more than `max_new_per_hour` + 2 * `top` distinct labels are shown within an hour: that is all it remembers.
    """

    def __init__(self, top: int, max_new_per_hour: int) -> None:
        self._top = top
        self._max_new = max_new_per_hour
        self._suppressed = 0
        self._since: dict[DbKey, float] = {}  # what is shown, and since when
        self._last_shown: dict[DbKey, float] = {}
        self._new_at: deque[float] = deque()
        self._refused: set[DbKey] = set()

    @property
    def suppressed(self) -> int:
        """How often a key would have been shown but for `max_new_per_hour`, once per stay among the candidates."""
        return self._suppressed

    def choose(
        self,
        now: float,
        window_top: Sequence[KeyEstimate],
        recent_top: Sequence[KeyEstimate],
        threshold: float,
        rising: frozenset[DbKey] = frozenset(),
    ) -> frozenset[DbKey]:
        """Choose what is shown from `now` on (seconds, never going back); both lists are hottest first.

        Give each list at least 1.5 * `top` entries, if there are so many. `threshold` is in accesses per second;
        `rising` are keys whose rate of the last seconds is above it.
        """
        self._forget(now - HOUR_SECONDS)
        ranks = _best_ranks(window_top, recent_top)
        over = {(one.db, one.key) for one in (*window_top, *recent_top) if one.low > threshold} | rising
        candidates = sorted((key for key, rank in ranks.items() if rank < self._top), key=lambda key: key not in over)
        shown = self._admit(now, candidates, over)
        staying = [key for key, rank in ranks.items() if key not in shown and self._stays(key, rank, now)]
        staying.sort(key=ranks.__getitem__)
        shown |= {*staying[: 2 * self._top - len(shown)]}
        self._since = {key: self._since.get(key, now) for key in shown}
        self._last_shown.update(dict.fromkeys(shown, now))
        return frozenset(shown)

    def _stays(self, key: DbKey, rank: int, now: float) -> bool:
        since = self._since.get(key)
        if since is None or key not in self._last_shown:
            return False
        return 2 * rank < 3 * self._top or now - since < DWELL_SECONDS

    def _admit(self, now: float, candidates: Sequence[DbKey], over: set[DbKey]) -> set[DbKey]:
        """Let in what is not new, and what the budget for new labels allows; count the rest once."""
        admitted: set[DbKey] = set()
        refused: set[DbKey] = set()
        for key in candidates:
            if key not in self._last_shown:
                budget = self._max_new if key in over else self._max_new // 2
                if len(self._new_at) >= budget or len(self._last_shown) >= self._max_new + 2 * self._top:
                    refused.add(key)
                    continue
                self._new_at.append(now)
                self._last_shown[key] = now
            admitted.add(key)
        self._suppressed += len(refused - self._refused)
        self._refused = refused
        return admitted

    def _forget(self, before: float) -> None:
        while self._new_at and self._new_at[0] <= before:
            self._new_at.popleft()
        self._last_shown = {key: at for key, at in self._last_shown.items() if at > before}


def _best_ranks(*lists: Sequence[KeyEstimate]) -> Mapping[DbKey, int]:
    """Give each key its better rank in the lists, from 0."""
    ranks: dict[DbKey, int] = {}
    for one_list in lists:
        for rank, one in enumerate(one_list):
            key = one.db, one.key
            ranks[key] = min(rank, ranks.get(key, rank))
    return ranks
