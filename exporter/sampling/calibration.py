"""What do dense bursts hide? Bursts and the server's own counts in, seconds per byte of MONITOR's lines out (pure).

A clump of commands (a pipeline, a transaction) keeps the server busy from its first command to its last, however idle
it is otherwise. A burst inside it sees it in slow motion, for every command is printed as well: too few commands for
the time. What the server does in all hardly tells, since most bursts meet no clump, and keys outside of clumps are not
concerned. So each burst's time is reduced by a cost for what the server printed in it, and the cost is the one with
which the estimated commands add up to those that the server has counted: weights calibrated to a known total (Deville
and Särndal 1992), with what was printed per second as the auxiliary variable.

The total is uncertain, too. What of its difference may be chance is left alone: 1 - (`SURE`/t)² of it counts. And the
cost belongs to a server and its host, not to a minute's traffic: it is learned over several, so that little is chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from array import array

MEMORY_SECONDS = 300.0
"""Seconds after which a second counts for 1/e: sampled ones, since others say nothing."""
MOST = 4.0
"""Times as many commands as were seen in a burst, or as few."""
COSTLIEST = 2e-7
"""Seconds per byte: ten times what servers take for short lines."""
SURE = 1.5
"""Standard errors."""
_FEWEST = 5  # seconds
_HALVINGS = 16
_FEW = 0.001  # of the commands
_CLASSES_PER_E = 8.0
"""Classes of density for each factor of e: all bursts of one are taken for equally dense, within 6 %."""
_FORGET = exp(-1.0 / MEMORY_SECONDS)


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
        self._seconds = 0
        self._surplus = self._variance = 0.0
        self._amounts: dict[int, float] = {}
        self.cost = 0.0
        """Seconds per byte, for the next second."""

    def learn(self, second: Counted) -> None:
        """Take in a second, and find the cost that the next one is estimated with."""
        self._seconds += 1
        self._surplus = self._surplus * _FORGET + second.served - second.watched
        self._variance = self._variance * _FORGET**2 + second.variance
        for of in self._amounts:
            self._amounts[of] *= _FORGET
        for amount, density in zip(second.amounts, second.densities, strict=True):
            if amount and density:
                of = round(log(density) * _CLASSES_PER_E)
                self._amounts[of] = self._amounts.get(of, 0.0) + amount
        square = self._surplus**2  # after days without a command this is nothing, though the surplus is not
        certain = 1.0 - SURE**2 * self._variance / square if square else 0.0
        known = self._seconds >= _FEWEST and certain > 0.0 and self._amounts
        self.cost = self._solve(certain * self._surplus) if known else 0.0

    def _solve(self, surplus: float) -> float:
        """Find the cost, by halving, that adds `surplus` to the estimates; the nearest where none does."""
        classes = [(amount, exp(of / _CLASSES_PER_E)) for of, amount in self._amounts.items()]
        total = surplus + sum(amount for amount, _ in classes)
        # What the densest bursts cannot bear is no cost: it would fall on thin ones that have nothing to do with it.
        # A few commands prove nothing: with one huge value in it a burst is a hundred times as dense as others.
        most = min(COSTLIEST, (1.0 - 1.0 / MOST) / self._densest())
        low, high = (0.0, most) if surplus > 0.0 else (-most, 0.0)
        for _ in range(_HALVINGS):
            cost = (low + high) / 2
            if sum(amount / effective(1.0, density, cost) for amount, density in classes) < total:
                low = cost
            else:
                high = cost
        return (low + high) / 2

    def _densest(self) -> float:
        """Return the density above which there are so few of the commands that they do not matter."""
        left = _FEW * sum(self._amounts.values())
        for of in sorted(self._amounts, reverse=True):
            left -= self._amounts[of]
            if left <= 0.0:
                break
        return exp(of / _CLASSES_PER_E)
