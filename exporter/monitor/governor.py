"""May the next burst run, for how long, and after what gap: decisions only, no clock and no socket.

In: the budgets, what INFO said, and what each slice really took. Out: a `Plan` for the next slice, or a `Skip`.

The plan carries the budget: a burst as long as the budget allows at the load that is expected, in cycles of about
100 ms, shorter for a while after more was seen than planned. The limits of a slice are safety, eight times the plan,
because a limit that trips often biases the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from exporter.errors import DownReason
from exporter.monitor.session import GRACE_SECONDS, HARD_LIMIT_BYTES, NAP_SECONDS, Limits, Outcome, Slice

if TYPE_CHECKING:
    from exporter.config import Sampling
    from exporter.snapshot import NodeStatus

CYCLE_SECONDS = 0.100
SLICE_SECONDS = 0.125
IDLE_EVENTS = 50.0
IDLE_SLICE_SECONDS = 0.5
"""A joined slice of a server that does next to nothing: with many such nodes, slices are what an exporter spends."""
SHORTEST_BURST_SECONDS = 0.002
LEAST_DUTY = 0.002
LONGEST_CYCLE_SECONDS = 1.5
"""Caution after a trip makes bursts rarer, but not so rare that figures grow stale; only the budgets may do that."""
LONGEST_REPAYING_SECONDS = 3.0
"""Nor does making up for what was too much: then it takes longer."""
SAFETY_FACTOR = 8
AIM = 0.95
"""Plans use this share of the budgets; the rest is for loads that rise within a slice."""
REPAID_SECONDS = 20.0
"""What was seen beyond the budgets is made up for within about this time: within a minute, and without going blind."""
LEAVE_FACTOR = 1.3
"""A joined session is left when one slice exceeds the budget by this much."""
HELD_LIMIT_BYTES = 8 << 20
"""What the server may have to hold for us if we stop reading in mid-burst."""
LOST_SECONDS = 900.0
"""If this host vanishes, TCP keeps the connection about this long; only a server limit ends it earlier."""
LOST_SHARE = 0.25
HEADER_BYTES = 45.0
"""What MONITOR adds to a command: time stamp, database, address, quotes."""
MEMORY_SECONDS = 2.0
NAP_BYTES = 32_768
"""What a slow stream may gather in the socket between two reads: far less than its buffer."""
GRACE_BYTES = 262_144
LONGEST_GRACE_SECONDS = 0.35
"""A slow stream may be read so much later than planned as makes this many bytes: our host may be short of CPU."""
BARRED_SECONDS = 0.2
"""How soon a node is looked at again that may become the primary at any moment."""
BREAKER_TRIPS = 5.0
BREAKER_FORGIVES = 0.1
BREAKER_SECONDS = 10.0
"""After five bursts that the server or the watchdog had to end there is none for ten seconds, and then one on trial.

Ten complete bursts make up for one of them.
"""
_STRAINING = frozenset({Outcome.LAG, Outcome.BUFFER, Outcome.KILLED})
HUGE_LINE_BYTES = 65_536
SHY_SECONDS = 20.0
SHY_AFTER_SILENCE_SECONDS = 3.0
SHY_DUTY = 0.1
"""After a huge value, or a silence that one may have caused, this is the most of the time that is observed for a while.

Up to 7.0 a server formats a value for MONITOR byte by byte: 64 MB block it for seconds. The next one shall probably
fall outside a burst, yet sampling goes on.
"""


class SkipReason(StrEnum):
    """Why no burst runs now: the closed set of `redis_sampling_skips_total{reason}`."""

    OFF = "off"
    STARTING = "starting"
    DENIED = "denied"
    UNSUPPORTED = "unsupported"
    LOADING = "loading"
    FAILOVER = "failover"
    MEMORY = "memory"
    SERVER_LIMIT = "server_limit"
    REPLICA = "replica"
    WATCHDOG = "watchdog"
    BREAKER = "breaker"
    BACKOFF = "backoff"
    SILENT = "silent"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Plan:
    """One slice: how long, the mean of the random gap before it, and when it must stop early.

    `joined` slices follow each other without a gap inside one session; `nap_seconds` is how long their lines may gather
    between two reads.
    """

    joined: bool
    seconds: float
    mean_gap: float
    limits: Limits
    nap_seconds: float = 0.0

    @property
    def cycle(self) -> float:
        """Planned burst plus mean gap: the weight of a burst's rate inside its second."""
        return self.seconds + self.mean_gap


@dataclass(frozen=True, slots=True)
class Skip:
    """No slice now; ask again after `wait_seconds`."""

    reason: SkipReason
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """The stream that is expected: lines and bytes per second."""

    events: float
    bytes: float


class Governor:
    """Plans the slices of one node."""

    def __init__(self, sampling: Sampling, *, primaries_only: bool = False) -> None:
        self._settings = sampling
        self._primaries_only = primaries_only
        self._events = float(sampling.events_per_second)
        self._average: Load | None = None
        self._last: Load | None = None
        self._overhead = 0.0
        self._factor = 1.0
        self._joined = False
        self._shy_seconds = 0.0
        self._failures = 0
        self._strain = 0.0
        self._seen_until: float | None = None
        self._debt = Load(0.0, 0.0)
        self.barred: SkipReason | None = None

    def bar(self, reason: SkipReason | None) -> None:
        """Allow nothing, because of what others know about the node; None lifts that. For any thread."""
        self.barred = reason

    def demand(self, status: NodeStatus | None) -> float:
        """The commands per second that are expected; none of a node that cannot be read now."""
        load = self._expected(status)
        return load.events if load is not None else 0.0

    def joined_budget(self, status: NodeStatus | None) -> tuple[Load, float]:
        """What a stream may be for its slices to go on joining, and the largest line (bytes) that it may hold.

        For whoever adds to it on purpose.
        """
        most = float(self._settings.bytes_per_second)
        largest = most * SLICE_SECONDS / 2
        memory = (status.maxmemory_bytes or status.total_memory_bytes or 0) if status is not None else 0
        if status is None or not status.server_limit_bytes:
            bearable = LOST_SHARE * memory / LOST_SECONDS
            most, largest = min(most, bearable), min(largest, bearable * MEMORY_SECONDS / 8)
        return Load(self._events, most), largest

    def allow(self, events_per_second: float) -> None:
        """The node's share of what this process may read, from now on; never more than its own budget."""
        self._events = max(1.0, min(float(self._settings.events_per_second), events_per_second))

    def plan(self, status: NodeStatus | None) -> Plan | Skip:
        """The next slice, given the latest INFO; before the first one there is nothing to plan by."""
        if (skip := self._refusal(status)) is not None:
            self._joined = False
            return skip
        if self._strain >= BREAKER_TRIPS:
            self._strain, self._joined = BREAKER_TRIPS - 1.0, False
            return Skip(SkipReason.BREAKER, BREAKER_SECONDS)
        load = self._expected(status)
        allowed = self._allowed(load)
        duty = allowed * self._factor
        grace = self._grace(load, status)
        if load is not None and self._may_join(load, status, duty):
            self._joined = True
            nap = min(SLICE_SECONDS / 3, max(NAP_SECONDS, NAP_BYTES / max(load.bytes, 1.0)))
            seconds = IDLE_SLICE_SECONDS if load.events < IDLE_EVENTS else SLICE_SECONDS
            return Plan(True, seconds, 0.0, self._limits(SLICE_SECONDS, grace), nap)
        self._joined = False
        if not self._may_be_lost(load, status):
            allowed, duty = min(allowed, self._settings.max_duty), min(duty, self._settings.max_duty)
        return self._burst(load, allowed, min(duty, 0.9 if self._shy_seconds <= 0 else SHY_DUTY), grace)

    def learn(self, plan: Plan, piece: Slice) -> None:
        """Take in what a slice really saw and took."""
        self._failures = 0
        seconds = max(piece.end - piece.start, 1e-4)
        # A joined slice that showed too much is followed by bursts, planned by what it saw: nothing else to take back.
        left = plan.joined and piece.outcome in {Outcome.EVENTS, Outcome.BYTES}
        if piece.outcome is Outcome.COMPLETE:
            self._factor = min(1.0, self._factor * 1.2)
            self._strain = max(0.0, self._strain - BREAKER_FORGIVES)
        elif not left and piece.outcome is not Outcome.EVENTS:
            # Commands are no danger, they only cost: what was seen too much is owed, and plans go by it.
            self._trip(piece.outcome)
        self._owe(piece)
        if not plan.joined:
            self._overhead += 0.2 * (max(0.0, seconds - plan.seconds) - self._overhead)
        self._shy_seconds = max(0.0, self._shy_seconds - plan.cycle)
        if piece.outcome is Outcome.BYTES and piece.size_bytes > HUGE_LINE_BYTES * max(1, piece.lines):
            # One huge value is not a load: remembering it as one would silence sampling for seconds.
            self._shy_seconds = SHY_SECONDS
            return
        seen = Load(piece.lines / seconds, piece.size_bytes / seconds)
        self._last = seen
        if self._average is None:
            self._average = seen
            return
        weight = min(1.0, max(plan.cycle, seconds) / MEMORY_SECONDS)
        old = self._average
        self._average = Load(
            old.events + weight * (seen.events - old.events), old.bytes + weight * (seen.bytes - old.bytes)
        )
        if plan.joined and (self._exceeds(seen, LEAVE_FACTOR) or self._repayment() < AIM):
            self._joined = False

    @property
    def recovering(self) -> bool:
        """Whether less is observed than the budgets would allow, because of what just happened."""
        return self._shy_seconds > 0 or self._factor < 0.95

    @property
    def failures(self) -> int:
        """Sessions lost in a row, without a slice between them."""
        return self._failures

    def failed(self, reason: DownReason, outcome: Outcome) -> Skip:
        """A session was lost: wait a little, and longer each time, but never so long that recovery is late."""
        self._failures += 1
        if outcome is not Outcome.ERROR:  # a server that restarts is no reason to observe less of it
            self._trip(outcome)
        if self._joined and reason is DownReason.TIMEOUT:
            self._shy_seconds = max(self._shy_seconds, SHY_AFTER_SILENCE_SECONDS)
        self._joined = False
        self._average = self._last = None
        return Skip(SkipReason.BACKOFF, min(2.0, 0.1 * 2**self._failures))

    def _trip(self, outcome: Outcome) -> None:
        """A burst did not end as planned: observe less for a while, and nothing if that goes on."""
        self._factor = max(self._factor / 2, 1 / 16)
        if outcome in _STRAINING:
            self._strain += 1.0

    def _owe(self, piece: Slice) -> None:
        """Keep account of what was seen beyond the budgets; a second's worth of them may be saved up."""
        elapsed = 0.0 if self._seen_until is None else min(5.0, max(0.0, piece.end - self._seen_until))
        self._seen_until = piece.end
        events, most_bytes = self._events, float(self._settings.bytes_per_second)
        self._debt = Load(
            max(-events, self._debt.events + piece.lines - AIM * events * elapsed),
            max(-most_bytes, self._debt.bytes + piece.size_bytes - AIM * most_bytes * elapsed),
        )

    def _repayment(self) -> float:
        """How much of the budgets may be used while there is a debt."""
        owed = max(self._debt.events / self._events, self._debt.bytes / self._settings.bytes_per_second)
        return min(1.0, max(0.5, 1.0 - owed / REPAID_SECONDS))

    @staticmethod
    def _grace(load: Load | None, status: NodeStatus | None) -> float:
        """Seconds that a slice may take longer than planned before the watchdog ends it, the way there included."""
        slow = load is not None and load.events >= IDLE_EVENTS  # an idle server has long slices instead
        late = min(LONGEST_GRACE_SECONDS, GRACE_BYTES / max(1.0, load.bytes)) if load and slow else 0.0
        return max(GRACE_SECONDS, late) + ((status.latency_seconds if status else None) or 0.0)

    def _refusal(self, status: NodeStatus | None) -> Skip | None:
        if self._settings.source not in {"auto", "monitor"}:
            return Skip(SkipReason.OFF, 1.0)
        if self.barred is not None:
            return Skip(self.barred, BARRED_SECONDS)
        if status is None:
            return Skip(SkipReason.STARTING, 0.02)
        unlimited = self._settings.server_limit == "require" and not status.server_limit_bytes
        refusals = (
            (status.loading, Skip(SkipReason.LOADING, 0.5)),
            (status.failover, Skip(SkipReason.FAILOVER, 0.5)),
            (self._primaries_only and status.role == "slave", Skip(SkipReason.REPLICA, 1.0)),
            (unlimited and status.down is None, Skip(SkipReason.SERVER_LIMIT, 1.0)),
        )
        return next((skip for applies, skip in refusals if applies), None)

    def _expected(self, status: NodeStatus | None) -> Load | None:
        """Fast attack, slow release: the larger of the average and the last slice; before the first, what INFO says."""
        if self._average is not None and self._last is not None:
            return Load(max(self._average.events, self._last.events), max(self._average.bytes, self._last.bytes))
        if status is None or status.down is not None:
            return None
        return Load(status.ops_per_second, status.input_bytes_per_second + HEADER_BYTES * status.ops_per_second)

    def _allowed(self, load: Load | None) -> float:
        """The share of time that the budgets allow at this load."""
        if load is None:
            return 0.0
        by_events = self._events / load.events if load.events > 0 else 1.0
        by_bytes = self._settings.bytes_per_second / load.bytes if load.bytes > 0 else 1.0
        return min(1.0, AIM * min(by_events, by_bytes) * self._repayment())

    def _may_join(self, load: Load | None, status: NodeStatus | None, duty: float) -> bool:
        if load is None or self._shy_seconds > 0 or not self._may_be_lost(load, status):
            return False
        if self._joined:
            return self._last is None or not self._exceeds(self._last, LEAVE_FACTOR)
        return duty >= 0.95

    @staticmethod
    def lost_bytes(status: NodeStatus) -> int:
        """What the server may hold for us, at the load of the last INFO, if this host vanishes while MONITOR is on."""
        return int(LOST_SECONDS * (status.input_bytes_per_second + HEADER_BYTES * status.ops_per_second))

    def _may_be_lost(self, load: Load | None, status: NodeStatus | None) -> bool:
        """Whether the server survives it if this host vanishes while MONITOR is on."""
        if status is None or load is None:
            return False
        if status.server_limit_bytes:
            return True
        memory = status.maxmemory_bytes or status.total_memory_bytes or 0
        usual = self._average or load  # a single clump says nothing about a quarter of an hour
        return usual.bytes * LOST_SECONDS <= LOST_SHARE * memory

    def _exceeds(self, load: Load, factor: float) -> bool:
        return load.events > self._events * factor or load.bytes > self._settings.bytes_per_second * factor

    def _burst(self, load: Load | None, allowed: float, duty: float, grace: float) -> Plan | Skip:
        """Plan a burst for the share of time `duty`; `allowed` is what the budgets alone would say."""
        longest = CYCLE_SECONDS
        if load is not None and load.bytes > 0:
            longest = min(longest, HELD_LIMIT_BYTES / load.bytes - grace)
        if longest < SHORTEST_BURST_SECONDS:
            self._average = None
            return Skip(SkipReason.MEMORY, 1.0)
        duty = max(duty, LEAST_DUTY)
        # Opening and closing take time in which the stream runs too: not planned in, they overrun the budget.
        seconds = min(longest, max(SHORTEST_BURST_SECONDS, duty * CYCLE_SECONDS - self._overhead))
        taken = seconds + self._overhead
        cautious = min(
            taken / duty,
            max(LONGEST_CYCLE_SECONDS, taken / max(allowed, LEAST_DUTY)),
            max(LONGEST_REPAYING_SECONDS, taken * self._repayment() / max(allowed, LEAST_DUTY)),
        )
        # Nothing is known of a node that is not back yet. The wait after its failure is all that the first look waits:
        # it is as short as can be, and when there has been one something is known.
        cycle = CYCLE_SECONDS if load is None else max(CYCLE_SECONDS, cautious)
        return Plan(False, seconds, cycle - seconds, self._limits(cycle, grace))

    def _limits(self, cycle: float, grace: float) -> Limits:
        return Limits(
            grace_seconds=grace,
            events=max(1000, int(SAFETY_FACTOR * self._events * cycle)),
            bytes=min(HARD_LIMIT_BYTES, max(1 << 18, int(SAFETY_FACTOR * self._settings.bytes_per_second * cycle))),
        )
