"""One run of one job: source -> items -> batches -> server, in one loop that reads like this line.

In: a job, where it goes, what it shall warm. Out: a Report, always; `run` raises nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from exporter import tracing
from exporter.errors import DownReason, NodeError
from exporter.lease import Lease, LeaseRefused
from exporter.monitor.stream import Streams
from exporter.warming import writes
from exporter.warming.feed import Feed, looked_up
from exporter.warming.fence import Fence
from exporter.warming.items import Ended, Fault, Item, Outcome, Reason, Result, SourceError
from exporter.warming.pace import Circuit
from exporter.warming.placement import Placement, slot_of
from exporter.warming.policy import Policy
from exporter.warming.progress import Progress, Report
from exporter.warming.sources import source_of
from exporter.warming.writer import Writer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from exporter.config.warming import WarmingJob
    from exporter.topology import Topology
    from exporter.warming.goals import Goal
    from exporter.warming.items import Found
    from exporter.warming.sources import Source

LEFT_SECONDS = 600.0
"""How long after a crash a run is gone on with; later it begins anew."""
MIN_ASKED = 100
"""Keys that must have been asked for before their share of errors means anything."""


@dataclass(frozen=True, slots=True)
class Request:
    """What one run shall do. `keys` are the selected keys, None where the source itself lists what to warm.

    With `listed`, what the source lists comes behind the selected keys. `shard` is (number from 1, how many).
    """

    trigger: str
    keys: tuple[bytes, ...] | None = None
    listed: bool = True
    limit: int | None = None
    shard: tuple[int, int] = (1, 1)
    dry_run: bool = False


class Runner:
    """Runs one job, again and again, never twice at once; remembers how its source behaved."""

    def __init__(
        self, job: WarmingJob, goal: Goal, topology: Topology, stop: threading.Event,
        written: Callable[[list[Item]], None] | None = None, clock: Callable[[], float] = time.monotonic,
        streams: Streams | None = None,
    ) -> None:  # fmt: skip
        self.job = job
        self._written = written
        self.goal = goal
        self._topology = topology
        self._stop = stop
        self._clock = clock
        self._streams = streams or Streams()
        self._circuit = Circuit()
        self._feed: Feed | None = None
        self._source: Source | None = None
        self._placement: Placement | None = None

    def run(self, request: Request, progress: Progress) -> Report:
        """Run once. Everything that goes wrong becomes the outcome of the Report."""
        began, started_at = self._clock(), time.time()
        run = _Run(self.job, request, progress, self._stop, self._clock, self._written)
        outcome, reason, detail = self._outcome(run, request, progress)
        feed, placement = run.feed, self._placement
        if placement is not None:
            placement.close()
        return Report(
            job_name=self.job.name, target=self.goal.target, trigger=request.trigger,
            outcome=outcome, reason=reason, detail="; ".join(filter(None, (detail, run.remains))),
            started_at=started_at, seconds=self._clock() - began, source_seconds=feed.seconds if feed else 0.0,
            keys=progress.keys, faults=progress.faults, bytes=progress.bytes, resumed=run.resumed,
            hit_ratio=run.hit_ratio,
        )  # fmt: skip

    def interrupt(self) -> None:
        """Let a run that waits for the source or for a server end soon. For other threads."""
        source, placement = self._source, self._placement
        if source is not None:
            source.interrupt()
        if placement is not None:
            placement.interrupt()

    def _outcome(self, run: _Run, request: Request, progress: Progress) -> tuple[Outcome, Reason | None, str]:
        if self._feed is not None and self._feed.busy:
            return Outcome.FAILED, Reason.BUSY, "the source has not come back from the last run"
        if not self._circuit.allows(self._clock()):
            return Outcome.FAILED, Reason.BACKOFF, "the source failed several times and is left alone for a while"
        if request.keys == () and not request.listed:
            return Outcome.FAILED, Reason.NOTHING_KNOWN, "no key is known to be hot or missed yet"
        try:
            self._work(run, request)
        except (Ended, SourceError, NodeError, LeaseRefused) as error:
            return self._ended(error, progress)
        finally:
            self._feed = run.feed
        self._circuit = Circuit()
        failed = progress.keys[Result.FAILED.value]
        return (Outcome.PARTIAL, Reason.ITEMS, f"{failed} failed") if failed else (Outcome.COMPLETE, None, "")

    def _ended(self, error: Exception, progress: Progress) -> tuple[Outcome, Reason | None, str]:
        """What it means that a run did not come to its end."""
        if isinstance(error, Ended):
            if error.reason is Reason.LEASE and not progress.asked:
                return Outcome.NOT_LEADER, None, error.detail
            return Outcome.ABORTED, error.reason, error.detail
        if self._stop.is_set():
            return Outcome.ABORTED, Reason.STOPPED, ""
        if isinstance(error, NodeError) and error.reason is DownReason.LOADING:
            return Outcome.ABORTED, Reason.LOADING, error.addr
        at_source = isinstance(error, SourceError)
        if at_source:
            self._circuit = self._circuit.failed(self._clock())
        outcome = Outcome.PARTIAL if progress.asked else Outcome.FAILED
        return outcome, Reason.SOURCE if at_source else Reason.NODE, str(error)

    def _work(self, run: _Run, request: Request) -> None:
        """Open what a run needs, in this order, and close it again."""
        placement = self._placement = Placement(self._topology, self.goal.target, self.goal.db)
        source = self._source = source_of(self.job, self.goal.state)
        lease: Lease | None = None
        try:
            with tracing.span("warming.plan"):
                placement.open()
            if not request.dry_run:
                name = f"hotkey-exporter:warming:{self.job.name}:{request.shard[0]}/{request.shard[1]}"
                home = placement.home(name)
                lease = Lease(placement.link(home), placement.own(home.addr), name, self.goal.lease_seconds)
                with tracing.span("warming.fence", writes.ON_REDIS, kind="CLIENT"):
                    held = lease.acquire()
                if not held:
                    raise Ended(Reason.LEASE, "another exporter runs this job now")
            fence = None
            if self.job.policy == "fenced" and not request.dry_run:
                fence = Fence(self._streams, self.goal.target, self.goal.db, placement)
            run.work(source, placement, lease, fence)
        finally:
            if run.feed is not None:
                run.feed.end(source)
            source.close()
            if lease is not None:
                lease.release()
            self._source = None


class _Run:
    """The loop of one run."""

    def __init__(
        self, job: WarmingJob, request: Request, progress: Progress, stop: threading.Event,
        clock: Callable[[], float], written: Callable[[list[Item]], None] | None,
    ) -> None:  # fmt: skip
        self._job = job
        self._request = request
        self._progress = progress
        self._stop = stop
        self._policy = Policy.of(job)
        self._limit = min(job.max_keys, request.limit if request.limit is not None else job.max_keys)
        self._writer = Writer(job, self._policy, progress, stop, clock, written)
        self._seen: set[int] = set()
        self.feed: Feed | None = None
        self.resumed = 0
        self.hit_ratio: float | None = None
        self.remains = ""
        """What of a run could not be undone, in words."""

    def work(self, source: Source, placement: Placement, lease: Lease | None, fence: Fence | None) -> None:
        """Warm everything. Raises Ended, SourceError, NodeError, LeaseRefused."""
        self.hit_ratio = _hit_ratio(placement)
        try:
            self._writer.open(placement, lease, fence)
            self._warm(source, lease)
            self._writer.finish()
        finally:
            self.remains = self._writer.close()

    def _warm(self, source: Source, lease: Lease | None) -> None:
        request = self._request
        note = lease if source.ordered and request.keys is None else None
        done = self.resumed = self._left(note) if note is not None else 0
        self._progress.expected = len(request.keys) if request.keys is not None and not request.listed else None
        self.feed = Feed(lambda: self._read(source, done), self._job.batch, self._job.source.timeout, self._stop)
        for batch in self.feed.batches():
            self._take(batch, source)
            self._check_errors()
            done += len(batch)
            if note is not None:
                note.leave(json.dumps({"of": self._fingerprint, "done": done}), LEFT_SECONDS)
        if self._stop.is_set():
            raise Ended(Reason.STOPPED)
        if note is not None:
            note.leave("", 1)

    def _take(self, batch: Sequence[Found], source: Source) -> None:
        """Write a batch. What is sent at once is made at once: whoever shares a core with us waits for less long."""
        at = 0
        while at < len(batch):
            until = at + self._writer.at_once
            items, at = self._items(batch[at:until]), until
            if items and self._request.dry_run:
                self._writer.count(items)
            elif items:
                self._writer.write(items, source)

    def _read(self, source: Source, done: int) -> Iterator[Found]:
        """What the source has, selected keys first."""
        job, request, left = self._job, self._request, self._limit
        if request.keys is not None:
            keys = [key for key in request.keys if self._in_shard(key)][:left]
            left -= len(keys)
            yield from looked_up(source, keys, job.batch, job.concurrency)
        if (
            (request.keys is None or request.listed)
            and left > done
            and not (source.by_key and request.keys is not None)
        ):
            yield from source.records(left - done, done)

    def _items(self, batch: Sequence[Found]) -> list[Item]:
        """The keys of a batch that will be written; why the others will not is counted."""
        items: list[Item] = []
        seen, make, whole = self._seen, self._policy.item, self._request.shard[1] == 1
        for found in batch:
            item = found if isinstance(found, Fault) else make(found)
            if not isinstance(item, Fault):
                mark = hash(item.key)
                if mark in seen:
                    item = Fault.DUPLICATE
                elif not whole and not self._in_shard(item.key):
                    item = Fault.SHARD
                elif item.kind not in writes.KINDS:
                    item = Fault.TYPE
                else:
                    seen.add(mark)
                    items.append(item)
                    continue
            self._progress.fault(item)
        return items

    def _in_shard(self, key: bytes) -> bool:
        number, count = self._request.shard
        return count == 1 or slot_of(key) * count // 16384 == number - 1

    def _check_errors(self) -> None:
        errors, asked = self._progress.source_errors, self._progress.asked
        if asked >= MIN_ASKED and errors > self._job.max_source_errors * asked:
            raise Ended(Reason.SOURCE_ERRORS, f"{errors} of {asked} could not be read")
        self._writer.in_time()

    def _left(self, lease: Lease) -> int:
        """How many records a run that did not end has done: nobody has to read them again."""
        try:
            note = json.loads(lease.left() or "{}")
            return int(note["done"]) if note.get("of") == self._fingerprint else 0
        except (ValueError, KeyError, TypeError, AttributeError):
            return 0

    @cached_property
    def _fingerprint(self) -> str:
        """What must be the same for a run to be gone on with."""
        job = self._job
        settings = job.model_dump_json(exclude={"every", "cron", "on_start", "on_failover"})
        return hashlib.sha256(f"{settings}{self._limit}{self._request.shard}".encode()).hexdigest()[:16]


def _hit_ratio(placement: Placement) -> float | None:
    """The primaries' hit ratio since they were started."""
    hits = sum(vitals.hits for vitals in placement.vitals.values())
    misses = sum(vitals.misses for vitals in placement.vitals.values())
    return hits / (hits + misses) if hits + misses else None
