"""The sampler of one node: burst -> parse -> keys -> window -> Board, in one loop that reads like this line.

In: a topology's link and the configuration. Out: `HotKeys`, `SamplingState` and `SamplingTotals` on the Board, once for
every second of the server's clock that has ended.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import redis

from exporter import tracing
from exporter.errors import MonitorRefused, NodeError
from exporter.log import fresh, log
from exporter.monitor import parse
from exporter.monitor.governor import Governor, Plan, Skip, SkipReason
from exporter.monitor.keys import CommandTable
from exporter.monitor.session import Outcome, Session, Slice
from exporter.monitor.shares import Demand
from exporter.monitor.stream import NAP_SECONDS, Budget, Streams
from exporter.monitor.switch import Switch
from exporter.sampling import pieces
from exporter.sampling.focusing import Focusing, Spell
from exporter.sampling.labels import LabelBudget
from exporter.sampling.slowdown import Slowdown
from exporter.sampling.totals import Totals
from exporter.sampling.window import Window
from exporter.snapshot import HotKey, HotKeys, NodeStatus, SamplingState, Source

if TYPE_CHECKING:
    import threading

    from exporter.config import Sampling
    from exporter.keynames import KeyNames
    from exporter.link import Link, OwnTraffic
    from exporter.monitor.canary import Canary
    from exporter.monitor.shares import SharedBudget
    from exporter.monitor.watchdog import Watchdog
    from exporter.sampling.window import KeyEstimate
    from exporter.snapshot import Board, Node

PUBLISHED_KEYS = 100
PUBLISHED_GROUPS = 50
REFUSED_WAIT_SECONDS = 2.0
LONGEST_REFUSED_WAIT_SECONDS = 10.0
"""A right may be granted at any time, but each try is an error in the server's statistics."""
SWITCHED_OFF_WAIT_SECONDS = 0.5
TABLE_SECONDS = 300.0
JUMP_SECONDS = 5.0
"""When the server's clock gains or loses so much on ours between two slices, it was set; less may be our own delay."""
FRESH_SECONDS = 2.0
"""One lost burst takes nothing from figures that are younger; the second in a row says that sampling is down."""
LONG_GAP_SECONDS = 0.25
LONGEST_GAP_SECONDS = 3.5
"""Longer mean gaps are spread evenly around the mean, so that figures are renewed before they are stale.

An exponential gap of 1.5 s on average is over 5 s once in thirty times.
"""


class Sampler:
    """Watches one node. `run` is the body of a guarded thread and returns at the stop event, with MONITOR ended."""

    def __init__(
        self,
        board: Board,
        link: Link,
        own: OwnTraffic,
        settings: Sampling,
        names: KeyNames,
        governor: Governor,
        canary: Canary,
        safety: Safety,
    ) -> None:
        self._board = board
        self._link = link
        self._own = own
        self._settings = settings
        self._names = names
        self._governor = governor
        self._canary = canary
        self._safety = safety
        self._tap = safety.streams.tap(link.node)
        self._labels = LabelBudget(settings.top, settings.max_new_labels_per_hour)
        self._focusing = Focusing(board, link.node, settings.window)
        self._begin_window()
        self._totals = Totals()
        self._refusals = 0
        self._table: CommandTable | None = None
        self._table_at = 0.0
        self._table_of = ""
        self._unknown: frozenset[bytes] = frozenset()
        self._lag = 0.0
        self._about = {"db.system.name": "redis", "db.operation.name": "MONITOR", "server.address": link.node.addr}
        self._ahead: float | None = None
        self._chance = random.Random()
        self._sent = self._own.commands

    @property
    def node(self) -> Node:
        """The node that is watched."""
        return self._link.node

    def run(self, stop: threading.Event) -> None:
        """Sample until `stop`."""
        guard = self._safety.watchdog.guard()
        session = Session(self._link, self._own.token, guard, tap=self._tap)
        try:
            while not stop.is_set():
                plan = self._plan()
                if isinstance(plan, Skip):
                    session.close()
                    self._skip(plan, stop)
                    continue
                try:
                    if not session.active and self._rest(self._gap(plan), plan, stop):
                        break
                    with tracing.span("sampling.burst", self._about):
                        self._sample(session, plan)
                except MonitorRefused as refusal:
                    self._refusals += refusal.why != SkipReason.WATCHDOG
                    wait = min(LONGEST_REFUSED_WAIT_SECONDS, REFUSED_WAIT_SECONDS * max(1, self._refusals))
                    self._skip(Skip(SkipReason(refusal.why), wait), stop)
                except NodeError as fault:
                    self._lost(fault, session.ended_by, stop)
        finally:
            session.close()
            guard.close()
            self._canary.close()
            self._safety.budget.leave(self.node)

    def _begin_window(self) -> None:
        limit = self._settings.max_keys_per_second or self._settings.events_per_second
        self._window = Window(int(self._settings.window), int(limit))
        self._slowdown = Slowdown()

    def _plan(self) -> Plan | Skip:
        """What the governor allows, within this node's share of what we may read in all, unless it is switched off."""
        if self._safety.switch.is_off(self.node.target, time.monotonic()):
            return Skip(SkipReason.OFF, SWITCHED_OFF_WAIT_SECONDS)
        hot, status = self._board.latest(self.node, HotKeys), self._board.latest(self.node, NodeStatus)
        most = float(self._settings.events_per_second)
        demand = Demand(self._governor.demand(status), most, hot=hot is not None and hot.over_threshold > 0)
        self._governor.allow(self._safety.budget.share(self.node, demand, time.monotonic()))
        return self._governor.plan(status)

    def _gap(self, plan: Plan) -> float:
        """Random gaps: a fixed rhythm is badly wrong on traffic that has one too. Long ones are bounded."""
        if not plan.mean_gap or not self._totals.observed_seconds:
            return 0.0
        mean = plan.mean_gap
        if mean <= LONG_GAP_SECONDS:
            return random.expovariate(1 / mean)
        spread = min(mean, max(mean / 4, LONGEST_GAP_SECONDS - mean))
        return random.uniform(mean - spread, mean + spread)

    def _rest(self, seconds: float, plan: Plan, stop: threading.Event) -> bool:
        """Wait; what was seen is published when its second ends, and not only when the next burst shows that it has."""
        if self._ahead is not None and (ends := self._window.open_until) is not None:
            left = ends - (time.monotonic() + self._ahead)
            if 0.0 <= left < seconds - LONG_GAP_SECONDS:
                if stop.wait(left):
                    return True
                seconds -= left
                self._publish_ended(ends, plan)
        return stop.wait(seconds)

    def _publish_ended(self, now: float, plan: Plan) -> None:
        """Publish if a second has ended by `now` (server clock) since the last time, and the node is still ours."""
        if self._window.advance(now) and self._governor.barred is None:
            self._state(Source.MONITOR, self._completeness(plan))
            self._publish()

    def _sample(self, session: Session, plan: Plan) -> None:
        """One slice, from the wire to the Board."""
        if session.active and self._link.is_outdated:
            session.leave()  # the next slice comes over a connection with the new certificates
        table = self._commands(session)
        if not session.active:
            self._canary.prepare()
            session.begin(plan.seconds, plan.limits)
            self._refusals = 0
            self._own.stream(lost=False)
        self._canary.send()
        seconds = plan.seconds if not plan.joined else _to_next_mark(session.since, plan.seconds)
        if self._tap.wanted:
            budget, largest = self._governor.joined_budget(self._board.latest(self.node, NodeStatus))
            self._tap.use(table, Budget(budget.events, budget.bytes, largest))
        nap = NAP_SECONDS if self._tap.wanted else plan.nap_seconds
        piece = session.take(seconds, plan.limits, leave=not plan.joined, nap=nap)
        if self._clock_jumped(piece):
            return
        self._governor.learn(plan, piece)
        self._canary.look(piece)
        if self._governor.barred is not None:
            return  # what was seen is not the primary's any more
        if self._canary.silent:
            self._silent()
            return
        self._count(plan, piece, table)
        self._publish_ended(piece.end, plan)

    def _clock_jumped(self, piece: Slice) -> bool:
        """Whether the server's clock was set, or we did not run for a while: what was before has no place in time."""
        ahead, before = piece.end - time.monotonic(), self._ahead
        self._ahead = ahead
        steady = before is None or abs(ahead - before) <= JUMP_SECONDS
        if steady and piece.end >= piece.start:
            return False
        seconds = round(ahead - (before or ahead), 3)
        log.warning("sampling.clock_jumped", "the server's clock has jumped: the window begins anew",
                    target=self.node.target, addr=self.node.addr, seconds=seconds)  # fmt: skip
        self._withdraw()
        return True

    def _silent(self) -> None:
        """What we read is not what this node does: no figure is better than a wrong one, until a canary is seen."""
        self._totals.skips[SkipReason.SILENT.value] += 1
        self._board.publish(self.node, self._totals.frozen())
        self._state(Source.NONE, SkipReason.SILENT.value)
        self._withdraw()

    def _withdraw(self) -> None:
        """Take the figures back, and begin anew."""
        self._board.withdraw(self.node, HotKeys)
        self._focusing.restart()
        if self._window.observed_seconds or self._window.open_until is not None:
            self._begin_window()

    def _count(self, plan: Plan, piece: Slice, table: CommandTable) -> None:
        """Lines become counts, second by second, and counts go into the window."""
        own = parse.Own(self._own.addresses, self._own.token)
        sent, self._sent = self._sent, self._own.commands
        counted = None if plan.joined else piece.served
        served = self._slowdown.learn(piece.start, piece.end, counted, self._sent - sent)
        for lines, counts, seen in pieces.read(plan, piece, served, table, own, self._chance):
            self._focusing.see(lines, Spell(seen.start, seen.end, seen.cycle), table, own)
            self._unknown |= counts.unknown
            self._totals.own_lines += counts.own
            self._totals.skipped_lines += counts.skipped
            if seen.end > seen.start or (plan.joined and counts.commands):
                # A joined slice may end on the very stamp of its last command: nothing of its time, yet it counts.
                self._window.add(seen)
                if plan.joined and (observer := self._board.warmth.observer) is not None:
                    observer(self.node.target, seen.end - seen.start, counts.accesses)
        self._totals.took(piece)
        self._lag = piece.lag_seconds

    def _completeness(self, plan: Plan) -> str:
        """The word for how much of the window was observed."""
        if self._window.exact:
            return "full"
        return "recovering" if plan.joined or self._governor.recovering else "budget"

    def _publish(self) -> None:
        """The window as it is at the end of a second."""
        window, now = self._window, time.monotonic()
        window_top = window.top(PUBLISHED_KEYS)
        recent = window.recent(int(1.5 * self._settings.top))
        rising = window.rising(self._settings.threshold)
        labelled = self._labels.choose(now, window_top, recent, self._settings.threshold, rising)
        every = [*window_top, *recent, *window.of(self._focusing.keys)]
        shown = {(estimate.db, estimate.key): estimate for estimate in every}.values()
        total = window.total().rate
        self._totals.labels_suppressed = self._labels.suppressed
        self._totals.last_success = time.time()
        self._board.publish(
            self.node,
            HotKeys(
                window_end=window.window_end,
                window_seconds=self._settings.window,
                observed_seconds=window.observed_seconds,
                accesses_per_second=total,
                commands_per_second=window.commands_per_second,
                duty_ratio=window.duty_ratio,
                lag_seconds=self._lag,
                canary_lag_seconds=self._canary.lag_seconds,
                watched_ratio=self._slowdown.ratio,
                window_keys=window.keys_seen,
                floor=window.floor,
                over_threshold=window.over(self._settings.threshold),
                keys=tuple(_hot_key(estimate, total) for estimate in shown),
                labelled=labelled,
                groups=tuple(window.groups(self._names.group, PUBLISHED_GROUPS)),
                taken_at=now,
            ),
        )
        self._focusing.publish(now)
        self._board.publish(self.node, self._totals.frozen())

    def _commands(self, session: Session) -> CommandTable:
        """Where the keys of each command stand, as this server says; a server that does not say gets our table.

        Reading it takes longer than anything else here, so it is kept while the server runs, over lost connections too.
        """
        now, status = time.monotonic(), self._board.latest(self.node, NodeStatus)
        run_id = status.run_id if status else ""
        old = now - self._table_at > TABLE_SECONDS and not session.active
        if self._table is None or old or run_id != self._table_of:
            if session.active:
                session.leave()
            self._table, self._table_at, self._table_of = self._read_table(self._table), now, run_id
        if self._unknown:
            # Renamed commands and modules loaded since: a moment is lost, once for each name.
            if session.active:
                session.leave()
            names, self._unknown = sorted(self._unknown), frozenset()
            reply = self._ask("COMMAND", "INFO", *names) or [None] * len(names)
            self._table = self._table.extended(names, reply)
        return self._table

    def _read_table(self, old: CommandTable | None) -> CommandTable:
        """Ask the server; who knows the same as before is the one before, with all that was learned of its lines."""
        reply = self._ask("COMMAND")
        new = CommandTable.builtin() if reply is None else CommandTable.from_reply(reply)
        return old if old is not None and old.knows_the_same(new) else new

    def _ask(self, *command: str | bytes) -> list[Any] | None:
        """The reply, or None where the server refuses the command."""
        try:
            reply: list[Any] = self._link.call(*command)
        except redis.ResponseError:
            return None
        return reply

    def _state(self, source: Source, reason: str) -> None:
        state = SamplingState(source, reason)
        old = self._board.latest(self.node, SamplingState)
        if state == old:
            return
        self._board.publish(self.node, state)
        about = {"target": self.node.target, "addr": self.node.addr, "reason": reason}
        if source is Source.NONE and (old is None or old.source is not Source.NONE):
            log.warning("sampling.stopped", "hot keys cannot be measured", **about)
        elif source is Source.MONITOR and (old is None or old.source is Source.NONE):
            fresh()  # a new series of bursts
            log.info("sampling.started", "hot keys are measured", **about)

    def _skip(self, skip: Skip, stop: threading.Event) -> None:
        self._totals.skips[skip.reason.value] += 1
        self._board.publish(self.node, self._totals.frozen())
        if skip.reason not in {SkipReason.BACKOFF, SkipReason.STARTING}:
            self._state(Source.NONE, skip.reason.value)
        if self._governor.barred is not None or skip.reason is SkipReason.REPLICA:
            # What was seen is about a primary that this node is not any more.
            self._withdraw()
        stop.wait(skip.wait_seconds)

    def _lost(self, fault: NodeError, outcome: Outcome, stop: threading.Event) -> None:
        """The session broke: what was not observed is a gap, and the next try comes soon."""
        self._own.stream(lost=True)
        outcome = Outcome.ERROR if outcome is Outcome.COMPLETE else outcome
        self._totals.bursts[outcome.value] += 1
        skip = self._governor.failed(fault.reason, outcome)
        # Many exporters that lost one server at the same moment should not all be back at the same moment.
        skip = replace(skip, wait_seconds=skip.wait_seconds * random.uniform(0.8, 1.2))
        hot = self._board.latest(self.node, HotKeys)
        if self._governor.failures > 1 or hot is None or time.monotonic() - hot.taken_at > FRESH_SECONDS:
            self._state(Source.NONE, fault.reason.value)
        self._skip(skip, stop)


@dataclass(frozen=True, slots=True)
class Safety:
    """What all samplers share.

    Who ends a burst that we cannot end, what may be read in all, the kill switch, and who else must see a stream.
    """

    watchdog: Watchdog
    budget: SharedBudget
    switch: Switch = field(default_factory=Switch)
    streams: Streams = field(default_factory=Streams)


def _hot_key(estimate: KeyEstimate, total: float) -> HotKey:
    writes = min(estimate.writes_rate, estimate.rate)
    return HotKey(
        db=estimate.db, key=estimate.key, rate=estimate.rate, low=estimate.low, high=estimate.high,
        share=min(1.0, estimate.rate / total) if total else 0.0, reads=estimate.rate - writes, writes=writes,
    )  # fmt: skip


def _to_next_mark(since: float, step: float) -> float:
    """Seconds from `since` to the next multiple of `step` on the server's clock, so that whole seconds end promptly."""
    left = step - since % step
    return left + 0.001 if left > step / 4 else left + step + 0.001
