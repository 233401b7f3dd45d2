"""Shares of callers: exact where all was read, else with intervals that cover; bounded whoever calls."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.monitor.lookout import Call, Sightings
from exporter.sampling.callers import CLIENTS, COMMANDS, HOSTS, LISTED, PAIRS, STRETCHES, CallerBook
from exporter.sampling.interval import proportion
from tests.sampling.simulation import poisson

KEY = (0, b"k")
WEB, APP = b"10.0.0.1:1", b"10.0.0.2:1"


def calls(**counts: int) -> Sightings:
    """So many GETs by WEB, SETs by APP."""
    made = [Call(b"get", WEB, 1)] * counts.get("get", 0) + [Call(b"set", APP, 1)] * counts.get("set", 0)
    return Sightings(tuple(made))


def test_what_was_read_in_full_has_no_error() -> None:
    """Joined slices, one of them without a call, one without any length: counts over the time observed."""
    book = CallerBook(KEY)
    for start, end, seen in ((0.0, 0.5, calls(get=6)), (0.5, 1.0, calls()), (1.0, 1.0, calls(set=2))):
        book.add(start, end, end - start, seen)
    found = book.callers()
    assert (found.rate, found.seen, found.observed, found.span) == (8.0, 8, 1.0, 1.0)
    assert [(one.command, one.rate, one.low, one.share, one.high) for one in found.commands] == [
        (b"get", 6.0, 0.75, 0.75, 0.75), (b"set", 2.0, 0.25, 0.25, 0.25),
    ]  # fmt: skip
    assert [(one.client, one.share) for one in found.clients] == [(WEB, 0.75), (APP, 0.25)]
    assert [(one.client, one.command) for one in found.pairs] == [(WEB, b"get"), (APP, b"set")]


def test_rounding_makes_no_error() -> None:
    """A cycle that differs from what was observed in its last bits is the same."""
    book = CallerBook(KEY)
    book.add(1_795_397_124.1, 1_795_397_124.3, 0.2 * (1 + 1e-9), calls(get=3, set=1))
    assert {one.low for one in book.callers().clients} == {0.75, 0.25}


def test_bursts_speak_for_their_cycles() -> None:
    """A burst of 10 ms in a cycle of 100 ms: ten times what was seen, and an error."""
    book = CallerBook(KEY)
    for number in range(20):
        book.add(number * 0.1, number * 0.1 + 0.01, 0.1, calls(get=3, set=1))
    found = book.callers()
    assert found.rate == pytest.approx(400.0)
    assert (found.observed, found.span) == (pytest.approx(0.2), pytest.approx(2.0))
    for one in (*found.commands, *found.clients):
        assert 0.0 < one.low < one.share < one.high < 1.0


def test_a_sole_caller_of_a_sample_need_not_be_the_only_one() -> None:
    """Ten accesses seen, all of one client: others may have up to a quarter or so."""
    book = CallerBook(KEY)
    book.add(0.0, 0.01, 0.1, calls(get=10))
    (only,) = book.callers().clients
    assert only.share == only.high == 1.0
    assert 0.3 < only.low < 0.9


@pytest.mark.parametrize("clump", [1, 8])
def test_intervals_cover(clump: int) -> None:
    """In 19 of 20 windows, give or take chance, the true share lies inside; pipelines that call in clumps included."""
    chance, inside, trials = random.Random(7), 0, 300
    for _ in range(trials):
        book = CallerBook(KEY)
        for number in range(300):
            web, app = (clump * poisson(chance, mean / clump) for mean in (0.9, 0.3))
            book.add(number * 0.2, number * 0.2 + 0.004, 0.2, calls(get=web, set=app))
        web_share = next(one for one in book.callers().clients if one.client == WEB)
        inside += web_share.low <= 0.75 <= web_share.high
    assert inside / trials >= 0.92


def test_a_draw_of_lines_covers_as_well() -> None:
    """Where a key is so hot that only some of its lines are read, in slices that were observed in full."""
    chance, inside, trials = random.Random(8), 0, 200
    for _ in range(trials):
        book = CallerBook(KEY)
        for number in range(40):
            lines = [Call(b"get", WEB, 1)] * 900 + [Call(b"set", APP, 1)] * 100
            book.add(number * 0.125, number * 0.125 + 0.125, 0.125, Sightings(tuple(chance.sample(lines, 50)), 20.0))
        (_, app) = book.callers().clients
        inside += app.low <= 0.1 <= app.high
    assert inside / trials >= 0.92


def test_what_is_older_than_the_window_leaves() -> None:
    """By stretches: between five and six sixths of the window are known. A clock that is set back begins anew."""
    book = CallerBook(KEY, 60.0)
    for second in range(200):
        book.add(float(second), second + 1.0, 1.0, calls(get=1))
    found = book.callers()
    assert 60 - 60 / STRETCHES <= found.span <= 60
    assert found.seen == found.span
    book.add(5.0, 6.0, 1.0, calls(set=1))
    assert [one.command for one in book.callers().commands] == [b"set"]


def test_short_lived_connections_are_counted_by_host() -> None:
    """Beyond so many clients, and beyond so many hosts together; the shares of all still add up to one."""
    book = CallerBook(KEY)
    many = [Call(b"get", b"10.0.0.1:%d" % port, 1) for port in range(1000)]
    book.add(0.0, 1.0, 1.0, Sightings(tuple(many)))
    first = book.callers().clients[0]
    assert (first.client, first.share) == (b"10.0.0.1:*", (1000 - CLIENTS) / 1000)


@given(st.integers(0, 5), st.integers(1, 4000), st.integers(1, 200))
def test_memory_is_bounded(spread: int, clients: int, commands: int) -> None:
    """Whatever clients and commands there are, a stretch holds no more than its rooms."""
    book = CallerBook(KEY)
    made = [Call(b"c%d" % (n % commands), b"10.0.%d.%d:%d" % (n % 200, spread, n), 1) for n in range(clients)]
    book.add(0.0, 1.0, 1.0, Sightings(tuple(made)))
    held = Counter(bool(client) + 2 * bool(command) for client, command in book._stretches[0].sums)
    assert held[1] <= CLIENTS + HOSTS + 1
    assert held[2] <= COMMANDS + 1
    assert held[3] <= PAIRS
    found = book.callers()
    assert max(len(found.commands), len(found.clients)) <= LISTED
    assert found.seen == clients


@given(st.floats(0.0, 1.0), st.floats(0.0, 1e9), st.floats(0.0, 1e6))
def test_a_proportion_keeps_its_order(share: float, effective: float, degrees: float) -> None:
    """0 <= low <= share <= high <= 1."""
    found = proportion(share, effective, degrees)
    assert 0.0 <= found.low <= share <= found.high <= 1.0
