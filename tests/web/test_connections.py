"""Who waits for their client is bounded in number and bytes, and who holds most loses first."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.web.connections import MAX_UNREAD, MAX_UNREAD_BYTES, MAX_WAITING, Waiting, client_of


class Connections:
    """Connections by number, and which of them were closed."""

    def __init__(self) -> None:
        self.waiting = Waiting()
        self.closed: list[int] = []

    def add(self, number: int, client: bytes = b"10.0.0.1", unread: int = 0) -> None:
        """One waits."""
        self.waiting.add(number, client, lambda: self.closed.append(number), unread)


def test_the_one_that_waits_longest_is_closed() -> None:
    """Of one client's connections; who had a request meanwhile has not waited long."""
    of = Connections()
    for number in range(MAX_WAITING):
        of.add(number)
    of.waiting.discard(0)
    of.add(0)
    of.add(MAX_WAITING)
    of.add(MAX_WAITING + 1)
    assert of.closed == [1, 2]
    assert len(of.waiting) == MAX_WAITING


def test_a_flood_costs_nobody_else_their_place() -> None:
    """Prometheus' idle connection, though the oldest of all, survives thousands from another address."""
    of = Connections()
    of.add(-1, b"10.0.0.9")
    for number in range(5000):
        of.add(number)
    assert -1 not in of.closed
    assert len(of.waiting) == MAX_WAITING


def test_who_does_not_read_is_bounded_more_narrowly() -> None:
    """In connections and in bytes, and those that only wait for a request stay."""
    of = Connections()
    for number in range(60):
        of.add(number)
    for number in range(100, 100 + MAX_UNREAD + 3):
        of.add(number, unread=1000)
    assert of.closed == [100, 101, 102]
    of.add(200, b"10.0.0.2", MAX_UNREAD_BYTES)
    assert 200 in of.closed or len(of.closed) == 3 + MAX_UNREAD


def test_one_large_answer_alone_may_take_its_time() -> None:
    """However large it is; the next one is too much."""
    of = Connections()
    of.add(1, unread=2 * MAX_UNREAD_BYTES)
    assert not of.closed
    of.add(2, b"10.0.0.2", unread=1)
    assert of.closed == [1]


class Transport:
    """The part of a transport that says who is at the other end."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer

    def get_extra_info(self, _name: str) -> Any:
        """The address."""
        return self._peer


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("10.0.0.1", 1), ("10.0.0.1", 2), True),
        (("10.0.0.1", 1), ("10.0.0.2", 1), False),
        (("2001:db8::1", 1, 0, 0), ("2001:db8::ffff:1", 1, 0, 0), True),
        (("2001:db8::1", 1, 0, 0), ("2001:db8:0:1::1", 1, 0, 0), False),
        (("::ffff:10.0.0.1", 1, 0, 0), ("::ffff:10.0.0.2", 1, 0, 0), False),
        (("fe80::1%eth0", 1, 0, 2), ("fe80::2%eth0", 1, 0, 2), True),
        (None, "", True),
    ],
)
def test_a_client_is_an_address_or_a_network(one: Any, other: Any, same: bool) -> None:
    """An IPv6 client chooses the second half of its address as it likes."""
    transports: list[Any] = [Transport(one), Transport(other)]
    assert (client_of(transports[0]) == client_of(transports[1])) is same
