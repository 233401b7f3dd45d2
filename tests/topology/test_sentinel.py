"""Who is the primary, by what Sentinels and the nodes themselves say."""

from __future__ import annotations

import pytest

from exporter.topology import Role
from exporter.topology.sentinel import Answer, candidates, chosen

A, B = "10.0.0.1:6379", "10.0.0.2:6379"


@pytest.mark.parametrize(
    ("answers", "known", "roles", "primary", "role"),
    [
        ([(A, 1), (A, 1), (A, 1)], None, {A: True}, A, Role.PRIMARY),
        # One of three lies, or is late.
        ([(B, 9), (A, 1), (A, 1)], A, {A: True, B: True}, A, Role.PRIMARY),
        # The primary hangs: it stays the primary until the Sentinels decide.
        ([(A, 1), (A, 1), (A, 1)], A, {}, A, Role.PRIMARY),
        # The only one that is left names a replica.
        ([(B, 1)], A, {A: True, B: False}, B, Role.UNDECIDED),
        # Two, of two minds: the newer decision, if the node agrees.
        ([(A, 1), (B, 2)], A, {A: True, B: True}, B, Role.PRIMARY),
        ([(A, 1), (B, 2)], A, {A: True, B: False}, A, Role.PRIMARY),
        ([(A, 1), (B, 2)], A, {}, A, Role.UNDECIDED),
        # Demoted, but the Sentinels do not know yet.
        ([(A, 1), (A, 1)], A, {A: False}, A, Role.UNDECIDED),
    ],
)
def test_the_primary(
    answers: list[tuple[str, int]], known: str | None, roles: dict[str, bool], primary: str, role: Role
) -> None:
    """The majority of those that answer decides, and the node's own ROLE has to agree."""
    ordered = candidates([Answer(addr, epoch, ()) for addr, epoch in answers])
    found, as_what = chosen(ordered, known, roles.get)
    assert (found.addr, as_what) == (primary, role)


def test_replicas_are_those_of_the_chosen_view() -> None:
    """The replicas of all Sentinels that agree count; what another view says does not."""
    first, second = candidates([Answer(A, 1, (B,)), Answer(A, 1, ("10.0.0.3:6379",)), Answer(B, 1, (A,))])
    assert first.replicas == (B, "10.0.0.3:6379")
    assert second.replicas == (A,)
