"""The pure decisions of warming: pace, circuit, guards, triggers, selection, refresh, attribution."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from exporter.warming import refresh
from exporter.warming.attribution import Attribution
from exporter.warming.guards import Vitals, refusal, room
from exporter.warming.items import Reason
from exporter.warming.pace import LONGEST_BACKOFF, Bucket, Circuit
from exporter.warming.selection import selected
from exporter.warming.triggers import Sight, trigger
from tests.warming.jobs import job_of

WELL = Vitals.parse(b"role:master\r\nrun_id:a\r\nused_memory:50\r\nmaxmemory:100\r\nevicted_keys:7\r\nloading:0\r\n")


def test_bucket_keeps_the_rate_over_time() -> None:
    """Whatever the batches are, no more than the rate and a quarter of a second's worth is used."""
    bucket, now, used = Bucket(1000, 0.0), 0.0, 0
    for batch in (100, 500, 1, 400, 2000) * 20:
        now += bucket.take(batch, now)
        used += batch
        assert used <= 1000 * now + 250 + batch

    assert used / now == pytest.approx(1000, rel=0.05)


def test_circuit_rests_longer_each_time() -> None:
    """Three failures in a row open it; every further one doubles the rest, up to a bound; a success closes it."""
    circuit, rests = Circuit(), []
    for _ in range(12):
        now = max(circuit.closed_at, 0.0)
        assert circuit.allows(now)
        circuit = circuit.failed(now)
        rests.append(circuit.closed_at - now if not circuit.allows(now) else 0.0)

    assert rests[:2] == [0.0, 0.0]
    assert rests[2:5] == [5.0, 10.0, 20.0]
    assert rests[-1] == LONGEST_BACKOFF


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"loading": True}, Reason.LOADING),
        ({"role": "slave"}, Reason.ROLE),
        ({"run_id": "b"}, Reason.ROLE),
        ({"evicted": 8}, Reason.EVICTIONS),
        ({"used": 81}, Reason.MEMORY),
        ({"used": 81, "most": 0}, None),
    ],
)
def test_guards(change: dict[str, object], reason: Reason | None) -> None:
    """A run ends where the node loads, is no primary, is another process, evicts, or is nearly full."""
    assert refusal(replace(WELL, **change), WELL, job_of()) == reason  # type: ignore[arg-type]


def test_triggers() -> None:
    """Another primary, another process and an emptied data set are noticed; growth and a restart of us are not."""
    one, other = frozenset({("a", "1")}), frozenset({("b", "2")})

    assert trigger(None, Sight(one, 100)) is None
    assert trigger(Sight(one, 100), Sight(one, 5000)) is None
    assert trigger(Sight(one, 100), Sight(other, 100)) == "failover"
    assert trigger(Sight(one, 100), Sight(frozenset({("a", "9")}), 0)) == "failover"
    assert trigger(Sight(one, 1000), Sight(one, 0)) == "emptied"
    assert trigger(Sight(one, 1000), Sight(one, 900)) is None
    assert trigger(Sight(one, 3), Sight(one, 0)) is None
    assert trigger(Sight(one, 1000), None) is None


def test_selection() -> None:
    """Keys are ranked, of the job's database, and such as the job can name; saved ones stand in for an empty window."""
    hot = [(0, b"session:1", 5.0), (0, b"other:1", 99.0), (1, b"session:9", 50.0), (0, b"session:2", 7.0)]
    saved = [(0, b"session:3", 1.0)]
    missed = [(0, b"session:4", 3.0), (0, b"session:2", 1.0)]

    assert selected(job_of(), 0, hot, saved, missed) is None
    assert selected(job_of(select="hot"), 0, hot, saved, missed) == (b"session:2", b"session:1")
    assert selected(job_of(select="hot"), 0, [], saved, missed) == (b"session:3",)
    assert selected(job_of(select="missed"), 0, hot, saved, missed) == (b"session:4", b"session:2")
    assert selected(job_of(select="all"), 0, hot, saved, missed) == (b"session:4", b"session:2", b"session:1")
    assert selected(job_of(select="all", max_keys=1), 0, hot, saved, missed) == (b"session:4",)


def test_refresh_rule() -> None:
    """Slow loads refresh earlier, a key with time left is left alone, one that ends before the next look is not."""
    assert not refresh.due(10.0, 0.005, 0.5)
    assert refresh.due(0.4, 0.0, 1.0)
    assert refresh.due(2.0, 2.0, 0.1)
    assert not refresh.due(2.0, 0.02, 0.1)


def test_attribution_counts_what_was_seen() -> None:
    """Read before expiry is useful, unread and observed in full is wasted, unread and unobserved is neither."""
    ledger = Attribution()
    ledger.cost_seconds = 0.5
    ledger.warmed(0, [(b"read", 10_000), (b"unread", 10_000), (b"written", 10_000)], now=0.0)
    for second in range(20):
        ledger.seen(1.0, {(0, b"read"): (1, 0), (0, b"written"): (1, 1)} if second == 3 else {})

    use = ledger.use(20.0)
    assert (use.useful, use.wasted, use.observed_ratio, use.saved_seconds) == (1, 2, 1.0, 0.5)

    ledger.warmed(0, [(b"later", 10_000)], now=20.0)
    use = ledger.use(40.0)
    assert (use.useful, use.wasted, use.observed_ratio) == (1, 2, 0.5)


@pytest.mark.parametrize(
    ("change", "left"), [({}, 30.0), ({"used": 80}, 0.0), ({"used": 200}, 0.0), ({"used": 200, "most": 0}, inf)]
)
def test_room(change: dict[str, int], left: float) -> None:
    """What may still be written is what the guard would still let pass: up to 80 % of maxmemory here."""
    assert room(replace(WELL, **change), job_of()) == pytest.approx(left)
