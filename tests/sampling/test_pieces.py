"""From the lines of a slice to the pieces of the window."""

from __future__ import annotations

import random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.monitor.governor import Plan
from exporter.monitor.keys import CommandTable
from exporter.monitor.parse import Own
from exporter.monitor.session import Limits, Outcome, Slice
from exporter.sampling.pieces import Reading, Stretch, merged, read
from exporter.sampling.slowdown import Served

START = 1_700_000_000
TABLE = CommandTable.builtin()
OURS = b"127.0.0.1:6"
LIMITS = Limits(events=1000, bytes=1 << 20)


def line(at: float, key: str, command: str = "get", source: str = "127.0.0.1:5") -> bytes:
    """One line of MONITOR."""
    return b'+%.6f [0 %s] "%s" "%s"\r\n' % (START + at, source.encode(), command.encode(), key.encode())


def pieces(
    data: bytes, begin: float, end: float, plan: Plan, served: Served | None = None, seed: int = 1
) -> list[Reading]:
    """What becomes of a slice."""
    taken = Slice(data, START + begin, START + end, data.count(b"\n"), len(data), 0.0, Outcome.COMPLETE)
    return list(read(plan, taken, served, TABLE, Own(frozenset({OURS})), random.Random(seed)))


def test_a_usual_burst_is_one_piece() -> None:
    """It stands for its cycle, and holds what it saw."""
    data = b"".join(line(0.1 + n / 10_000, f"key:{n % 3}") for n in range(90))
    [one] = pieces(data, 0.1, 0.11, Plan(False, 0.01, 0.09, LIMITS))
    assert one.counts.commands == one.piece.commands == 90
    assert one.piece.accesses == {(0, b"key:%d" % n): (30, 0) for n in range(3)}
    assert one.piece.cycle == pytest.approx(0.1)
    assert one.piece.size == len(data)


def test_a_burst_is_cut_at_the_second() -> None:
    """Each second gets its lines, its time, and its share of the cycle and of what the server counted."""
    data = b"".join(line(0.995 + n / 10_000, "a" if n < 50 else "b") for n in range(100))
    first, second = pieces(
        data, 0.995, 1.005, Plan(False, 0.01, 0.09, LIMITS), Served(0.1, 1000.0, 100.0, slowed=False)
    )
    assert (first.piece.accesses, second.piece.accesses) == ({(0, b"a"): (50, 0)}, {(0, b"b"): (50, 0)})
    assert first.piece.end == second.piece.start == START + 1
    assert first.piece.cycle == pytest.approx(0.05, rel=1e-3)
    assert first.piece.served is not None
    assert first.piece.served.watched == pytest.approx(50.0, rel=1e-3)


def test_a_burst_that_met_a_clump_counts_stretch_by_stretch() -> None:
    """It begins before the clump: what it saw until a limit mattered counts as ever, what came then for little."""
    quiet = b"".join(line(0.1 + n / 10_000, "quiet") for n in range(50))
    clump = b"".join(line(0.105 + n / 1_000_000, "clump", "set") for n in range(1100))
    ours = b"".join(line(0.1062 + n / 1_000_000, "ours", source=OURS.decode()) for n in range(5))
    plan = Plan(False, 0.01, 0.09, LIMITS)
    found = [pieces(quiet + clump + ours, 0.1, 0.1065, plan, seed=seed)[0] for seed in range(20)]
    assert all(one.counts.commands == 1150 for one in found)
    assert all(one.counts.own == 5 for one in found)
    worth = [  # in the accesses of a whole cycle
        {
            key: one.piece.cycle / (one.piece.end - one.piece.start) * of[0]
            for (_, key), of in one.piece.accesses.items()
        }
        for one in found
    ]
    assert mean(one[b"quiet"] for one in worth) == pytest.approx(500.0, rel=0.02)
    assert 5000.0 < mean(one[b"clump"] for one in worth) < 8000.0
    assert all(
        writes == count for one in found for key, (count, writes) in one.piece.accesses.items() if key[1] == b"clump"
    )


def test_what_a_script_does_stays_with_it() -> None:
    """A stretch never ends between a script of ours and what it does, however much that is."""
    script = b'+%.6f [0 %s] "eval" "x" "0"\r\n' % (START + 0.1005, OURS)
    inner = b"".join(line(0.1005 + n / 1_000_000, "made", "incr", "lua") for n in range(900))
    others = b"".join(line(0.103 + n / 1_000_000, "other") for n in range(300))
    [one] = pieces(script + inner + others, 0.1, 0.11, Plan(False, 0.01, 0.09, LIMITS))
    assert one.counts.own == 901
    assert {key for _, key in one.piece.accesses} <= {b"other"}


@pytest.mark.parametrize("kind", ["script", "transaction"])
def test_what_runs_in_one_go_is_reached_where_it_begins(kind: str) -> None:
    """No burst begins inside of it: all of it counts, and what came before it, however far it is beyond a limit."""
    source, quiet = "127.0.0.1:9", b"".join(line(0.1 + n / 10_000, "quiet") for n in range(20))
    first, of, last = ("eval", "lua", b"") if kind == "script" else ("multi", source, b'"exec"')
    inside = b"".join(line(0.102 + n / 1_000_000, "made", "incr", of) for n in range(5000))
    last = last and b"+%.6f [0 %s] %s\r\n" % (START + 0.1071, source.encode(), last)
    begin = b'+%.6f [0 %s] "%s"\r\n' % (START + 0.102, source.encode(), first.encode())
    after = b"".join(line(0.1072 + n / 1_000_000, "after") for n in range(200))
    plan = Plan(False, 0.01, 0.09, LIMITS)
    [one] = pieces(quiet + begin + inside + last + after, 0.1, 0.1075, plan)
    worth = {
        key: one.piece.cycle / (one.piece.end - one.piece.start) * count
        for (_, key), (count, _) in one.piece.accesses.items()
    }
    assert worth == {b"quiet": pytest.approx(200.0, rel=0.05), b"made": pytest.approx(50_000.0, rel=0.01)}


def test_merged_is_right_in_the_mean() -> None:
    """Whole counts, whose expectation is what the stretches are worth."""
    stretches = [
        Stretch(0.004, 10, {(0, b"a"): (10, 4)}),
        Stretch(0.002, 100, {(0, b"a"): (90, 0), (0, b"b"): (10, 10)}, 0.35),
    ]
    chance = random.Random(5)
    found = [merged(0.0, stretches, 10.0, None, chance) for _ in range(400)]
    assert all(one.cycle == pytest.approx(0.047) for one in found)
    worth = 10.0 * 0.006 / 0.047
    assert mean(one.accesses[0, b"a"][0] for one in found) == pytest.approx(worth * (10 + 0.35 * 90), rel=0.01)
    assert mean(one.accesses[0, b"a"][1] for one in found) == pytest.approx(worth * 4, rel=0.05)
    assert mean(one.accesses[0, b"b"][1] for one in found) == pytest.approx(worth * 3.5, rel=0.05)
    assert mean(one.commands for one in found) == pytest.approx(worth * 45, rel=0.01)


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from(["a", "b", "c"]), st.booleans()), max_size=60),
    st.floats(0.0, 0.02), st.integers(1, 60), st.integers(50, 4000), st.booleans(), st.binary(max_size=40),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_cut_whole(
    lines: list[tuple[int, str, bool]], length: float, events: int, size: int, joined: bool, rest: bytes
) -> None:
    """Stamps out of order, bursts without time, cut lines: time and lines add up, and no count is odd."""
    data = b"".join(line(0.99 + at / 1e6, key, "set" if writes else "get") for at, key, writes in lines) + rest
    plan = Plan(joined, 0.01, 0.0 if joined else 0.09, Limits(events=events, bytes=size))
    found = pieces(data, 0.99, 0.99 + length, plan, Served(0.1, 1000.0, 50.0, slowed=False))
    assert b"".join(one.lines for one in found) == data
    assert sum(one.piece.end - one.piece.start for one in found) == pytest.approx(length, abs=1e-5)
    for one in found:
        assert one.piece.cycle >= one.piece.end - one.piece.start - 1e-6
        assert all(0 <= writes <= count and count > 0 for count, writes in one.piece.accesses.values())
    if not joined and len(lines) <= events // 4 and len(data) <= size // 4:
        assert sum(one.piece.commands for one in found) == sum(one.counts.commands for one in found)
