"""In which order a server's own figures are shown: `NativeKey`s in, the leaders of each figure and of all out (pure).

Redis HOTKEYS knows two figures for a key, and neither is a number of accesses. The CPU time is the time between two
looks at a clock: a server that is interrupted for 5 ms in the middle of one sampled GET has that key as its costliest
for the rest of the session. So where there are two figures, keys are ordered by the geometric mean of their shares: a
command that was interrupted once has next to none of the network's bytes.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.snapshot import NativeKey

FIGURES: tuple[Callable[[NativeKey], float], ...] = (
    lambda key: key.accesses_per_second or 0.0,
    lambda key: key.cpu_seconds_per_second or 0.0,
    lambda key: key.network_bytes_per_second or 0.0,
    lambda key: key.frequency or 0,
)


def leaders(keys: Sequence[NativeKey], top: int) -> list[list[NativeKey]]:
    """For each figure that is known of any key, the `top` keys with most of it, most first."""
    orders = [sorted(filter(figure, keys), key=figure, reverse=True)[:top] for figure in FIGURES]
    return [order for order in orders if order]


def ranked(orders: Sequence[Sequence[NativeKey]]) -> tuple[NativeKey, ...]:
    """All `leaders` once, hottest first: by the geometric mean of their shares of each figure.

    A key that a figure is not known of has at most the least that is listed, and is taken to have that.
    """
    found = dict.fromkeys(key for order in orders for key in order)
    known = [figure for figure in FIGURES if any(map(figure, found))]
    least = [min(filter(None, map(figure, found))) for figure in known]

    def heat(key: NativeKey) -> float:
        # The totals are the same for all keys: shares and amounts have one order.
        return prod(figure(key) or floor for figure, floor in zip(known, least, strict=True))

    return tuple(sorted(found, key=heat, reverse=True))
