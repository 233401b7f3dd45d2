"""Warming jobs in every state that can be seen: under way, for the first time, ended badly, idle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.warmth import JobState, LastRun, Use
from tests.views import shop

if TYPE_CHECKING:
    from exporter.warmth import Warmth


def jobs(warmth: Warmth) -> None:
    """Publish them as the shop's."""
    warmth.become({"prices": "cache", "first": "cache", "flags": "cache", "idle": "queue"})
    bad = LastRun(
        "schedule", "partial", "source", "2 rows without a key", shop.NOW.wall - 75, 12.0, 3.0,
        {"written": 990, "failed": 10}, 1, 0.99,
    )  # fmt: skip
    good = LastRun("start", "complete", None, "", shop.NOW.wall - 400, 0.4, 0.1, {"written": 12}, 1, 1.0)
    use = Use(30, 10, 1.0, 0.0)
    warmth.publish(JobState("prices", "cache", True, True, {"written": 250}, last=bad, use=use, run_count=1))
    warmth.publish(JobState("first", "cache", True, True, {"written": 12}))
    warmth.publish(JobState("flags", "cache", True, last=good, run_count=1))
