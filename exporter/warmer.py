"""All warming jobs of the daemon: a configuration in, scheduled runs out, in an executor of their own."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from exporter.errors import NodeError
from exporter.log import Throttle
from exporter.schedule import GuardedThread, Jobs
from exporter.warming.goals import goal_of, target_of
from exporter.warming.missed import Missed
from exporter.warming.refresh import LOOK_SECONDS
from exporter.warming.saver import Saver
from exporter.warming.service import JobService

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exporter.config import Config
    from exporter.config.warming import WarmingJob
    from exporter.meters import Meters
    from exporter.monitor.stream import Streams
    from exporter.snapshot import Board
    from exporter.topology import Topology
    from exporter.warmth import Accesses

TICK_SECONDS = 1.0


class Warmer:
    """The warming jobs. `become` leaves everything alone while neither they nor their targets change."""

    def __init__(self, board: Board, meters: Meters, streams: Streams) -> None:
        self._board = board
        self._warmth = board.warmth
        self._meters = meters
        self._streams = streams
        self._services: dict[str, JobService] = {}
        self._savers: dict[str, Saver] = {}
        self._known: tuple[object, ...] = ()
        self._jobs: Jobs | None = None
        self._stop = threading.Event()
        self._threads: list[GuardedThread] = []
        self._log = Throttle()
        self._began = time.monotonic()

    def become(self, config: Config, topologies: Mapping[str, Topology]) -> None:
        """Run exactly the jobs of `config`, on these topologies of its targets."""
        jobs = config.warming.jobs
        known = (config.warming, *(id(topologies[target_of(config, job).name]) for job in jobs))
        if known == self._known:
            return
        self.stop()
        self._known, self._stop = known, threading.Event()
        first = frozenset(job.name for job in jobs if job.on_start)
        self._warmth.await_first(first, self._began + config.warming.ready_timeout)
        self._warmth.become({job.name: target_of(config, job).name for job in jobs})
        if not jobs:
            return
        self._jobs = Jobs(self._meters, warming=len(jobs) + sum(job.refresh_ahead for job in jobs))
        for job in jobs:
            topology = topologies[target_of(config, job).name]
            goal = goal_of(config, job)
            service = JobService(job, goal, topology, self._board, self._streams, self._listener(job, topology))
            self._services[job.name] = service
            self._schedule(service)
            if goal.state and (job.select is not None or job.source.type == "snapshot"):
                values = any(
                    one.source.type == "snapshot" and target_of(config, one).name == goal.target for one in jobs
                )
                self._savers.setdefault(goal.target, Saver(topology, goal.target, goal.state, values=values))
        self._warmth.observer = self._observed
        self._jobs.every(TICK_SECONDS, "warming", self._tick)
        if self._savers:
            self._jobs.every(config.warming.save_every, "hotset", self._save, executor="warming")
        self._jobs.start()

    def threads(self) -> Iterator[GuardedThread]:
        """All guarded threads."""
        yield from tuple(self._threads)

    def stop(self) -> None:
        """End all runs; what they have done stays, and another exporter goes on from there."""
        self._stop.set()
        self._warmth.observer = None
        for service in self._services.values():
            service.stop()
        if self._jobs is not None:
            self._jobs.stop()
            self._jobs = None
        for thread in self._threads:
            thread.join(2.0)
        self._threads.clear()
        self._services.clear()
        self._savers.clear()
        self._known = ()

    def _listener(self, job: WarmingJob, topology: Topology) -> Missed | None:
        """What was asked for in vain, for a job that wants to know."""
        if job.select not in {"missed", "all"}:
            return None
        missed = Missed(topology)
        thread = GuardedThread(f"missed {job.name}", missed.run, self._stop)
        self._threads.append(thread)
        thread.start()
        return missed

    def _schedule(self, service: JobService) -> None:
        assert self._jobs is not None
        job, work = service.job, partial(service.run, "schedule")
        if job.every is not None:
            self._jobs.every(job.every, f"warming/{job.name}", work, executor="warming", at_once=False)
        if job.refresh_ahead:
            name = f"refresh/{job.name}"
            self._jobs.every(LOOK_SECONDS, name, service.refresh, executor="warming", at_once=False)
        if job.cron is not None:
            self._jobs.cron(job.cron, f"warming/{job.name}", work)

    def _observed(self, target: str, seconds: float, accesses: Accesses) -> None:
        for service in tuple(self._services.values()):
            if service.goal.target == target:
                service.attribution.seen(seconds, accesses)

    def _tick(self) -> None:
        jobs, asked = self._jobs, self._warmth.asked()
        for service in tuple(self._services.values()):
            why = service.tick() or ("api" if service.job.name in asked else None)
            if why is not None and jobs is not None and not self._stop.is_set():
                jobs.soon(f"warming/{service.job.name}", partial(service.run, why), asked.get(service.job.name))

    def _save(self) -> None:
        for target, saver in tuple(self._savers.items()):
            service = next(one for one in self._services.values() if one.goal.target == target)
            try:
                saver.save(service.hot())
            except (OSError, NodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                self._log.warning(
                    target, "hotset.not_saved", "the hot set cannot be saved", target=target, reason=reason
                )
