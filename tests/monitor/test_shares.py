"""The total that this process may read is shared by need, and never exceeded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.monitor.shares import Demand, SharedBudget, shares
from exporter.snapshot import Node

NODES = [Node("cache", f"10.0.0.{n}:6379") for n in range(30)]
DEMANDS = st.lists(
    st.builds(Demand, events=st.floats(0, 1e6), most=st.floats(1, 1e5), hot=st.booleans()), max_size=len(NODES)
)


@given(st.floats(1, 1e6), DEMANDS)
def test_never_more_than_the_total_nor_than_a_nodes_own_budget(total: float, demands: list[Demand]) -> None:
    """Whatever the nodes ask for, the sum stays within the total and each share within the node's budget."""
    given_shares = shares(total, dict(zip(NODES, demands, strict=False)))
    assert sum(given_shares.values()) <= total * (1 + 1e-9)
    for node, demand in zip(NODES, demands, strict=False):
        assert 0 <= given_shares[node] <= demand.most * (1 + 1e-9)


@given(st.floats(100, 1e6), DEMANDS)
def test_nothing_is_left_while_somebody_could_use_it(total: float, demands: list[Demand]) -> None:
    """The total is given out in full unless every node has its whole budget."""
    given_shares = shares(total, dict(zip(NODES, demands, strict=False)))
    most = sum(demand.most for demand in demands)
    assert sum(given_shares.values()) == pytest.approx(min(total, most))


def test_few_nodes_get_what_they_are_allowed() -> None:
    """Where the budgets of all nodes fit into the total, each has its own."""
    assert shares(50_000, {node: Demand(100, 5000) for node in NODES[:10]}) == dict.fromkeys(NODES[:10], 5000)


def test_nodes_over_the_threshold_come_first_and_none_is_blind() -> None:
    """Of thirty busy nodes the three with keys over the threshold have all they can use; the others share the rest."""
    demands = {node: Demand(300_000, 5000, hot=n < 3) for n, node in enumerate(NODES)}
    found = shares(50_000, demands)
    assert [found[node] for node in NODES[:3]] == [5000] * 3
    assert [found[node] for node in NODES[3:]] == pytest.approx([35_000 / 27] * 27)
    scarce = shares(10_000, demands)
    assert min(scarce.values()) >= 0.999 * 10_000 * 0.1 / 30
    assert scarce[NODES[0]] > 8 * scarce[NODES[29]]


def test_a_small_demand_leaves_room_for_the_others() -> None:
    """An idle node does not hold what a busy one needs."""
    found = shares(6000, {NODES[0]: Demand(50, 5000), NODES[1]: Demand(90_000, 5000)})
    assert found[NODES[1]] == 5000
    assert found[NODES[0]] >= 50


def test_small_nodes_have_room_to_grow_beside_greedy_ones() -> None:
    """Forty idle nodes are not held down to what they did last because ten others want all there is."""
    idle = [Node("cache", f"10.0.1.{n}:6379") for n in range(40)]
    found = shares(50_000, dict.fromkeys(idle, Demand(5, 5000)) | dict.fromkeys(NODES[:10], Demand(1e9, 5000)))
    assert [found[node] for node in idle] == pytest.approx([100.0] * 40)
    assert [found[node] for node in NODES[:10]] == pytest.approx([4600.0] * 10)


def test_shares_are_fresh_and_leaving_frees_them() -> None:
    """A new demand counts within half a second, a new node and a new total at once; who leaves takes nothing along."""
    budget = SharedBudget(6000)
    assert budget.share(NODES[0], Demand(90_000, 5000), now=0.0) == 5000
    assert budget.share(NODES[1], Demand(90_000, 5000), now=0.1) == 3000
    assert budget.share(NODES[0], Demand(90_000, 5000, hot=True), now=0.2) == 3000, "the last sharing still holds"
    assert budget.share(NODES[0], Demand(90_000, 5000, hot=True), now=0.8) == 5000
    assert budget.share(NODES[1], Demand(90_000, 5000), now=0.9) == 1000
    budget.resize(60_000)
    assert budget.share(NODES[1], Demand(90_000, 5000), now=1.0) == 5000
    budget.leave(NODES[0])
    budget.resize(5500)
    assert budget.share(NODES[1], Demand(90_000, 5000), now=1.1) == 5000
