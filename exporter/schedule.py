"""Who runs when: guarded threads for each node, and APScheduler for what is fleet-wide or rare.

A guarded thread that fails is logged once and started again; a job that fails is logged, counted, and runs again at its
next time. Both end at the stop event, which every wait listens to.
"""

from __future__ import annotations

import heapq
import threading
import time
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from exporter import tracing
from exporter.config.times import read_cron
from exporter.courtesy import give_way
from exporter.log import correlation, log

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from exporter.meters import Meters

RESTART_SECONDS = 1.0
RING_SECONDS = 0.3
"""How long a thread that is woken before its time waits for more of what woke it."""


class GuardedThread:
    """A thread that must not end before `stop`: if its work raises, that is logged and the work begins again."""

    def __init__(self, name: str, work: Callable[[threading.Event], None], stop: threading.Event) -> None:
        self.name = name
        self._work = work
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait for the thread to notice `stop`."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            with correlation():
                try:
                    self._work(self._stop)
                except Exception as error:  # noqa: BLE001 - the border: nothing may silently end a thread
                    log.failure("schedule.thread_failed", "a thread failed and is started again", error,
                                thread=self.name)  # fmt: skip
                    self._stop.wait(RESTART_SECONDS)


class Bell:
    """Wakes one thread before its time. `ring` is for any thread, `wait` for the one that is woken."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake it, soon: what rings once may ring often, and is answered once."""
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, a moment after a ring, or at once at a ring behind the stop event."""
        if self._rung.wait(seconds):
            self._stop.wait(RING_SECONDS)
            self._rung.clear()


class Turns:
    """Several slow works in one thread, one step of one of them at a time.

    Each work is a generator that does a step and yields the seconds to wait before its next one. One that raises is
    logged and begins again. `run` is the body of a guarded thread and closes all generators at the stop event.
    """

    def __init__(self, works: Sequence[Callable[[], Generator[float, None, None]]]) -> None:
        self._works = works

    def run(self, stop: threading.Event) -> None:
        """Take turns until `stop`."""
        running = [work() for work in self._works]
        due = [(0.0, place) for place in range(len(running))]
        try:
            while due and not stop.wait(max(0.0, due[0][0] - time.monotonic())):
                place = due[0][1]
                wait = RESTART_SECONDS
                try:
                    wait = next(running[place])
                except Exception as error:  # noqa: BLE001 - the border: one work must not end the others
                    log.failure("schedule.work_failed", "a work failed and begins again", error)
                    running[place] = self._works[place]()
                heapq.heapreplace(due, (time.monotonic() + wait, place))
            stop.wait()
        finally:
            for work in running:
                work.close()


class Jobs:
    """The rare and fleet-wide work, each job measured and logged under its name."""

    def __init__(self, meters: Meters, warming: int = 0) -> None:
        self._meters = meters
        # Long runs have threads of their own, one each and one for what goes with them.
        pools = {"default": ThreadPoolExecutor(2)}
        if warming:
            pools["warming"] = ThreadPoolExecutor(warming + 1, {"initializer": give_way})
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors=pools,
            # A late run is better than none, two at once are worse than one.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def every(
        self, seconds: float, name: str, work: Callable[[], None], *, executor: str = "default", at_once: bool = True
    ) -> None:
        """Run `work` every `seconds`, the first time now or (unless `at_once`) after that time."""
        first = datetime.now(UTC) + timedelta(seconds=0 if at_once else seconds)
        self._scheduler.add_job(
            self._measured, "interval", seconds=seconds, args=(name, work), id=name, executor=executor,
            next_run_time=first,
        )  # fmt: skip

    def cron(self, line: str, name: str, work: Callable[[], None]) -> None:
        """Run `work` at the times of a crontab line, beside other long runs."""
        self._scheduler.add_job(self._measured, read_cron(line), args=(name, work), id=name, executor="warming")

    def soon(self, name: str, work: Callable[[], None], context: Context | None = None) -> None:
        """Run `work` once, now, beside other long runs; as a part of the unit of work of `context`, if there is one."""
        self._scheduler.add_job(
            (context or Context()).run, args=(self._measured, name, work), executor="warming", name=name,
            next_run_time=datetime.now(UTC),
        )  # fmt: skip

    def start(self) -> None:
        """Start running jobs."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start no more runs and wait for those under way; jobs listen to the stop event themselves."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _measured(self, name: str, work: Callable[[], None]) -> None:
        with tracing.span(f"job {name.partition('/')[0]}", {"job.name": name}) as span, correlation(keep=True):
            try:
                with self._meters.job(name):
                    work()
            except Exception as error:  # noqa: BLE001 - the border of one scheduled run
                tracing.ended_by(span, type(error).__name__)
                log.failure("schedule.job_failed", "a job failed", error, job_name=name)
