"""INFO's text in, a `ServerStats` out, with the latest answers to what is asked less often.

Keeps what one reading cannot know: those answers, what asking costs, and when the server started.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exporter.errors import NodeError
from exporter.log import log
from exporter.serverstats import Collection, Limits, ServerStats
from exporter.stats import commandstats, info, replication, sentinel
from exporter.stats.questions import QUESTIONS, of_slots
from exporter.stats.slots import BusiestSlots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.serverstats import CommandStats
    from exporter.stats.info import Info
    from exporter.stats.inquirer import Inquirer

SLOW_SECONDS = 5.0
"""How often everything but INFO is asked, at most."""
FAST_COMMANDS = ("info", "ping")
SLOW_COMMANDS = (
    "config|get", "slowlog|len", "slowlog|get", "latency|latest", "latency|histogram", "commandlog|len", "cluster|info",
    "cluster|slot-stats", "sentinel|masters", "sentinel|sentinels", "sentinel|replicas",
)  # fmt: skip


TYPICAL_USEC = 200.0
OUTLIER = 10.0
"""A call that took this many times as long as usual was interrupted, unless the next ones take long, too."""


class Costs:
    """What a call of each command takes the server, from what it counted between two readings.

    The server counts the time that passes, also while its host does something else: that is not what a call costs, and
    no reason to ask it four times a minute only.
    """

    def __init__(self) -> None:
        self._last: Mapping[str, CommandStats] = {}
        self._usec: dict[str, float] = {}

    def learn(self, commands: Mapping[str, CommandStats]) -> None:
        """Take in the statistics of a new reading."""
        for name in (*FAST_COMMANDS, *SLOW_COMMANDS):
            now, before = commands.get(name), self._last.get(name)
            if now and before and now.calls > before.calls and now.usec >= before.usec:
                typical = self._usec.get(name, TYPICAL_USEC)
                usec = min((now.usec - before.usec) / (now.calls - before.calls), OUTLIER * typical)
                self._usec[name] = 0.7 * typical + 0.3 * usec
        self._last = commands

    def seconds(self, names: tuple[str, ...]) -> float:
        """What one call of each of `names` takes together; 0 before anything is known."""
        return sum(self._usec.get(name, 0.0) for name in names) / 1e6


class Collector:
    """The statistics of one node. Belongs to one thread."""

    def __init__(self, inquirer: Inquirer) -> None:
        self._inquirer = inquirer
        self._answers: dict[str, Any] = {}
        self._asked: dict[str, bool] = {}
        self._next = 0.0
        self._started: tuple[str, float] = ("", 0.0)
        self._commands = commandstats.commands()
        self._errors = commandstats.errors()
        self._latencies = commandstats.latencies()
        self._slots = BusiestSlots()
        self._questions = (*QUESTIONS, of_slots(self._slots))
        self.costs = Costs()
        self.collection = Collection()

    @property
    def limits(self) -> Limits | None:
        """What CONFIG said last."""
        return self._answers.get("limits")

    @property
    def allowed(self) -> dict[str, bool]:
        """Whether each question that this server can answer was answered to us."""
        return dict(self._asked)

    @property
    def slow_seconds(self) -> float:
        """What everything but INFO costs the server, each time that it is asked."""
        more_slots = self._slots.questions - 1
        return self.costs.seconds(SLOW_COMMANDS) + more_slots * self.costs.seconds(("cluster|slot-stats",))

    def connected(self, seconds: float) -> None:
        """Note a new connection, which took so long: everything is asked again."""
        self.collection = replace(self.collection, connect_seconds=seconds)
        self._next = 0.0

    def ask(self, known: Info, now: float, pause: float) -> bool:
        """Ask everything but INFO, if it is time, and say whether it was: no more often than every `pause`."""
        if now < self._next:
            return False
        self._next = now + pause
        slots = self._slots.questions
        answers: dict[str, Any] = {}
        asked: dict[str, bool] = {}
        try:
            for question in self._questions:
                if question.applies(known):
                    replies = self._inquirer.answers(question, question.commands(known))
                    asked[question.name] = replies is not None
                    if replies is not None:
                        answers[question.field] = question.read(known, replies)
        except NodeError as fault:
            # INFO was answered, so the node is there; the next reading says whether it still is.
            log.debug("stats.incomplete", "some statistics could not be read", addr=fault.addr, detail=str(fault))
            return True
        self._answers, self._asked = answers, asked
        if self._slots.questions > slots:
            self._next = now  # there is more to know of them than was asked for
        return True

    def stats(self, known: Info, *, now: float, wall: float, interval: float) -> ServerStats:
        """Put together what is known at `now`; the answers are left out where there are none."""
        commands = self._commands.read(known)
        self.costs.learn(commands)
        return ServerStats(
            info=known.fields,
            taken_at=now,
            interval=interval,
            started_at=self._start(known, wall),
            databases=info.databases(known),
            commands=commands,
            errors=self._errors.read(known),
            latencies=self._latencies.read(known),
            replicas=replication.replicas(known),
            masters=replication.masters(known),
            engines=replication.engines(known),
            sentinel_masters=sentinel.masters(known),
            collection=self.collection,
            **{"cluster": known.cluster, **{name: one for name, one in self._answers.items() if one is not None}},
        )

    def count(self, seconds: float) -> None:
        """Note that one collection took so long."""
        before = self.collection
        self.collection = replace(
            before, count=before.count + 1, seconds=before.seconds + seconds, last_seconds=seconds
        )

    def _start(self, known: Info, wall: float) -> float | None:
        """When the server started. Uptime is in whole seconds, so the difference is kept for as long as it runs."""
        uptime, run_id = info.number(known.fields, "uptime_in_seconds"), known.fields.get("run_id", "")
        if uptime is None:
            return None
        started = float(int(wall)) - uptime
        # A clock that was set makes a new one.
        if run_id != self._started[0] or abs(started - self._started[1]) > 2:
            self._started = (run_id, started)
        return self._started[1]
