"""Does the server do less while we watch, and how much less? Counts of served commands in, corrections out (pure).

In: for each burst, the server's own count of commands before and after it. Out: a `Served` for the window.

A server at its limit, whose clients wait for replies before they send more, does less while MONITOR is on; what bursts
show is then too low for every key. The server's own counter tells: bursts are compared with the gaps between them.
Two things must agree before this is believed, for bursts see fewer commands than gaps by chance as well. The mean of
the differences must be below zero by more than chance explains: that alone would be fooled by a huge clump that no
burst has met. And most bursts must be slower than *both* of their neighbouring gaps: that alone would be fooled by a
load that comes in short spikes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

REMEMBERED = 60  # bursts: some six seconds at the usual pace, half a minute on the busiest servers
_FEWEST = 8
_SURE = 4.0  # standard errors
_MOST = 0.6  # of the bursts, by two standard errors of a share
_OURS = 0.05
"""The share of commands that may be our own: a warming run in this process halts while a burst is read."""
_LEAST_RATE = 1000.0
"""Commands per second below which nothing is believed: MONITOR costs microseconds a command, so they are not missed."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the server itself counted around one burst.

    `span`: seconds since the counter was last read, the burst included; `commands` served in them; `watched`: those of
    the burst itself. `slowed`: watching slows this server down, as far as its last bursts tell.
    """

    span: float
    commands: float
    watched: float
    slowed: bool

    def part(self, share: float) -> Served:
        """The same for a part of the burst."""
        return Served(self.span * share, self.commands * share, self.watched * share, self.slowed)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Commands per second in the gap before a burst, in the burst, and in both together; the burst's seconds."""

    gap: float
    burst: float
    both: float
    length: float


class Slowdown:
    """Compares bursts with the gaps around them. For one node and one thread."""

    def __init__(self) -> None:
        self._pairs: deque[_Pair] = deque(maxlen=REMEMBERED)
        self._last: tuple[float, int] | None = None

    @property
    def ratio(self) -> float:
        """Commands per second with us over without us, over the last bursts; 1 where no slowdown is found."""
        if not self._slowed():
            return 1.0
        return min(1.0, sum(pair.burst for pair in self._pairs) / sum(pair.both for pair in self._pairs))

    def learn(self, start: float, end: float, served: tuple[int, int] | None, ours: int = 0) -> Served | None:
        """Take in one burst; `served` is the server's count of commands just before and just after it, without ours.

        `ours` are about as many commands as this process has sent besides, since the last burst. Returns None where
        there is nothing to compare with: the first burst, a joined slice (`served` is None), a counter or a clock that
        went back, or much of ours.
        """
        last, self._last = self._last, None if served is None else (end, served[1])
        if served is None or last is None:
            return None
        gap, length = start - last[0], end - start
        before, during = served[0] - last[1], served[1] - served[0]
        if gap <= 0.0 or length <= 0.0 or before < 0 or during < 0 or ours > _OURS * (before + during):
            return None
        self._pairs.append(_Pair(before / gap, during / length, (before + during) / (gap + length), length))
        return Served(gap + length, before + during, during, self._slowed())

    def _slowed(self) -> bool:
        """Whether the mean and the majority agree."""
        pairs = list(self._pairs)
        if len(pairs) < _FEWEST:
            return False
        differences = [pair.burst - pair.both for pair in pairs]
        mean = sum(differences) / len(pairs)
        spread = sum((one - mean) ** 2 for one in differences) / (len(pairs) - 1)
        # Bursts that should hold less than one command each are all alike, and all alike wrong: Poisson's variance.
        chance = sum(pair.both / pair.length for pair in pairs) / len(pairs)
        busy = sum(pair.both for pair in pairs) >= _LEAST_RATE * len(pairs)
        return busy and mean < -_SURE * sqrt(max(spread, chance) / len(pairs)) and _mostly_slower(pairs)


def _mostly_slower(pairs: Sequence[_Pair]) -> bool:
    """Whether clearly most bursts are slower than the gap before and the gap after."""
    votes = [one.burst < min(one.gap, after.gap) for one, after in pairwise(pairs)]
    share = sum(votes) / len(votes)
    return share - 2 * sqrt(share * (1 - share) / len(votes)) > _MOST - 1e-9 if votes else False
