"""What one job has done since the start, and what it does now: reports and moments in, `JobState`s out."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.warming.items import Outcome, Result
from exporter.warmth import RUN_SECONDS, JobState, LastRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.warming.progress import Report
    from exporter.warmth import Use, Warmth


class Books:
    """The state of one job, published whenever it changes. Thread-safe."""

    def __init__(self, warmth: Warmth, job_name: str, target: str) -> None:
        self._warmth = warmth
        self._lock = threading.Lock()
        known = warmth.latest(job_name) or JobState(job_name, target)
        # Every series is there from the start: an increase from nothing is invisible to rate().
        self._state = replace(
            known,
            running=False,
            leader=False,
            progress=None,
            runs={outcome.value: known.runs.get(outcome.value, 0) for outcome in Outcome},
            keys={result.value: known.keys.get(result.value, 0) for result in Result},
        )
        warmth.publish(self._state)

    @property
    def state(self) -> JobState:
        """As it is now."""
        return self._state

    def led(self, leader: bool) -> None:
        """Whether this process is the one that runs the job."""
        with self._lock:
            if leader != self._state.leader:
                self._publish(replace(self._state, leader=leader))

    def runs_now(self, progress: Mapping[str, int]) -> None:
        """A run is under way."""
        with self._lock:
            self._publish(replace(self._state, running=True, progress=dict(progress)))

    def used(self, use: Use) -> None:
        """What is known of the use of the keys."""
        with self._lock:
            if use != self._state.use:
                self._publish(replace(self._state, use=use))

    def refreshed(self, keys: Mapping[str, int]) -> None:
        """Keys that were reloaded ahead of their expiry, outside of any run."""
        with self._lock:
            self._publish(replace(self._state, keys=_sum(self._state.keys, keys)))

    def ran(self, report: Report) -> None:
        """A run has ended."""
        with self._lock:
            state = self._state
            place = bisect_left(RUN_SECONDS, report.seconds)
            took = report.outcome is not Outcome.NOT_LEADER
            last = LastRun(
                report.trigger, report.outcome.value, report.reason.value if report.reason else None, report.detail,
                report.started_at, report.seconds, report.source_seconds, dict(report.keys), report.bytes,
                report.coverage,
            )  # fmt: skip
            self._publish(
                replace(
                    state,
                    running=False,
                    progress=None,
                    runs=_sum(state.runs, {report.outcome.value: 1}),
                    keys=_sum(state.keys, report.keys),
                    buckets=tuple(n + (took and at >= place) for at, n in enumerate(state.buckets)),
                    seconds_total=state.seconds_total + (report.seconds if took else 0.0),
                    run_count=state.run_count + took,
                    last_success=report.started_at + report.seconds
                    if report.outcome is Outcome.COMPLETE
                    else state.last_success,
                    last=last,
                    first_done=True,
                )
            )

    def _publish(self, state: JobState) -> None:
        self._state = state
        self._warmth.publish(state)


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
