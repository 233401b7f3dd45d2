"""What the next burst may cost: budgets, safety, trips and recovery, decided without a clock or a socket."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exporter.config import Sampling
from exporter.errors import DownReason
from exporter.monitor.governor import CYCLE_SECONDS, Governor, Plan, Skip, SkipReason
from exporter.monitor.session import Outcome, Slice
from tests.fakes import FakeClock
from tests.monitor.states import STATUS

if TYPE_CHECKING:
    from exporter.snapshot import NodeStatus

CLOCK = FakeClock(100.0)


def governor_of(sampling: Sampling) -> Governor:
    """The governor of a node that shares its budget with nobody."""
    return Governor(sampling)


def burst(governor: Governor, status: NodeStatus) -> Plan:
    """A plan that is expected to be one."""
    plan = governor.plan(status)
    assert isinstance(plan, Plan)
    return plan


def seen(
    plan: Plan, events_per_second: float, bytes_per_event: float = 60.0, took: float | None = None, **changes: object
) -> Slice:
    """What a slice of `plan` saw at a given load, one mean gap after the slice before it."""
    CLOCK.advance(plan.mean_gap)
    start = CLOCK.now
    CLOCK.advance(plan.seconds if took is None else took)
    lines = int(events_per_second * (CLOCK.now - start))
    fields = {"data": b"", "start": start, "end": CLOCK.now, "lines": lines,
              "size_bytes": int(lines * bytes_per_event), "lag_seconds": 0.0, "outcome": Outcome.COMPLETE}  # fmt: skip
    return Slice(**(fields | changes))  # type: ignore[arg-type]


def test_small_traffic_is_watched_in_full() -> None:
    """A stream inside the budgets joins: no gaps."""
    plan = burst(governor_of(Sampling()), STATUS)
    assert plan.joined
    assert plan.mean_gap == 0


@pytest.mark.parametrize("ops", [10_000, 50_000, 300_000, 700_000])
def test_the_plan_carries_the_budget(ops: int) -> None:
    """Above the budget, what the planned bursts show is the budget of events, whatever the load."""
    limited = replace(STATUS, ops_per_second=ops, input_bytes_per_second=40.0 * ops, server_limit_bytes=32 << 20)
    governor = governor_of(Sampling(bytes_per_second="100MiB"))
    plan = burst(governor, limited)
    for _ in range(200):
        governor.learn(plan, seen(plan, ops))
        plan = burst(governor, limited)
    assert not plan.joined
    assert 0.9 * 5000 <= ops * plan.seconds / plan.cycle <= 5000
    assert plan.cycle >= CYCLE_SECONDS
    assert plan.limits.events >= 8 * 5000 * plan.cycle * 0.99


def test_the_time_that_opening_and_closing_takes_is_planned_in() -> None:
    """A burst that always takes 3 ms longer than planned still shows no more than the budget."""
    limited = replace(STATUS, ops_per_second=300_000, server_limit_bytes=32 << 20)
    governor = governor_of(Sampling(bytes_per_second="100MiB"))
    plan = burst(governor, limited)
    for _ in range(200):
        governor.learn(plan, seen(plan, 300_000, took=plan.seconds + 0.003, size_bytes=0))
        plan = burst(governor, limited)
    assert 300_000 * (plan.seconds + 0.003) / (plan.cycle + 0.003) <= 5000 * 1.1


def test_large_values_are_bounded_by_bytes() -> None:
    """Few commands with large values use up the budget of bytes."""
    wide = replace(STATUS, ops_per_second=2000, input_bytes_per_second=20e6, server_limit_bytes=32 << 20)
    plan = burst(governor_of(Sampling()), wide)
    assert not plan.joined
    assert 20e6 * plan.seconds / plan.cycle <= 1.05 * (2 << 20)


def test_attack_is_fast_and_release_slow() -> None:
    """One heavy slice shortens the next plan at once; one quiet slice does not stretch it."""
    limited = replace(STATUS, ops_per_second=20_000, server_limit_bytes=32 << 20)
    governor = governor_of(Sampling(bytes_per_second="100MiB"))
    plan = burst(governor, limited)
    governor.learn(plan, seen(plan, 20_000))
    before = burst(governor, limited)
    governor.learn(before, seen(before, 200_000))
    heavy = burst(governor, limited)
    assert heavy.seconds / heavy.cycle < 0.2 * before.seconds / before.cycle
    governor.learn(heavy, seen(heavy, 1000))
    assert burst(governor, limited).seconds < before.seconds


def test_joined_is_left_when_a_slice_exceeds_the_budget() -> None:
    """Joined slices end at the first that is 30 % over the budget, and bursts follow."""
    governor = governor_of(Sampling())
    plan = burst(governor, STATUS)
    governor.learn(plan, seen(plan, 6000))
    assert burst(governor, STATUS).joined
    governor.learn(plan, seen(plan, 7000))
    assert not burst(governor, STATUS).joined


def test_without_a_server_limit_long_duty_needs_room() -> None:
    """Where 15 minutes of the stream would not fit into a quarter of maxmemory, duty stays within max_duty."""
    tight = replace(STATUS, ops_per_second=2000, maxmemory_bytes=64 << 20)
    plan = burst(governor_of(Sampling()), tight)
    assert not plan.joined
    assert plan.seconds / plan.cycle <= 0.0201
    assert burst(governor_of(Sampling()), replace(tight, server_limit_bytes=32 << 20)).joined
    refused = governor_of(Sampling(server_limit="require")).plan(tight)
    assert refused == Skip(SkipReason.SERVER_LIMIT, 1.0)


def test_a_stream_too_wide_for_any_burst_is_skipped() -> None:
    """Where even 2 ms plus the watchdog's time would exceed 8 MiB, no burst runs."""
    torrent = replace(STATUS, ops_per_second=100_000, input_bytes_per_second=100e6)
    assert governor_of(Sampling()).plan(torrent) == Skip(SkipReason.MEMORY, 1.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"loading": True}, SkipReason.LOADING), ({"failover": True}, SkipReason.FAILOVER)],
)
def test_no_burst_while_the_data_set_changes_hands(change: dict[str, bool], reason: SkipReason) -> None:
    """Loading and failover are waited out."""
    decision = governor_of(Sampling()).plan(replace(STATUS, **change))  # type: ignore[arg-type]
    assert isinstance(decision, Skip)
    assert decision.reason is reason


def test_off_and_replicas() -> None:
    """source: off never plans; nodes: primaries leaves replicas alone, and only those."""
    assert governor_of(Sampling(source="off")).plan(STATUS) == Skip(SkipReason.OFF, 1.0)
    careful = Governor(Sampling(), primaries_only=True)
    assert careful.plan(replace(STATUS, role="slave")) == Skip(SkipReason.REPLICA, 1.0)
    assert isinstance(careful.plan(STATUS), Plan)


def test_one_huge_value_makes_shy_and_not_blind() -> None:
    """After a slice that one enormous line cut, a tenth of the time is observed for 20 s, then everything again."""
    governor = governor_of(Sampling())
    plan = burst(governor, STATUS)
    governor.learn(plan, seen(plan, 1000))
    governor.learn(plan, seen(plan, 8, outcome=Outcome.BYTES, size_bytes=4 << 20, lines=0))
    spent, observed = 0.0, 0.0
    while not (plan := burst(governor, STATUS)).joined:
        governor.learn(plan, seen(plan, 1000))
        spent += plan.cycle
        observed += plan.seconds
        assert spent < 25
    assert spent > 15
    assert 0.05 < observed / spent <= 0.11


def test_a_joined_session_that_is_lost_comes_back_shy() -> None:
    """A silence while everything was observed may be our doing: bursts follow. A closed connection is not."""
    governor = governor_of(Sampling())
    assert burst(governor, STATUS).joined
    governor.failed(DownReason.CLOSED, Outcome.ERROR)
    plan = burst(governor, STATUS)
    assert plan.joined
    governor.failed(DownReason.TIMEOUT, Outcome.TIME)
    assert governor.recovering
    plan = burst(governor, STATUS)
    assert not plan.joined
    assert plan.seconds / plan.cycle <= 0.11


def test_backoff_grows_but_never_past_two_seconds() -> None:
    """A node that keeps failing is tried ever less often, yet often enough to be back within 5 s."""
    governor = governor_of(Sampling())
    waits = [governor.failed(DownReason.REFUSED, Outcome.ERROR).wait_seconds for _ in range(10)]
    assert waits == sorted(waits)
    assert waits[0] <= 0.25
    assert waits[-1] == 2.0


def test_a_node_that_is_down_demands_nothing() -> None:
    """What cannot be read takes no share from those that can; what INFO says counts until there is a first look."""
    governor = governor_of(Sampling())
    assert governor.demand(None) == 0
    assert governor.demand(STATUS) == 1000
    governor.learn(plan := burst(governor, STATUS), seen(plan, 400))
    assert governor.demand(STATUS) == pytest.approx(400, rel=0.01)
    governor.failed(DownReason.TIMEOUT, Outcome.TIME)
    assert governor.demand(replace(STATUS, down=DownReason.TIMEOUT)) == 0


def test_the_first_look_after_a_failure_is_short_and_not_put_off() -> None:
    """While INFO still says that the node is down a try is cheap and soon, however slow bursts have been before."""
    governor = governor_of(Sampling())
    busy = replace(STATUS, ops_per_second=50_000.0)
    for _ in range(50):
        plan = burst(governor, busy)
        governor.learn(plan, seen(plan, 50_000, took=plan.seconds + 0.03))
    assert burst(governor, busy).mean_gap > 0.2
    governor.failed(DownReason.CLOSED, Outcome.ERROR)
    plan = burst(governor, replace(busy, down=DownReason.CLOSED))
    assert plan.seconds <= 0.002
    assert plan.mean_gap <= CYCLE_SECONDS
    governor.learn(plan, seen(plan, 50_000, took=plan.seconds + 0.03))
    assert burst(governor, busy).mean_gap > 0.2


def test_the_share_of_the_total_bounds_the_plan() -> None:
    """What a node may read is its own budget or its share of the total, whichever is smaller."""
    limited = replace(STATUS, ops_per_second=100_000, server_limit_bytes=32 << 20)
    governor = governor_of(Sampling())
    governor.allow(500)
    plan = burst(governor, limited)
    assert 100_000 * plan.seconds / plan.cycle <= 500
    governor.allow(1e9)
    plan = burst(governor, limited)
    assert 4500 <= 100_000 * plan.seconds / plan.cycle <= 5000


@pytest.mark.parametrize("load", [(0, 300_000), (4900, 5100), (1000, 200_000, 3000, 700_000, 10)])
def test_no_minute_exceeds_the_budget(load: tuple[int, ...]) -> None:
    """Whatever the load jumps to, and however often, a minute shows no more events than its budget."""
    limited = replace(STATUS, ops_per_second=load[0], server_limit_bytes=32 << 20)
    governor = governor_of(Sampling(bytes_per_second="100MiB"))
    began, events, turn = CLOCK.now, 0, 0
    while (spent := CLOCK.now - began) < 60:
        plan = burst(governor, limited)
        turn = int(spent / 7) % len(load)
        took = min(plan.seconds, plan.limits.events / max(load[turn], 1))
        piece = seen(plan, load[turn], took=took, outcome=Outcome.COMPLETE if took == plan.seconds else Outcome.EVENTS)
        governor.learn(plan, piece)
        events += piece.lines
    assert events <= 60 * 5000
    assert events >= 0.8 * 60 * sum(min(5000, one) for one in load) / len(load)


def test_what_is_owed_does_not_make_figures_stale() -> None:
    """Bursts of a starved exporter take too much each: what is owed makes gaps longer, but never over three seconds."""
    limited = replace(STATUS, ops_per_second=1e6, server_limit_bytes=32 << 20)
    governor = governor_of(Sampling(bytes_per_second="100MiB"))
    began, events, cycles = CLOCK.now, 0, []
    for _ in range(60):
        plan = burst(governor, limited)
        cycles.append(plan.cycle)
        piece = seen(plan, 1_000_000, took=plan.seconds + 0.008)
        governor.learn(plan, piece)
        events += piece.lines
    assert max(cycles) <= 3.0
    assert max(cycles) > 2.0
    assert events <= 5000 * (CLOCK.now - began)


@pytest.mark.parametrize("commands", [4001, 8000])
def test_too_many_commands_are_owed_and_no_reason_for_caution(commands: int) -> None:
    """A clump that fills a burst's limit makes gaps longer by what it was too much, not by half a dozen bursts more."""
    limited = replace(STATUS, ops_per_second=20_000.0, server_limit_bytes=32 << 20)
    governor = governor_of(Sampling(bytes_per_second="100MiB"))
    for _ in range(100):
        plan = burst(governor, limited)
        governor.learn(plan, seen(plan, 20_000))
    usual = burst(governor, limited)
    governor.learn(usual, seen(usual, commands / usual.seconds, outcome=Outcome.EVENTS))
    assert not governor.recovering
    for _ in range(3):
        plan = burst(governor, limited)
        governor.learn(plan, seen(plan, 20_000))
    assert plan.cycle <= 3.0


def test_a_load_that_comes_at_once_is_not_lost_sight_of() -> None:
    """From nothing to 800,000 a second: one slice shows 50,000 commands, and bursts follow within seconds."""
    limited = replace(STATUS, ops_per_second=0.0, input_bytes_per_second=0.0, server_limit_bytes=32 << 20)
    governor = governor_of(Sampling(bytes_per_second="100MiB"))
    plan = burst(governor, limited)
    governor.learn(plan, seen(plan, 800_000, took=0.0625, outcome=Outcome.EVENTS))
    for _ in range(10):
        plan = burst(governor, limited)
        assert not plan.joined
        assert plan.cycle <= 1.5
        governor.learn(plan, seen(plan, 800_000, took=plan.seconds))


@pytest.mark.parametrize("late", [0.003, 0.020])
def test_caution_does_not_let_figures_grow_stale(late: float) -> None:
    """Bursts that are stopped again and again, on a machine where each takes too long: still one every 1.5 s.

    Also without a server limit, where no more than `max_duty` is watched.
    """
    for status in (replace(STATUS, server_limit_bytes=32 << 20), STATUS):
        busy = replace(status, ops_per_second=150_000, input_bytes_per_second=6e6)
        governor = governor_of(Sampling(bytes_per_second="100MiB"))
        for _ in range(50):
            plan = burst(governor, busy)
            governor.learn(plan, seen(plan, 150_000, took=plan.seconds + late, outcome=Outcome.TIME))
        assert burst(governor, busy).cycle <= 1.5


def test_a_stream_a_little_over_the_budget_is_not_joined_for_long() -> None:
    """20 % too much is not left at once, but within seconds."""
    governor = governor_of(Sampling())
    began = CLOCK.now
    while (plan := burst(governor, STATUS)).joined:
        governor.learn(plan, seen(plan, 6000))
        assert CLOCK.now - began < 10


@pytest.mark.parametrize("outcome", [Outcome.KILLED, Outcome.BUFFER, Outcome.LAG])
def test_the_circuit_breaker(outcome: Outcome) -> None:
    """Five bursts in a row that had to be ended for us: none for ten seconds, then one on trial; success closes it."""
    governor = governor_of(Sampling())
    for _ in range(5):
        burst(governor, STATUS)
        governor.failed(DownReason.CLOSED, outcome)
    assert governor.plan(STATUS) == Skip(SkipReason.BREAKER, 10.0)
    burst(governor, STATUS)
    governor.failed(DownReason.CLOSED, outcome)
    assert governor.plan(STATUS) == Skip(SkipReason.BREAKER, 10.0)
    for _ in range(40):
        plan = burst(governor, STATUS)
        governor.learn(plan, seen(plan, 1000))
    burst(governor, STATUS)
    governor.failed(DownReason.CLOSED, outcome)
    burst(governor, STATUS)


def test_idle_servers_are_looked_at_less_often() -> None:
    """Where next to nothing happens a slice is half a second, and ends as early as any other when traffic starts."""
    idle = replace(STATUS, ops_per_second=3.0, input_bytes_per_second=100.0)
    plan = burst(governor_of(Sampling()), idle)
    assert plan.joined
    assert plan.seconds == 0.5
    assert plan.limits.events == burst(governor_of(Sampling()), STATUS).limits.events


def test_the_grace_of_the_watchdog_includes_the_way_to_the_server() -> None:
    """A server 100 ms away is not given up on for that; a busy one that is near gets no more than 100 ms."""
    busy = replace(STATUS, ops_per_second=300_000, input_bytes_per_second=12e6, server_limit_bytes=32 << 20)
    assert burst(governor_of(Sampling()), busy).limits.grace_seconds < 0.11
    far = replace(busy, latency_seconds=0.1)
    assert burst(governor_of(Sampling()), far).limits.grace_seconds == pytest.approx(0.2)
    assert burst(governor_of(Sampling()), STATUS).limits.grace_seconds == pytest.approx(0.35, abs=0.001)


@pytest.mark.parametrize("memory", [1 << 28, 1 << 30, 1 << 40])
@pytest.mark.parametrize("limited", [True, False])
def test_whoever_keeps_to_the_joined_budget_stays_joined(memory: int, limited: bool) -> None:
    """A stream of what `joined_budget` allows goes on joining, with one line of the largest kind in between."""
    status = replace(STATUS, ops_per_second=10, input_bytes_per_second=500.0, maxmemory_bytes=memory,
                     server_limit_bytes=32 << 20 if limited else 0)  # fmt: skip
    governor = governor_of(Sampling())
    plan = burst(governor, status)
    assert plan.joined
    budget, largest = governor.joined_budget(status)
    events = 0.85 * min(budget.events, budget.bytes / 500)
    for turn in range(400):
        large = {"size_bytes": int(largest)} if turn == 200 else {}
        governor.learn(plan, seen(plan, 0 if large else events, 500.0, **large))
        plan = burst(governor, status)
        assert plan.joined, turn
