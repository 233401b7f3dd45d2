"""`warm`: the warming jobs of a configuration, run once, by hand. In: a configuration and names. Out: reports.

The only module that draws; everything it shows goes to standard error, so that standard output stays machine-readable.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exporter import __version__
from exporter.courtesy import give_way
from exporter.errors import ConfigError, NodeError, Problem
from exporter.meters import Meters
from exporter.monitor.shares import SharedBudget
from exporter.monitor.stream import Streams
from exporter.monitor.watchdog import Watchdog
from exporter.sampling.hotkeys import Safety
from exporter.sampling.scan import Pace
from exporter.snapshot import Board
from exporter.topology import topology_of
from exporter.warming import hotset
from exporter.warming.goals import goal_of, target_of
from exporter.warming.items import Outcome
from exporter.warming.progress import Progress, Report
from exporter.warming.runner import Request, Runner
from exporter.warming.selection import selected
from exporter.watch import Order, Shared, Watch, end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exporter.config import Config
    from exporter.config.warming import WarmingJob
    from exporter.topology import Topology

REFRESH_SECONDS = 0.1
FOUND_SECONDS = 3.0
SCAN_SHARE = 0.1
EXIT_CODES = {
    Outcome.COMPLETE: 0, Outcome.FAILED: 1, Outcome.PARTIAL: 3, Outcome.ABORTED: 4, Outcome.NOT_LEADER: 5,
}  # fmt: skip
_WORST_FIRST = (Outcome.FAILED, Outcome.ABORTED, Outcome.PARTIAL, Outcome.NOT_LEADER)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    jobs: tuple[str, ...] = ()
    dry_run: bool = False
    limit: int | None = None
    shard: tuple[int, int] = (1, 1)


def warm(config: Config, options: Options) -> list[Report]:
    """Run the jobs that are named, or all of them, one after the other; SIGINT and SIGTERM end the run in order.

    Raises:
        ConfigError: a job that is named does not exist, or there is none at all.

    """
    jobs = _chosen(config, options.jobs)
    stop = threading.Event()
    reports: list[Report] = []
    with _stopping(stop):
        for job in jobs:
            if stop.is_set():
                break
            with surroundings(config, job) as (topology, streams):
                runner = Runner(job, goal_of(config, job), topology, stop, streams=streams)
                reports.append(_run(runner, _request(config, job, options), stop))
    return reports


@contextmanager
def surroundings(config: Config, job: WarmingJob) -> Iterator[tuple[Topology, Streams]]:
    """The nodes of a job's target; behind a fence they are watched as `serve` does it, for as long as the run takes."""
    target, streams = target_of(config, job), Streams()
    if job.policy != "fenced":
        topology = topology_of(target)
        with suppress(NodeError):  # the run finds no primary then, and says so
            topology.refresh()
        topology.close()
        yield topology, streams
        return
    budget = SharedBudget(float(config.sampling.total_events_per_second))
    with closing(Watchdog()) as watchdog:
        safety = Safety(watchdog, budget, streams=streams)
        # The fence needs a stream of its own, whoever samples the server.
        sampling = target.sampling.model_copy(update={"beside_others": True})
        target = target.model_copy(update={"sampling": sampling})
        watch = Watch(Order(target, config.keys), Shared(Board(), safety, Meters(__version__), Pace(SCAN_SHARE)))
        watch.start()
        try:
            until = time.monotonic() + FOUND_SECONDS
            while not watch.topology.found and time.monotonic() < until:
                time.sleep(REFRESH_SECONDS)
            yield watch.topology, streams
        finally:
            end([watch])


def exit_code(reports: Sequence[Report]) -> int:
    """The exit code of the worst outcome."""
    outcomes = {report.outcome for report in reports}
    return EXIT_CODES[next((outcome for outcome in _WORST_FIRST if outcome in outcomes), Outcome.COMPLETE)]


def to_json(reports: Sequence[Report]) -> str:
    """One line of JSON."""
    return json.dumps({"jobs": [_entry(report) for report in reports]}, separators=(",", ":"))


def to_text(reports: Sequence[Report]) -> str:
    """A line for each job, for people."""
    return "\n".join(map(_line, reports))


def _chosen(config: Config, names: Sequence[str]) -> list[WarmingJob]:
    jobs = {job.name: job for job in config.warming.jobs}
    if not jobs:
        raise ConfigError(Problem("warming.jobs", "there are none; docs/cache-warming.md has examples"))
    known = ", ".join(jobs)
    unknown = [Problem("warm", f"there is no job {name!r}; known: {known}") for name in names if name not in jobs]
    if unknown:
        raise ConfigError(*unknown)
    return [jobs[name] for name in dict.fromkeys(names or jobs)]


def _request(config: Config, job: WarmingJob, options: Options) -> Request:
    """What to warm: of a window there is nothing here, so the keys that were saved stand for the hot ones."""
    goal = goal_of(config, job)
    saved = [(one.db, one.key, one.rate) for one in hotset.load(Path(goal.state))] if goal.state else []
    keys = selected(job, goal.db, (), saved, ())
    return Request("command", keys, job.select in {None, "all"}, options.limit, options.shard, options.dry_run)


def _run(runner: Runner, request: Request, stop: threading.Event) -> Report:
    """Run in a thread, so that signals are noticed at once, and draw how far it is."""
    progress, reports = Progress(), list[Report]()

    def work() -> None:
        give_way()
        reports.append(runner.run(request, progress))

    thread = threading.Thread(target=work, name="warm", daemon=True)
    thread.start()
    with _bar(runner.job.name, request) as draw:
        while thread.is_alive():
            thread.join(REFRESH_SECONDS)
            draw(progress)
            if stop.is_set():
                runner.interrupt()
    return reports[0]


@contextmanager
def _bar(name: str, request: Request) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on a terminal's standard error; elsewhere nothing is drawn."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[results]}"),
    )  # fmt: skip
    known = request.limit if request.keys is None else len(request.keys)
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=known, rate="", results="")

        def draw(progress: Progress) -> None:
            found = bar.tasks[0]
            speed = f"{progress.asked / found.elapsed:,.0f} keys/s" if found.elapsed else ""
            bar.update(task, completed=progress.asked, rate=speed, results=_results(progress.keys))

        yield draw


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM end the run at its next batch; what is there stays, and the next run goes on from there."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _entry(report: Report) -> dict[str, object]:
    return {
        "job_name": report.job_name,
        "outcome": report.outcome.value,
        "seconds": round(report.seconds, 3),
        "keys": dict(report.keys),
        "reason": report.reason.value if report.reason else None,
        "detail": report.detail or None,
        "target": report.target,
        "source_seconds": round(report.source_seconds, 3),
        "bytes": report.bytes,
        "faults": dict(report.faults),
        "resumed": report.resumed,
        "coverage_ratio": report.coverage,
    }


def _line(report: Report) -> str:
    why = ": ".join(part for part in (report.reason.value if report.reason else "", report.detail) if part)
    head = f"{report.job_name}: {report.outcome.value}" + (f" ({why})" if why else "")
    rate = f", {report.keys.get('written', 0) / report.seconds:,.0f} written/s" if report.seconds > 0 else ""
    return f"{head}, {_results(report.keys) or 'nothing to do'} in {report.seconds:.2f} s{rate}"


def _results(keys: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {result.replace('_', ' ')}" for result, count in keys.items() if count)
