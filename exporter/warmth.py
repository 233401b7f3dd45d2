"""What warming publishes: the state of each job as a frozen value, on a board of its own.

It stands beside `snapshot` because a job belongs to a target and not to a node: the address moves at a failover.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Context

    # (db, key) -> (accesses, of which writes)
    Accesses = Mapping[tuple[int, bytes], tuple[int, int]]

RUN_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
"""Upper bounds of the buckets of `redis_cache_warming_run_seconds`."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """How the last run of a job ended; `started_at` is seconds since 1970, `coverage` None where nothing was wanted."""

    trigger: str
    outcome: str
    reason: str | None
    detail: str
    started_at: float
    seconds: float
    source_seconds: float
    keys: Mapping[str, int]
    bytes: int
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Use:
    """Whether warming was any use: keys that were warmed and then read, or not, as far as reads were observed in full.

    `saved_seconds` is the source's time that the useful keys did not cost a reader.
    """

    useful: int = 0
    wasted: int = 0
    observed_ratio: float = 0.0
    saved_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class JobState:
    """One job as it is now. `keys` and `runs` count since the start, `buckets` how many runs took at most so long.

    `progress` are the results of the run under way, None while there is none.
    """

    job_name: str
    target: str
    leader: bool = False
    running: bool = False
    progress: Mapping[str, int] | None = None
    runs: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    keys: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    buckets: tuple[int, ...] = (0,) * len(RUN_SECONDS)
    seconds_total: float = 0.0
    run_count: int = 0
    last_success: float | None = None
    last: LastRun | None = None
    use: Use = Use()
    first_done: bool = False


class Warmth:
    """The latest state of each job. Publishing is one assignment; reading never blocks."""

    def __init__(self) -> None:
        self._jobs: dict[str, JobState] = {}
        self._asked: dict[str, Context] = {}
        self._awaited: frozenset[str] = frozenset()
        self._until = 0.0
        self.observer: Callable[[str, float, Accesses], None] | None = None
        """Is told what the sampler saw in full: the target, for how many seconds, and all accesses of that time."""
        self._lock = threading.Lock()

    @property
    def jobs(self) -> tuple[JobState, ...]:
        """All jobs, in the order of the configuration."""
        return tuple(self._jobs.values())

    def publish(self, state: JobState) -> None:
        """Make this the latest state of its job, if the job is known."""
        with self._lock:
            if state.job_name in self._jobs:
                self._jobs = {**self._jobs, state.job_name: state}

    def become(self, jobs: Mapping[str, str]) -> None:
        """Know exactly these jobs, by the name of their target; counts of a job that stays are kept."""
        with self._lock:
            before = self._jobs
            self._jobs = {
                name: before[name] if name in before and before[name].target == target else JobState(name, target)
                for name, target in jobs.items()
            }

    def await_first(self, jobs: frozenset[str], until: float) -> None:
        """Let `/-/ready` wait for the first runs of these jobs, and not beyond `until` (this process's clock)."""
        self._awaited, self._until = jobs, until

    def waiting(self, now: float) -> int:
        """How many first runs `/-/ready` still waits for."""
        if now >= self._until:
            return 0
        return sum(state.job_name in self._awaited and not state.first_done for state in self.jobs)

    def ask(self, job_name: str) -> bool:
        """Ask for a run soon, as a part of the caller's unit of work. False where there is no such job."""
        with self._lock:
            known = job_name in self._jobs
            if known:
                self._asked[job_name] = copy_context()
            return known

    def asked(self) -> dict[str, Context]:
        """Which jobs were asked for since the last call, and from where."""
        with self._lock:
            asked, self._asked = self._asked, {}
            return asked

    def latest(self, job_name: str) -> JobState | None:
        """The latest state of one job."""
        return self._jobs.get(job_name)
