"""Clumps that a server runs slower while it prints them: no key comes out too low for that."""

from __future__ import annotations

from array import array

import pytest

from exporter.sampling.calibration import COSTLIEST, MOST, Calibration, Counted, effective
from tests.sampling.pipelines import TRAFFIC, watch
from tests.sampling.simulation import bias, coverage


@pytest.mark.parametrize("name", TRAFFIC)
def test_clumps_in_slow_motion_are_not_estimated_too_low(name: str) -> None:
    """Whatever printing costs the server inside a clump: the rates are right, and the intervals hold them."""
    judgements = watch(name, 20, 20, 2)
    assert coverage(judgements) >= 0.80  # few windows, in which all keys do the same
    assert abs(bias(judgements)) <= 0.08


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAFFIC)
def test_clumps_over_many_windows(name: str) -> None:
    """The same over four hours: at least 90 % of the intervals hold."""
    judgements = [one for seed in range(1, 7) for one in watch(name, 40, 60, seed)]
    assert coverage(judgements) >= 0.90
    assert abs(bias(judgements)) <= 0.05


def counted(served: float, watched: float, deviation: float) -> Counted:
    """A second with a dense burst, which has half of what was seen, and nine thin ones."""
    amounts = array("d", [watched / 2, *[watched / 18] * 9])
    return Counted(served, watched, deviation**2, amounts, array("d", [1e7, *[1e5] * 9]))


def test_the_cost_adds_up_to_what_the_server_counted() -> None:
    """Where bursts surely show too little, the cost makes up for it, and the dense burst is what it falls on."""
    calibration = Calibration()
    for _ in range(10):
        calibration.learn(counted(1500.0, 1000.0, 1.0))
    dense, thin = 1 / effective(1.0, 1e7, calibration.cost), 1 / effective(1.0, 1e5, calibration.cost)
    assert 500 * dense + 500 * thin == pytest.approx(1500.0, rel=0.01)
    assert thin < 1.02


def test_chance_is_no_reason_to_correct() -> None:
    """A difference that is no larger than its standard error, or two or three seconds of it, change nothing."""
    chance, short = Calibration(), Calibration()
    for _ in range(10):
        chance.learn(counted(1010.0, 1000.0, 100.0))
    for _ in range(3):
        short.learn(counted(1500.0, 1000.0, 1.0))
    assert chance.cost == short.cost == 0.0


def test_more_than_was_served_is_corrected_downwards() -> None:
    """Luck that hit a clump too often is taken back in the same way."""
    calibration = Calibration()
    for _ in range(10):
        calibration.learn(counted(800.0, 1000.0, 1.0))
    assert -COSTLIEST <= calibration.cost < 0.0
    assert effective(1.0, 1e7, calibration.cost) > effective(1.0, 1e5, calibration.cost) >= 1.0


def test_a_burst_is_never_worth_much_more_than_it_was() -> None:
    """One huge value makes no burst worth more than four times, or less than a quarter."""
    assert effective(0.01, 1 << 30, COSTLIEST) == 0.01 / MOST
    assert effective(0.01, 1 << 30, -COSTLIEST) == 0.01 * MOST
    assert effective(0.01, 0, COSTLIEST) == 0.01


def test_what_was_learned_fades() -> None:
    """What the server does now counts for more than what it did: half an hour later nothing is left of it."""
    calibration = Calibration()
    for _ in range(60):
        calibration.learn(counted(1500.0, 1000.0, 1.0))
    costly = calibration.cost
    for _ in range(300):
        calibration.learn(counted(1000.0, 1000.0, 1.0))
    assert 0.0 < calibration.cost < costly / 5
    for _ in range(1500):
        calibration.learn(counted(1000.0, 1000.0, 1.0))
    assert calibration.cost == pytest.approx(0.0, abs=costly / 500)


def test_one_huge_value_is_forgotten() -> None:
    """A burst that held one is denser than any other will ever be, and says nothing of what commands cost."""
    usual, huge = Calibration(), Calibration()
    huge.learn(Counted(1000.0, 1000.0, 1.0, array("d", [10.0]), array("d", [1e9])))
    for _ in range(60):
        usual.learn(counted(1500.0, 1000.0, 1.0))
        huge.learn(counted(1500.0, 1000.0, 1.0))
    assert huge.cost == pytest.approx(usual.cost, rel=0.1)


def test_days_without_a_command_are_no_error() -> None:
    """What was learned fades until nothing is left of it."""
    calibration = Calibration()
    for _ in range(10):
        calibration.learn(counted(1500.0, 1000.0, 1.0))
    for _ in range(250_000):
        calibration.learn(Counted(0.0, 0.0, 0.0, array("d", [0.0]), array("d", [0.0])))
    assert calibration.cost == 0.0
