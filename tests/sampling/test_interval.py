"""The promises of `exporter.sampling.interval`: right quantiles, and intervals that keep their order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sampling.interval import NORMAL_QUANTILE, interval, student_quantile


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (7, 2.3646), (10, 2.2281), (29, 2.0452), (30, 2.0423),
     (40, 2.0211), (120, 1.9799), (1e6, 1.9600)],
)  # fmt: skip
def test_quantiles_agree_with_the_tables(degrees: float, quantile: float) -> None:
    """Published two-sided 95 % points of Student's t, to four digits."""
    assert student_quantile(degrees) == pytest.approx(quantile, abs=6e-5)


def test_the_ends_of_the_scale() -> None:
    """No degree of freedom counts as one; infinitely many are the normal distribution."""
    assert student_quantile(0.0) == student_quantile(1.0)
    assert student_quantile(math.inf) == NORMAL_QUANTILE


@given(st.floats(1.0, 1e6), st.floats(0.0, 50.0))
def test_quantiles_fall_as_degrees_rise(degrees: float, more: float) -> None:
    """Also between whole degrees and where the expansion takes over, more freedom never widens an interval."""
    assert student_quantile(degrees + more) <= student_quantile(degrees) + 1e-6


@given(st.just(0.0) | st.floats(1e-9, 1e9), st.floats(0.0, 1e18), st.floats(0.0, 1e9))
def test_order_and_sign(rate: float, variance: float, degrees: float) -> None:
    """0 <= low <= rate <= high < infinity, whatever the variance; no variance, no width."""
    found = interval(rate, variance, degrees)
    assert 0.0 <= found.low <= rate == found.rate <= found.high < math.inf
    assert variance > 0.0 or found.low == found.high


def test_wilson_form() -> None:
    """The ends solve (true - rate)^2 = h^2 * true / rate, where the variance is proportional to the true rate."""
    found = interval(10.0, 4.0)
    half_squared = NORMAL_QUANTILE**2 * 4.0
    for end in (found.low, found.high):
        assert (end - 10.0) ** 2 == pytest.approx(half_squared * end / 10.0)
