"""What the next burst may cost: budgets, safety, trips and recovery, decided without a clock or a socket."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.config import Sampling
from exporter.errors import DownReason
from exporter.monitor.governor import CYCLE_SECONDS, Governor, Plan, Skip, SkipReason, share_of
from exporter.monitor.session import Outcome, Slice
from exporter.snapshot import NodeStatus

GIBIBYTE = 1 << 30
STATUS = NodeStatus(
    down=None, detail="", role="master", server="redis", version="7.0.15", run_id="x", latency_seconds=0.0002,
    uptime_seconds=1.0, used_memory_bytes=1 << 20, maxmemory_bytes=0, total_memory_bytes=16 * GIBIBYTE,
    maxmemory_policy="noeviction", ops_per_second=1000.0, input_bytes_per_second=50_000.0, loading=False,
    failover=False, connected_clients=1, evicted_keys=0, hit_ratio={}, server_limit_bytes=0,
    largest_output_buffer_bytes=0, last_success=1.0, taken_at=0.0,
)  # fmt: skip


def governor_of(sampling: Sampling) -> Governor:
    """The governor of a node that shares its budget with nobody."""
    return Governor(sampling, sampling.events_per_second)


def burst(governor: Governor, status: NodeStatus) -> Plan:
    """A plan that is expected to be one."""
    plan = governor.plan(status)
    assert isinstance(plan, Plan)
    return plan


def seen(plan: Plan, events_per_second: float, bytes_per_event: float = 60.0, **changes: object) -> Slice:
    """What a slice of `plan` saw at a given load."""
    lines = int(events_per_second * plan.seconds)
    fields = {"data": b"", "start": 100.0, "end": 100.0 + plan.seconds, "lines": lines,
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
    assert ops * plan.seconds / plan.cycle == pytest.approx(5000, rel=0.05)
    assert plan.cycle >= CYCLE_SECONDS
    assert plan.limits.events >= 8 * 5000 * plan.cycle * 0.99


def test_the_time_that_opening_and_closing_takes_is_planned_in() -> None:
    """A burst that always takes 3 ms longer than planned still shows no more than the budget."""
    limited = replace(STATUS, ops_per_second=300_000, server_limit_bytes=32 << 20)
    governor = governor_of(Sampling(bytes_per_second="100MiB"))
    plan = burst(governor, limited)
    for _ in range(200):
        took = plan.seconds + 0.003
        governor.learn(plan, seen(plan, 300_000, end=100.0 + took, lines=int(300_000 * took), size_bytes=0))
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
    careful = Governor(Sampling(), 5000, primaries_only=True)
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
    governor.failed(DownReason.CLOSED)
    assert burst(governor, STATUS).joined
    governor.failed(DownReason.TIMEOUT)
    assert governor.recovering
    plan = burst(governor, STATUS)
    assert not plan.joined
    assert plan.seconds / plan.cycle <= 0.11


def test_backoff_grows_but_never_past_two_seconds() -> None:
    """A node that keeps failing is tried ever less often, yet often enough to be back within 5 s."""
    governor = governor_of(Sampling())
    waits = [governor.failed(DownReason.REFUSED).wait_seconds for _ in range(10)]
    assert waits == sorted(waits)
    assert waits[0] <= 0.25
    assert waits[-1] == 2.0


def test_nodes_share_the_total() -> None:
    """total_events_per_second bounds what we read over all nodes."""
    limited = replace(STATUS, ops_per_second=100_000, server_limit_bytes=32 << 20)
    share = share_of(Sampling(), 50_000, targets=100)
    plan = burst(Governor(Sampling(), share), limited)
    assert share_of(Sampling(), 50_000, targets=2) == 5000
    assert 100_000 * plan.seconds / plan.cycle <= 1.05 * 500
