"""From an estimate and its variance to a 95 % interval: Student's t quantile and Wilson's form (pure).

In: a rate, the variance of that rate and its degrees of freedom. Out: the interval's ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import atan, cos, inf, pi, sin, sqrt

NORMAL_QUANTILE = 1.959963984540054  # of 0.975
_PROBABILITY = 0.95  # between minus and plus the quantile
_SERIES_LIMIT = 30


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate per second with its 95 % interval: 0 <= low <= rate <= high."""

    rate: float
    low: float
    high: float


def _two_sided(t: float, degrees: int) -> float:
    """Probability of |T| < t for whole degrees of freedom (finite series, Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    theta = atan(t / sqrt(degrees))
    if degrees == 1:
        return 2 * theta / pi
    odd = degrees % 2
    term = total = cos(theta) if odd else 1.0
    for power in range(2 + odd, degrees - 1, 2):
        term *= cos(theta) ** 2 * (power - 1) / power
        total += term
    return 2 / pi * (theta + sin(theta) * total) if odd else sin(theta) * total


@lru_cache(maxsize=64)
def _whole_quantile(degrees: int) -> float:
    """Invert `_two_sided` by bisection; t of one degree is 12.7, so 16 is beyond every answer."""
    low, high = 0.0, 16.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if _two_sided(middle, degrees) < _PROBABILITY:
            low = middle
        else:
            high = middle
    return high


def _expanded(inverse: float) -> float:
    """Expand the quantile in 1/degrees around the normal one (Abramowitz & Stegun 26.7.5)."""
    z = NORMAL_QUANTILE
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + inverse * (first + inverse * (second + inverse * third))


def student_quantile(degrees: float) -> float:
    """Compute the 0.975 quantile of Student's t; fewer than 1 degree of freedom count as 1, infinity is the normal.

    Whole degrees up to 30 are exact, what lies between is interpolated in 1/degrees; the expansion above 30 is good to
    five digits.
    """
    if degrees >= _SERIES_LIMIT:
        return _expanded(1.0 / degrees)
    degrees = max(1.0, degrees)
    below = int(degrees)
    lower, upper = _whole_quantile(below), _whole_quantile(below + 1)
    share = (1 / below - 1 / degrees) / (1 / below - 1 / (below + 1))
    return lower + (upper - lower) * share


def interval(rate: float, variance: float, degrees: float = inf) -> Estimate:
    """Put a 95 % interval around `rate`, in Wilson's form: the variance is proportional to the true rate.

    That form is never negative, leans to the right as clumped traffic does, and holds for keys seen a few times.
    No variance, no width: low == rate == high exactly.
    """
    if rate <= 0.0 or variance <= 0.0:
        rate = max(0.0, rate)
        return Estimate(rate, rate, rate)
    half_squared = student_quantile(degrees) ** 2 * variance
    lean = half_squared / (2 * rate)
    high = rate + lean + sqrt(lean * lean + half_squared)
    # The ends' product is the rate squared; rate + lean - sqrt(...) would cancel.
    return Estimate(rate, min(rate, rate * rate / high), max(rate, high))


def proportion(share: float, effective: float, degrees: float = inf) -> Estimate:
    """Put a 95 % interval around a share of 0 to 1, by Wilson's score method; Student's t in place of the normal.

    `effective` is the size of a simple random sample that would say as much; infinite where everything was seen.
    """
    if effective <= 0.0:
        return Estimate(share, 0.0, 1.0)
    squared = student_quantile(degrees) ** 2 / effective
    middle = share + squared / 2
    half = sqrt(squared * (share * (1.0 - share) + squared / 4))
    low, high = (max(0.0, middle - half) / (1 + squared), min(1.0, (middle + half) / (1 + squared)))
    return Estimate(share, min(share, low), max(share, high))
