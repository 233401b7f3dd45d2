"""What readiness waits for: the first runs of the jobs at start, and never beyond its time."""

from __future__ import annotations

from exporter.warmth import JobState, Warmth


def test_readiness_waits_for_first_runs_and_not_beyond_its_time() -> None:
    """Jobs that do not run at start are not waited for; neither is one that takes too long."""
    warmth = Warmth()
    warmth.become({"at-start": "cache", "slow": "cache", "later": "cache"})
    assert warmth.waiting(0.0) == 0
    warmth.await_first(frozenset({"at-start", "slow"}), 10.0)
    assert warmth.waiting(0.0) == 2
    warmth.publish(JobState("at-start", "cache", first_done=True))
    assert warmth.waiting(9.9) == 1
    assert warmth.waiting(10.0) == 0
