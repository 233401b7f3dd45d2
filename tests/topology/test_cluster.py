"""Which nodes a cluster has, by what its nodes say; what they say is copied from real ones."""

from __future__ import annotations

import threading

import pytest

from exporter.config import Target
from exporter.topology import Member, Role
from exporter.topology.cluster import ClusterDiscovery, best, entries, members

A, B, C, D = (letter * 40 for letter in "abcd")
WELL = f"""\
{A} 10.0.0.1:7000@17000 myself,master - 0 1790000000000 1 connected 0-8191
{B} 10.0.0.2:7000@17000,node-2 master - 0 1790000000000 2 connected 8192-16381 16383 [93->-{A}]
{C} 10.0.0.3:7000@17000,,tls-port=0 slave {A} 0 1790000000000 1 connected
{D} :7001@17001 master - 0 1790000000000 0 connected
"""
FAILED_OVER = f"""\
{A} 10.0.0.1:7000@17000 master,fail - 0 1790000000000 1 disconnected
{B} 10.0.0.2:7000@17000 master,fail? - 0 1790000000000 2 connected 8192-16383
{C} 10.0.0.3:7000@17000 myself,master - 0 1790000000000 3 connected 0-8191
"""


def test_every_line_of_the_reply_is_read() -> None:
    """Old and new forms of an address, slots with and without a range, and a node that does not know its address."""
    view = entries(WELL, "seed.example")
    assert [one.addr for one in view] == ["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000", "seed.example:7001"]
    assert [one.slots for one in view] == [8192, 8191, 0, 0]
    assert [one.primary for one in view] == ["", "", A, ""]


def test_names_are_used_where_certificates_want_them() -> None:
    """With TLS the announced name of a node is its address, and the IP where it announces none."""
    view = entries(WELL, "seed.example", by_name=True)
    assert [one.addr for one in view][:3] == ["10.0.0.1:7000", "node-2:7000", "10.0.0.3:7000"]


@pytest.mark.parametrize("flags", ["handshake", "slave,noaddr", "noaddr,fail"])
def test_nodes_without_an_address_are_left_out(flags: str) -> None:
    """Nobody can reach them, so they are no nodes to watch."""
    line = f"{D} :0@0 {flags} - 0 0 0 disconnected\n"
    assert len(entries(WELL + line, "seed")) == 4


@pytest.mark.parametrize("text", ["OK", f"{A} 10.0.0.1:x@1 master - 0 0 1 connected", f"{A} a:1@1 master - 0 0 x up"])
def test_what_is_no_such_reply_is_refused(text: str) -> None:
    """Garbage is an error and never half a cluster."""
    with pytest.raises(ValueError, match=r"eight words|invalid literal"):
        entries(text, "seed")


def test_roles_and_shards() -> None:
    """A shard is its primary and its replicas, under one name; primaries come first."""
    found = members(entries(WELL, "10.0.0.4"), ())
    assert found == (
        Member("10.0.0.1:7000", Role.PRIMARY, A[:8], A[:8]),
        Member("10.0.0.2:7000", Role.PRIMARY, B[:8], B[:8]),
        Member("10.0.0.4:7001", Role.PRIMARY, D[:8], D[:8]),
        Member("10.0.0.3:7000", Role.REPLICA, A[:8], A[:8]),
    )


def test_a_shard_keeps_its_name_in_a_failover() -> None:
    """The replica that was promoted, and the old primary once it is back, stay in it; a suspicion is no death."""
    before = members(entries(WELL, "10.0.0.4"), ())
    after = {one.addr: one for one in members(entries(FAILED_OVER, "seed"), before)}
    assert after["10.0.0.3:7000"] == Member("10.0.0.3:7000", Role.PRIMARY, A[:8], A[:8])
    assert after["10.0.0.1:7000"] == Member("10.0.0.1:7000", Role.UNDECIDED, A[:8], A[:8])
    assert after["10.0.0.2:7000"].role is Role.PRIMARY
    back = FAILED_OVER.replace("master,fail - 0 1790000000000 1 disc", f"slave {C} 0 1790000000000 3 disc")
    again = {one.addr: one for one in members(entries(back, "seed"), tuple(after.values()))}
    assert again["10.0.0.1:7000"] == Member("10.0.0.1:7000", Role.REPLICA, A[:8], A[:8])


def test_two_primaries_never_share_a_name() -> None:
    """A replica that was made a shard of its own, while its old primary lives on, gets another name."""
    before = members(entries(WELL, "10.0.0.4"), ())
    split = f"""\
{A} 10.0.0.1:7000@17000 myself,master - 0 1790000000000 1 connected 0-4095
{B} 10.0.0.2:7000@17000 master - 0 1790000000000 2 connected 8192-16383
{C} 10.0.0.3:7000@17000 master - 0 1790000000000 4 connected 4096-8191
"""
    shards = [one.shard for one in members(entries(split, "seed"), before)]
    assert shards == [A[:8], B[:8], C[:8]]


def test_the_best_view_counts() -> None:
    """A node that was removed, and one that missed a failover, know less than the others."""
    alone = entries(f"{D} 10.0.0.4:7001@17001 myself,master - 0 0 9 connected\n", "seed")
    late, now = entries(WELL, "seed"), entries(FAILED_OVER, "seed")
    assert best([alone, late]) is late
    assert best([late, now, alone]) is now


def test_a_change_ends_the_wait() -> None:
    """Who hears of a change looks again soon, and who is to stop stops."""
    discovery = ClusterDiscovery(Target.model_validate({"name": "c", "url": "redis://a:1,b:2"}))
    assert discovery.seeds == ("a:1", "b:2")
    stop = threading.Event()
    waiting = threading.Thread(target=discovery.wait, args=(stop,))
    discovery.hurry()
    waiting.start()
    waiting.join(10)
    assert not waiting.is_alive()
    stop.set()
    discovery.wait(stop)
