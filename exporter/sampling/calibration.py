"""What do dense bursts hide? Bursts and the server's own counts in, seconds per byte of MONITOR's lines out (pure).

A clump of commands (a pipeline, a transaction) keeps the server busy from its first command to its last, however idle
it is otherwise. A burst inside it sees it in slow motion, for every command is printed as well: too few commands for
the time. What the server does in all hardly tells, since most bursts meet no clump, and keys outside of clumps are not
concerned. So each burst's time is reduced by a cost for what the server printed in it, and the cost is the one with
which the estimated commands add up to those that the server has counted: weights calibrated to a known total (Deville
and Särndal 1992), with what was printed per second as the auxiliary variable.

The total is uncertain, too. What of its difference may be chance is left alone: 1 - (1.5/t)² of it counts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from array import array

REMEMBERED = 60  # seconds
MOST = 4.0  # times as many commands as were seen in a burst, or as few
COSTLIEST = 2e-7  # seconds per byte: ten times what servers take for short lines
_FEWEST = 5  # seconds
_HALVINGS = 16
_SURE = 1.5  # standard errors


@dataclass(frozen=True, slots=True)
class Counted:
    """One second: the commands that the server counted, their estimate from the bursts, and the variance of that.

    `amounts`: the part of each burst in the estimate; `densities`: the bytes per second that it was shown.
    """

    served: float
    watched: float
    variance: float
    amounts: array[float]
    densities: array[float]


def effective(length: float, size: float, cost: float) -> float:
    """Return the seconds that a burst of `length` seconds and `size` bytes would have taken if nothing were printed."""
    return min(length * MOST, max(length / MOST, length - cost * size))


class Calibration:
    """Learns the cost of what is printed. For one window."""

    def __init__(self) -> None:
        self._seconds: deque[Counted] = deque(maxlen=REMEMBERED)
        self.cost = 0.0

    def learn(self, second: Counted) -> None:
        """Take in a second, and find the cost that the next one is estimated with; seconds per byte."""
        self._seconds.append(second)
        served, watched, variance = (
            sum(getattr(one, name) for one in self._seconds) for name in ("served", "watched", "variance")
        )
        surplus = served - watched
        certain = 1.0 - _SURE**2 * variance / surplus**2 if surplus else 0.0
        if len(self._seconds) < _FEWEST or watched <= 0.0 or certain <= 0.0:
            self.cost = 0.0
            return
        self.cost = self._solve(watched + certain * surplus)

    def _solve(self, total: float) -> float:
        """Find the cost, by halving, with which the estimates add up to `total`; the nearest where none does."""
        bursts = [
            (amount, density)
            for one in self._seconds
            for amount, density in zip(one.amounts, one.densities, strict=True)
            if amount
        ]
        # What the densest burst cannot bear is no cost: it would fall on thin ones that have nothing to do with it.
        most = min(COSTLIEST, (1.0 - 1.0 / MOST) / max(density for _, density in bursts))
        low, high = (0.0, most) if total > sum(amount for amount, _ in bursts) else (-most, 0.0)
        for _ in range(_HALVINGS):
            cost = (low + high) / 2
            if sum(amount / effective(1.0, density, cost) for amount, density in bursts) < total:
                low = cost
            else:
                high = cost
        return (low + high) / 2
