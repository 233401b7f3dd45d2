"""One warming job inside the daemon: leadership, triggers, selection, runs.

In: the Board, a topology, the settings. Out: runs, and the job's state on `Warmth`. `tick` and `run` are called by the
scheduler, and never in the way of sampling or publishing: everything here has threads of its own.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import NodeError
from exporter.lease import Lease, LeaseRefused
from exporter.log import Throttle, log
from exporter.serverstats import ServerStats
from exporter.snapshot import HotKeys, NodeStatus, SamplingState, Source
from exporter.warming import hotset
from exporter.warming.attribution import Attribution
from exporter.warming.books import Books
from exporter.warming.items import Outcome, Reason, Result, SourceError
from exporter.warming.placement import Placement
from exporter.warming.progress import Progress, Report
from exporter.warming.refresh import Refresher
from exporter.warming.runner import Request, Runner
from exporter.warming.selection import selected
from exporter.warming.triggers import Sight, trigger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.config.warming import WarmingJob
    from exporter.monitor.stream import Streams
    from exporter.snapshot import Board, Node
    from exporter.topology import Topology
    from exporter.warming.goals import Goal
    from exporter.warming.items import Item
    from exporter.warming.missed import Missed
    from exporter.warming.selection import Ranked

FRESH_SECONDS = 10.0
"""How old the window may be whose keys count as hot."""
PUBLISH_SECONDS = 0.5


class JobService:
    """One job of the daemon."""

    def __init__(
        self,
        job: WarmingJob,
        goal: Goal,
        topology: Topology,
        board: Board,
        streams: Streams,
        missed: Missed | None = None,
    ) -> None:
        self.job = job
        self.goal = goal
        self._topology = topology
        self._board = board
        self._missed = missed
        self._stop = threading.Event()
        self._runner = Runner(job, goal, topology, self._stop, self._wrote, streams=streams)
        self.attribution = Attribution()
        self._refresher = Refresher(job, goal, topology, self._stop)
        self._running = threading.Lock()
        self._leading: Lease | None = None
        self._lead_again = 0.0
        self._sight: Sight | None = None
        self._started = False
        self._stood_by = False
        self._log = Throttle()
        self.books = Books(board.warmth, job.name, goal.target)

    @property
    def leader(self) -> bool:
        """Whether this process is the one that runs the job."""
        return self._leading is not None and self._leading.held

    def tick(self) -> str | None:
        """Once a second: keep or seek leadership; returns why the job should run now, if it should."""
        if self._stop.is_set():
            return None
        self.books.used(self.attribution.use(time.monotonic()))
        now = self._seen()
        if now is None:
            return None  # nobody to warm yet
        self._lead()
        if self._sight is not None and now.at <= self._sight.at:
            return None  # nothing new since the last look, or since the last run
        before, self._sight = self._sight, now
        if not self._started:
            self._started = True
            if self.job.on_start:
                return "start"
        if self.leader and self._stood_by:
            # The one that led is gone, perhaps in the middle of a run.
            self._stood_by = False
            return "takeover"
        return trigger(before, now) if self.job.on_failover else None

    def run(self, why: str) -> None:
        """Run the job once, unless it runs already; for `why` see the triggers."""
        if self._stop.is_set() or not self._running.acquire(blocking=False):
            return
        try:
            self._lead()
            if not self.leader:
                self._stood_by = True
                self._end(_not_leader(self.job, self.goal, why))
                return
            progress = Progress()
            ended = threading.Event()
            watcher = threading.Thread(target=self._watch, args=(progress, ended), name="warming watch", daemon=True)
            watcher.start()
            try:
                report = self._runner.run(self._request(why), progress)
            finally:
                ended.set()
                watcher.join()
            self._end(report)
        finally:
            self._running.release()

    def refresh(self) -> None:
        """Look whether hot keys are about to expire, and reload those."""
        if not self.leader or self._stop.is_set():
            return
        try:
            results = self._refresher.run(self.hot())
        except (NodeError, SourceError) as error:
            self._log.warning("refresh", "warming.refresh_failed", "hot keys cannot be reloaded",
                              job_name=self.job.name, detail=str(error))  # fmt: skip
            return
        if results:
            self.books.refreshed(results)

    def stop(self) -> None:
        """End a run under way at its next batch, and give leadership back. Called once no refresh can begin."""
        self._stop.set()
        self._runner.interrupt()
        self._refresher.interrupt()
        if self._leading is not None:
            self._leading.release()
        self.books.led(False)

    def hot(self) -> Iterator[Ranked]:
        """What the windows of the target's nodes have seen lately."""
        for node in self._nodes():
            hot = self._board.latest(node, HotKeys)
            if hot is not None and time.monotonic() - hot.taken_at < FRESH_SECONDS:
                yield from ((one.db, bytes(one.key), one.rate) for one in hot.keys if one.reads)

    def _request(self, why: str) -> Request:
        saved: list[Ranked] = []
        if self.goal.state and self.job.select is not None:
            try:
                saved = [(one.db, one.key, one.rate) for one in hotset.load(Path(self.goal.state))]
            except OSError as error:
                self._log.warning("read", "warming.hotset_unreadable", "the saved hot set cannot be read",
                                  job_name=self.job.name, reason=error.strerror)  # fmt: skip
        missed = self._missed.top(self.goal.db) if self._missed is not None else ()
        keys = selected(self.job, self.goal.db, self.hot(), saved, missed)
        return Request(why, keys, self.job.select in {None, "all"})

    def _lead(self) -> None:
        """Take leadership where nobody has it; a job that lives on what is hot is led by the exporter that samples."""
        if self._is_blind():
            if self._leading is not None and not self._running.locked():
                self._leading.release()
                self._leading = None
                self.books.led(False)
            return
        if self.leader:
            return
        now = time.monotonic()
        if now < self._lead_again:
            return
        self._lead_again = now + self.goal.lease_seconds / 3
        if self._leading is not None:
            self._leading.release()
            self._leading = None
        placement = Placement(self._topology, self.goal.target, 0)
        try:
            placement.open()
            name = f"hotkey-exporter:warming:{self.job.name}:leader"
            home = placement.home(name)
            lease = Lease(placement.link(home), placement.own(home.addr), name, self.goal.lease_seconds)
            if lease.acquire():
                self._leading = lease
                log.info("warming.leader", "this process runs the job", job_name=self.job.name, target=home.target)
            else:
                self._stood_by = True
        except (NodeError, LeaseRefused) as error:
            self._log.warning("lead", "warming.no_lease", "leadership cannot be asked for", job_name=self.job.name,
                              detail=str(error))  # fmt: skip
        finally:
            placement.close()
        self.books.led(self.leader)

    def _is_blind(self) -> bool:
        """Whether the job has to know what is hot, and another exporter is the one that does."""
        by_stream = self.job.policy == "fenced" or self.job.refresh_ahead
        if self.job.select not in {"hot", "all"} and not by_stream:
            return False
        states = [state for node in self._nodes() if (state := self._board.latest(node, SamplingState)) is not None]
        seen = any(state.source is not Source.NONE for state in states)
        return not seen and any(state.reason == "standby" for state in states)

    def _seen(self) -> Sight | None:
        """The primaries as they are published, or None while none is known to be up."""
        primaries, keys, at = set(), 0, 0.0
        for node in self._nodes():
            status = self._board.latest(node, NodeStatus)
            if status is not None and status.down is None and status.role == "master":
                primaries.add((node.addr, status.run_id))
                at = max(at, status.taken_at)
                said = self._board.latest(node, ServerStats)
                keys += int(sum(database.get("keys", 0) for database in said.databases.values())) if said else 0
        return Sight(frozenset(primaries), keys, at) if primaries else None

    def _nodes(self) -> Iterator[Node]:
        return (node for node in self._board.nodes if node.target == self.goal.target)

    def _wrote(self, items: list[Item]) -> None:
        keys = [(item.key, item.life_ms) for item in items]
        self.attribution.warmed(self.goal.db, keys, time.monotonic())

    def _watch(self, progress: Progress, ended: threading.Event) -> None:
        while not ended.is_set():
            self.books.runs_now(progress.keys)
            ended.wait(PUBLISH_SECONDS)

    def _end(self, report: Report) -> None:
        """Count the run, and log it in one line."""
        self.books.led(self.leader)
        self.books.ran(report)
        there = sum(report.keys.get(result.value, 0) for result in (Result.WRITTEN, Result.EXISTS))
        if self._sight is not None and there:
            # A flush right behind the run, before the next look, must be noticed, too.
            self._sight = replace(self._sight, keys=max(there, self._sight.keys), at=time.monotonic())
        asked = sum(report.keys.values())
        if asked:
            # What loading one key took in this run stands for what it would cost a reader.
            self.attribution.cost_seconds = report.source_seconds / asked
        about = {
            "job_name": report.job_name, "target": report.target, "trigger": report.trigger,
            "outcome": report.outcome.value, "reason": report.reason.value if report.reason else None,
            "detail": report.detail or None, "seconds": round(report.seconds, 3),
            "source_seconds": round(report.source_seconds, 3), "bytes": report.bytes, "resumed": report.resumed,
            **{name: count for name, count in report.keys.items() if count},
        }  # fmt: skip
        if report.outcome in {Outcome.COMPLETE, Outcome.NOT_LEADER} or report.reason is Reason.STOPPED:
            log.info("warming.run", "a warming run has ended", **about)
        else:
            log.warning("warming.run", "a warming run has not done all that it should", **about)


def _not_leader(job: WarmingJob, goal: Goal, why: str) -> Report:
    return Report(
        job_name=job.name, target=goal.target, trigger=why, outcome=Outcome.NOT_LEADER, reason=None, detail="",
        started_at=time.time(), seconds=0.0, source_seconds=0.0,
    )  # fmt: skip
