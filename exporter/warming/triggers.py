"""When a job runs beside its own times: what is known of its target in, the name of a trigger or None out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

EMPTIED_SHARE = 0.2
MIN_KEYS = 50


@dataclass(frozen=True, slots=True)
class Sight:
    """The primaries of a target as they were seen: their addresses with their run ids, and how many keys they hold.

    `at` is when, on this process's clock.
    """

    primaries: frozenset[tuple[str, str]]
    keys: int
    at: float = 0.0


def trigger(before: Sight | None, now: Sight | None) -> str | None:
    """`failover` where another server or another process is primary, `emptied` where most keys are gone at once."""
    if before is None or now is None or not before.primaries or not now.primaries:
        return None
    if not now.primaries <= before.primaries:
        return "failover"
    if before.keys >= MIN_KEYS and now.keys <= EMPTIED_SHARE * before.keys:
        return "emptied"
    return None
