"""Which nodes are sampled."""

from __future__ import annotations

import pytest

from exporter.topology import Member, Role, sampled

P1 = Member("a:1", Role.PRIMARY, "one", "one")
R1, R2 = Member("a:2", Role.REPLICA, "one", "one"), Member("a:3", Role.REPLICA, "one", "one")
P2 = Member("b:1", Role.PRIMARY, "two", "two")
DEAD = Member("c:1", Role.UNDECIDED, "one", "one")
ALL = (P1, P2, DEAD, R1, R2)


@pytest.mark.parametrize(
    ("prefer", "usable", "before", "chosen"),
    [
        (False, {"a:2", "a:3"}, {}, {"a:1", "b:1"}),
        # One replica in the place of its primary; a shard without one is sampled at the primary.
        (True, {"a:2", "a:3"}, {}, {"a:2", "b:1"}),
        # The one that is sampled already stays, as long as it can be used.
        (True, {"a:2", "a:3"}, {"a:3"}, {"a:3", "b:1"}),
        (True, {"a:2"}, {"a:3"}, {"a:2", "b:1"}),
        (True, set(), {"a:3"}, {"a:1", "b:1"}),
    ],
)
def test_each_shard_is_sampled_once(prefer: bool, usable: set[str], before: set[str], chosen: set[str]) -> None:
    """Exactly one node of each shard that has a primary, and no node that is given up."""
    assert sampled(ALL, usable.__contains__, before, prefer_replica=prefer) == chosen


def test_a_server_of_its_own_is_sampled() -> None:
    """Where nobody knows of roles, the one node is it."""
    assert sampled((Member("a:1"),), lambda _: False, (), prefer_replica=True) == {"a:1"}
