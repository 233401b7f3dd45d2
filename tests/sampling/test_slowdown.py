"""A server that does less while it is watched: found by its own counter, corrected, and never imagined."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

import pytest

from exporter.sampling.slowdown import Served, Slowdown
from exporter.sampling.window import Piece, Window
from tests.sampling.simulation import Simulation
from tests.scenarios import Scenario, Stream, background, scenarios, spikes, steady

if TYPE_CHECKING:
    from collections.abc import Sequence


START = 1_700_000_000


def watched(slowdown: Slowdown, rates: Sequence[tuple[int, int]], start: float = START) -> list[Served | None]:
    """Bursts of 10 ms after gaps of 90 ms; for each, the commands per second in the gap and in the burst."""
    counter, found = 0, []
    for n, (gap, burst) in enumerate(rates):
        before = counter + gap * 9 // 100
        counter = before + burst // 100
        at = start + n / 10
        found.append(slowdown.learn(at + 0.09, at + 0.1, (before, counter)))
    return found


def test_a_slow_server_is_found_after_a_few_bursts() -> None:
    """A third of the commands in bursts, time after time: eight comparisons are enough, and the ratio is known."""
    slowdown = Slowdown()
    found = watched(slowdown, [(90_000 + 100 * (n % 7), 30_000 + 500 * (n % 5)) for n in range(20)])
    assert [one is not None and one.slowed for one in found] == [False] * 8 + [True] * 12
    assert slowdown.ratio == pytest.approx(31_000 / 84_370, rel=0.02)


def test_an_idle_server_is_not_slow() -> None:
    """Next to nothing happens, and it never falls into a burst: that is chance, or our own asking, and no slowdown."""
    slowdown = Slowdown()
    found = watched(slowdown, [(40 + n % 3, 0) for n in range(80)])
    assert not any(one is not None and one.slowed for one in found)
    assert slowdown.ratio == 1.0


def test_our_own_commands_are_no_slowdown() -> None:
    """A warming run of ours halts while a burst is read: the server is not slow, and its count is of no use."""
    slowdown, counter = Slowdown(), 0
    for n in range(40):
        at, before, after = START + n / 10, counter + 2000, counter + 2030
        counter = after
        assert slowdown.learn(at + 0.09, at + 0.1, (before, after), ours=1800) is None
    assert slowdown.ratio == 1.0
    served = slowdown.learn(START + 4.09, START + 4.1, (counter + 2000, counter + 2200), ours=20)
    assert served is not None
    assert served.commands == 2200


def test_what_is_counted_is_handed_on() -> None:
    """Span, commands and watched commands are those since the last burst ended, and parts of them add up."""
    slowdown = Slowdown()
    assert slowdown.learn(START, START + 0.01, (100, 150)) is None
    served = slowdown.learn(START + 0.11, START + 0.12, (1150, 1180))
    assert served is not None
    assert (served.span, served.commands, served.watched) == pytest.approx((0.11, 1030, 30))
    assert served.part(0.25).commands + served.part(0.75).commands == served.commands


def test_nothing_is_compared_across_a_break() -> None:
    """A joined slice, a restarted counter, a clock that went back: the next burst starts anew."""
    slowdown = Slowdown()
    slowdown.learn(START, START + 0.01, (100, 150))
    assert slowdown.learn(START + 0.1, START + 0.2, None) is None
    assert slowdown.learn(START + 0.3, START + 0.31, (900, 950)) is None
    assert slowdown.learn(START + 0.4, START + 0.41, (7, 9)) is None
    assert slowdown.learn(START - 5.0, START - 4.9, (20, 30)) is None
    assert slowdown.learn(START - 4.8, START - 4.7, (40, 50)) is not None
    assert slowdown.ratio == 1.0


def test_the_corrected_estimate_by_hand() -> None:
    """Rates are scaled by the server's pace over its pace in bursts; the interval reaches down to what was seen."""
    window, plain = Window(), Window()
    for n in range(10):
        at, seen = START + n / 10, {(0, b"a"): (40 + n % 2, 4), (0, b"b"): (10, 10)}
        served = Served(span=0.1, commands=900.0, watched=30.0, slowed=True)
        window.add(Piece(at + 0.09, at + 0.1, 0.1, 50, seen, served=served))
        plain.add(Piece(at + 0.09, at + 0.1, 0.1, 50, seen))
    window.advance(START + 1)
    plain.advance(START + 1)
    for one, uncorrected in zip(window.top(2), plain.top(2), strict=True):
        assert one.rate == pytest.approx(3 * uncorrected.rate, rel=1e-3)  # 9,000/s against 3,000/s in bursts
        assert one.writes_rate == pytest.approx(3 * uncorrected.writes_rate, rel=0.02)
        assert one.low < uncorrected.rate < one.rate < one.high
    assert window.commands_per_second == pytest.approx(3 * plain.commands_per_second, rel=1e-3)


def judge(scenario: Scenario, slowed: dict[str, float], windows: int = 4, seed: int = 3) -> tuple[float, float, float]:
    """Bias and coverage of the hot keys, and the ratio that was found."""
    simulation = Simulation(scenario, seed, slowed=slowed)
    judged = [one for one in simulation.run(windows) if one.key in scenario.judged]
    bias = sum(one.said.rate for one in judged if one.said) / sum(one.truth for one in judged) - 1
    return bias, mean(one.covered for one in judged), simulation.slowdown.ratio


HOT = [Stream(f"hot{n}", [b"hot:%d" % n], steady(2000.0)) for n in range(8)]


@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
def test_a_saturated_server_is_estimated_right(share: float) -> None:
    """300,000 commands a second, of which only a share gets through while we watch: no bias, intervals that cover."""
    slowed = dict.fromkeys(["background", *(stream.name for stream in HOT)], share)
    bias, coverage, ratio = judge(Scenario([background(300_000.0, 100), *HOT]), slowed)
    assert abs(bias) <= 0.02
    assert coverage >= 0.90
    assert ratio == pytest.approx(share, rel=0.15)


def test_a_little_slowness_is_taken_away_by_the_total() -> None:
    """Two per cent less while we watch is too little to be found, too much for narrow intervals: no bias is left."""
    hot = [Stream(f"hot{n}", [b"hot:%d" % n], steady(4000.0)) for n in range(8)]
    slowed = dict.fromkeys(["background", *(stream.name for stream in hot)], 0.98)
    # Keys of one window share the error of its total: many windows, or the coverage is that of a few draws.
    biases, coverages, ratios = zip(
        *(judge(Scenario([background(50_000.0, 100), *hot]), slowed, 6, seed) for seed in range(3, 7)), strict=True
    )
    assert abs(mean(biases)) <= 0.005
    assert mean(coverages) >= 0.90
    assert set(ratios) == {1.0}


def test_keys_of_patient_clients_are_covered_too() -> None:
    """Where only some clients are held up, the others' keys are overestimated, and their intervals know of it."""
    _, coverage, _ = judge(Scenario([background(300_000.0, 100), *HOT]), {"background": 0.4})
    assert coverage >= 0.90


@pytest.mark.parametrize(("length", "each"), [(0.1, 2), (0.01, 10), (0.02, 2), (0.005, 40)])
def test_a_load_in_spikes_is_not_mistaken(length: float, each: int) -> None:
    """Most bursts see less than the gaps around them when the load comes in spikes; steady keys stay unbiased."""
    spiky = Stream("spiky", [b"spiky"], spikes(60_000.0, length, each), [1.0])
    # The eight keys of a window share its luck: few windows say little.
    scenario = Scenario([background(30_000.0, 100), spiky, *HOT])
    biases, coverages, _ = zip(*(judge(scenario, {}, 16, seed) for seed in (3, 4)), strict=True)
    assert all(abs(bias) <= 0.02 for bias in biases)
    assert mean(coverages) >= 0.90


@pytest.mark.parametrize("name", scenarios())
def test_no_scenario_is_mistaken_for_a_slow_server(name: str) -> None:
    """Clumps, phases, swings: none of them makes the estimates change over to the correction."""
    simulation = Simulation(scenarios()[name], 5)
    simulation.run(4)
    assert simulation.slowdown.ratio == 1.0
