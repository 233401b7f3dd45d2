"""The busiest slots: asked by what the server counts, bounded, and without new series at every change of rank."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.stats.info import parse
from exporter.stats.questions import of_slots
from exporter.stats.slots import LEADERS, NUMBERS, BusiestSlots

INFO = parse(b"")


def reply(numbers: dict[int, dict[str, int]]) -> list[Any]:
    """What the server answers: slots with flat lists of names and numbers."""
    return [
        [slot, [one for pair in named.items() for one in (pair[0].encode(), pair[1])]]
        for slot, named in numbers.items()
    ]


def keys(*slots: int) -> list[Any]:
    """The answer of a server that counts keys only, best first."""
    return reply({slot: {"key-count": 100 - place} for place, slot in enumerate(slots)})


def test_only_what_the_server_counts_is_asked() -> None:
    """First the keys alone; where more numbers come with them, these orders too, and no longer once they are gone."""
    slots = BusiestSlots()
    assert [command[3] for command in slots.commands(INFO)] == ["KEY-COUNT"]
    everything = reply({7: dict.fromkeys(NUMBERS, 5)})
    assert slots.read(INFO, [everything]) == {"7": dict.fromkeys(NUMBERS, 5.0)}
    assert [command[3].lower() for command in slots.commands(INFO)] == list(NUMBERS)
    slots.read(INFO, [keys(7), *[everything] * 4])
    assert [command[3] for command in slots.commands(INFO)] == ["KEY-COUNT"]


def test_as_many_as_are_meant_and_no_idle_ones() -> None:
    """Ten slots by each number; one that has nothing of it is no leader."""
    slots = BusiestSlots()
    assert set(slots.read(INFO, [keys(*range(20))])) == {str(slot) for slot in range(LEADERS)}
    assert BusiestSlots().read(INFO, [reply({3: {"key-count": 1}, 4: {"key-count": 0}})]) == {"3": {"key-count": 1.0}}


def test_a_leader_stays_while_it_is_not_far_behind() -> None:
    """Slots that change places are the same series; who falls behind the first twenty makes room for the best."""
    slots = BusiestSlots()
    first = set(slots.read(INFO, [keys(*range(20))]))
    assert set(slots.read(INFO, [keys(*range(19, -1, -1))])) == first
    later = set(slots.read(INFO, [keys(*range(1, 21))]))
    assert later == (first - {"0"}) | {"10"}


@pytest.mark.parametrize(
    "odd",
    [None, 5, b"text", [], [5], [[1]], [[1, 2]], [[b"1", []]], [[-1, [b"key-count", 1]]], [[16384, [b"key-count", 1]]],
     [[1, [b"key-count", b"many"]]], [[1, [b"key-count", -1]]], [[1, [5, b"key-count"]]], [[1, [b"key-count"]]]],
)  # fmt: skip
def test_what_looks_otherwise_is_left_out(odd: Any) -> None:
    """A reply of another shape gives no slot and no fault."""
    slots = BusiestSlots()
    assert slots.read(INFO, [odd]) == {}
    assert len(slots.commands(INFO)) == 1


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ("redis_version:8.2.3", True),
        ("redis_version:8.0.9", False),
        ("redis_version:7.2.4\r\nvalkey_version:8.0.0", True),
        ("redis_version:7.2.4\r\nvalkey_version:7.2.9", False),
    ],
)
def test_who_is_asked(fields: str, asked: bool) -> None:
    """Cluster nodes of servers that know the command, and nobody else."""
    question = of_slots(BusiestSlots())
    assert question.applies(parse(f"# Server\r\n{fields}\r\ncluster_enabled:1\r\n".encode())) is asked
    assert not question.applies(parse(f"# Server\r\n{fields}\r\ncluster_enabled:0\r\n".encode()))
