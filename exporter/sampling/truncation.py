"""What is a command worth in a burst that a limit may cut short? Steps of a burst in, a factor for each out (pure).

A burst ends after its planned time, or earlier where it meets more commands or bytes than its limits bear. So what is
dense is looked at for less time, and by fewer bursts, than what is thin, and has to count for more: a clump that fills
the limit within a third of a burst comes out too low by a half otherwise.

Whether a burst reaches a command depends on where it began. Unbiased is every weight that adds up to 1 over all the
beginnings from which the command is reached (Horvitz and Thompson 1952). With u, n and b the time, the commands and the
bytes between the beginning and the command, L the planned time, E and B the limits, that is the derivative, by the
beginning, of

    phi = max(u / L, (n - E/4) / (E - E/4), (b - B/4) / (B - B/4))

for phi is 0 at the command itself and 1 at the earliest beginning that reaches it. Where time leads, that is 1/L for
every command, as if there were no limits: factor 1, and all there is in a burst that is far from its limits. Where
commands or bytes lead, it is their pace at the beginning of the burst over the limit. What comes after the limit counts
for nothing: it is there because the end of a burst takes its time.

No burst begins inside a script or a transaction, and none ends there: it is reached where its beginning is. So u, n and
b are those of the beginning of the step that a command is in, and what runs in one go is one step, however much it is.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.monitor.session import Limits

FREE_SHARE = 0.25
"""How full a limit may become before it matters."""
BEGINNING = 1 / 16
"""Of the planned time: where the pace at the beginning is taken from."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a burst is: seconds, lines and bytes since its beginning."""

    seconds: float
    lines: float
    size: float


def is_dense(lines: float, size: float, limits: Limits) -> bool:
    """Whether a burst came so near a limit that its commands are not all worth the same."""
    return lines > FREE_SHARE * limits.events or size > FREE_SHARE * limits.bytes


def factors(steps: Sequence[Step], planned: float, limits: Limits) -> list[float]:
    """What commands are worth between each step and the one before, as a multiple of the usual.

    Args:
        steps: ascending; the first one ends what begins at nothing, the last one is the end of the burst.
        planned: seconds that the burst would have taken.
        limits: what it was cut short by, or would have been.

    """
    found, before = [], Step(0.0, 0.0, 0.0)
    by_events = _Limit(limits.events, _pace(steps, planned, lambda step: step.lines))
    by_bytes = _Limit(limits.bytes, _pace(steps, planned, lambda step: step.size))
    for step in steps:
        time, events, size = before.seconds / planned, by_events.share(before.lines), by_bytes.share(before.size)
        if max(events, size) >= 1.0:
            found.append(0.0)
        elif max(events, size) <= time:
            found.append(1.0)
        else:
            found.append(planned * (by_events if events >= size else by_bytes).per_second)
        before = step
    return found


@dataclass(frozen=True, slots=True)
class _Limit:
    """One limit, and the pace at which the burst's beginning went towards it."""

    most: float
    pace: float

    def share(self, amount: float) -> float:
        """How much of the limit is used, of what does matter."""
        return (amount / self.most - FREE_SHARE) / (1.0 - FREE_SHARE)

    @property
    def per_second(self) -> float:
        """How fast that share grew at the beginning."""
        return self.pace / (self.most * (1.0 - FREE_SHARE))


def _pace(steps: Sequence[Step], planned: float, amount: Callable[[Step], float]) -> float:
    """Return what came per second at the beginning, between steps by interpolation."""
    until = min(planned * BEGINNING, steps[-1].seconds)
    if until <= 0.0:
        return 0.0
    at = bisect_left(steps, until, key=lambda step: step.seconds)
    after, before = steps[at], steps[at - 1] if at else Step(0.0, 0.0, 0.0)
    part = (until - before.seconds) / (after.seconds - before.seconds)
    return (amount(before) + part * (amount(after) - amount(before))) / until
