"""Warming as the outside sees it: the states of jobs in, families and the JSON of `/api/v1/warming` out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.views.exposition import Family, encode, labels, line, number
from exporter.views.reading import iso
from exporter.warmth import RUN_SECONDS, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.config.warming import WarmingJob
    from exporter.views.reading import Moment

RUNS = Family(
    "redis_cache_warming_runs_total",
    "counter",
    "Runs by outcome: complete, partial (some keys could not be warmed), aborted (by a guard), failed, not_leader.",
)
KEYS = Family(
    "redis_cache_warming_keys_total",
    "counter",
    "Keys by result: written, exists (was there already), refreshed, undone (was invalidated meanwhile), "
    "missing_at_source, failed, skipped.",
)
SECONDS = Family("redis_cache_warming_run_seconds", "histogram", "Duration of one run.")
LAST_SUCCESS = Family(
    "redis_cache_warming_last_success_timestamp_seconds", "gauge", "When the last complete run ended."
)
RUNNING = Family("redis_cache_warming_running", "gauge", "1 while the job runs.")
COVERAGE = Family(
    "redis_cache_warming_coverage_ratio",
    "gauge",
    "Share of the keys that the last run wanted that were in the cache at its end.",
)
LEADER = Family("redis_cache_warming_leader", "gauge", "1 where this process is the one that runs the job.")
USEFUL = Family(
    "redis_cache_warming_useful_keys_total",
    "counter",
    "Keys that were warmed and then read before they expired, as far as reads were observed in full.",
)
WASTED = Family(
    "redis_cache_warming_wasted_keys_total",
    "counter",
    "Keys that were warmed and never read before they expired, although all of that time was observed in full.",
)
OBSERVED = Family(
    "redis_cache_warming_attribution_observed_ratio",
    "gauge",
    "Share of the time since the first warmed key that was observed in full; useful and wasted speak of no other time.",
)
SAVED = Family(
    "redis_cache_warming_source_seconds_saved_total",
    "counter",
    "Time of the source that readers of useful keys did not have to wait for, by the mean time of loading a key.",
)
FAMILIES = (
    RUNS, KEYS, SECONDS, LAST_SUCCESS, RUNNING, COVERAGE, LEADER, USEFUL, WASTED, OBSERVED, SAVED,
)  # fmt: skip


def families(states: Iterable[JobState]) -> list[tuple[Family, list[bytes]]]:
    """All families of all jobs, each job's samples together."""
    jobs = tuple(states)
    return [(family, [encode("".join(_samples(family, state))) for state in jobs]) for family in FAMILIES]


def _samples(family: Family, state: JobState) -> Iterator[str]:
    base = labels((("target", state.target), ("job_name", state.job_name)))
    if family is RUNS or family is KEYS:
        name, counts = ("outcome", state.runs) if family is RUNS else ("result", state.keys)
        for value, count in counts.items():
            yield line(family.name, f"{base},{labels(((name, value),))}", count)
    elif family is SECONDS:
        if state.runs:
            yield from _histogram(state, base)
    else:
        yield line(family.name, base, _single(state).get(family))


def _single(state: JobState) -> dict[Family, float | None]:
    """The value of each family that has one sample for each job; None where it is unknown."""
    use = state.use
    return {
        LAST_SUCCESS: state.last_success,
        RUNNING: int(state.running),
        COVERAGE: state.last.coverage if state.last else None,
        LEADER: int(state.leader),
        USEFUL: use.useful,
        WASTED: use.wasted,
        OBSERVED: use.observed_ratio,
        SAVED: use.saved_seconds,
    }


def _histogram(state: JobState, base: str) -> Iterator[str]:
    name = SECONDS.name
    for bound, count in zip(RUN_SECONDS, state.buckets, strict=True):
        yield line(f"{name}_bucket", f'{base},le="{_bound(bound)}"', count)
    yield line(f"{name}_bucket", f'{base},le="+Inf"', state.run_count)
    yield line(f"{name}_sum", base, state.seconds_total)
    yield line(f"{name}_count", base, state.run_count)


def _bound(seconds: float) -> str:
    """OpenMetrics wants a bound to look like a float."""
    text = number(seconds)
    return text if "." in text else f"{text}.0"


def api(states: Iterable[JobState], jobs: Mapping[str, WarmingJob], now: Moment) -> dict[str, Any]:
    """The JSON of `/api/v1/warming`; of a job's source only the type, since all else may be a secret."""
    return {"generated_at": now.iso, "jobs": [_job(state, jobs.get(state.job_name)) for state in states]}


def _job(state: JobState, job: WarmingJob | None) -> dict[str, Any]:
    last = state.last
    return {
        "job_name": state.job_name,
        "target": state.target,
        "source": job.source.type if job else None,
        "policy": job.policy if job else None,
        "every_seconds": job.every if job else None,
        "cron": job.cron if job else None,
        "leader": state.leader,
        "running": state.running,
        "progress": dict(state.progress) if state.progress is not None else None,
        "runs": dict(state.runs),
        "keys": dict(state.keys),
        "last_success": iso(state.last_success) if state.last_success else None,
        "last": None
        if last is None
        else {
            "trigger": last.trigger,
            "outcome": last.outcome,
            "reason": last.reason,
            "detail": last.detail or None,
            "started_at": iso(last.started_at),
            "seconds": round(last.seconds, 3),
            "source_seconds": round(last.source_seconds, 3),
            "keys": dict(last.keys),
            "bytes": last.bytes,
            "coverage_ratio": last.coverage,
        },
        "use": {
            "useful_keys": state.use.useful,
            "wasted_keys": state.use.wasted,
            "observed_ratio": round(state.use.observed_ratio, 4),
            "source_seconds_saved": round(state.use.saved_seconds, 3),
        },
    }
