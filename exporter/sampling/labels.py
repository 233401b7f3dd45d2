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

    A label is new if it has not been shown within the hour; one that returns is free. A quarter of the new ones is kept
    for keys whose `low` is above the threshold. A shown key stays while either list has it within 1.5 * `top`, or for
    its first ten seconds anywhere; one that is in neither list goes at once. No more than `max_new_per_hour` + 2 * `top`
    distinct labels are shown within an hour, so that is all that is remembered.
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
        self, now: float, window_top: Sequence[KeyEstimate], recent_top: Sequence[KeyEstimate], threshold: float
    ) -> frozenset[DbKey]:
        """Choose what is shown from `now` on (seconds, never going back); both lists are hottest first.

        Give each list at least 1.5 * `top` entries, if there are so many. `threshold` is in accesses per second.
        """
        self._forget(now - HOUR_SECONDS)
        ranks = _best_ranks(window_top, recent_top)
        over = {(one.db, one.key) for one in (*window_top, *recent_top) if one.low > threshold}
        wanted = [key for key, rank in ranks.items() if rank < self._top or self._stays(key, rank, now)]
        wanted.sort(key=lambda key: (ranks[key] >= self._top, ranks[key], key not in self._since))
        wanted = wanted[: 2 * self._top]
        admitted = self._admit(now, sorted(wanted, key=lambda key: key not in over), over)
        self._since = {key: self._since.get(key, now) for key in wanted if key in admitted}
        self._last_shown.update(dict.fromkeys(self._since, now))
        return frozenset(self._since)

    def _stays(self, key: DbKey, rank: int, now: float) -> bool:
        since = self._since.get(key)
        return since is not None and (2 * rank < 3 * self._top or now - since < DWELL_SECONDS)

    def _admit(self, now: float, wanted: Sequence[DbKey], over: set[DbKey]) -> set[DbKey]:
        """Let in what is not new, and what the budget for new labels allows; count the rest once."""
        admitted, refused = set(), set()
        for key in wanted:
            if key not in self._last_shown:
                budget = self._max_new if key in over else self._max_new - self._max_new // 4
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
