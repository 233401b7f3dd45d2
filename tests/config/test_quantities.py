"""Numbers with units: what is read, what is refused, and in which words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.quantities import Duration, Quantity, Rate, Ratio, Size, Whole, flag

SECONDS = Duration(0.001, 86400)
BYTES = Size(1, 1024**3)
PER_SECOND = Rate(1 / 3600, 1e6)
SHARE = Ratio(0.001, 1)
COUNT = Whole(1, 100)


@pytest.mark.parametrize(
    ("quantity", "text", "value"),
    [
        (SECONDS, "250ms", 0.25),
        (SECONDS, "5s", 5.0),
        (SECONDS, "2m", 120.0),
        (SECONDS, "1h", 3600.0),
        (SECONDS, "1d", 86400.0),
        (SECONDS, "1.5 s", 1.5),
        (SECONDS, 15, 15.0),
        (SECONDS, "15", 15.0),
        (BYTES, "64KiB", 65536),
        (BYTES, "2MiB", 2 * 1024**2),
        (BYTES, "1GB", 10**9),
        (BYTES, "1.5kib", 1536),
        (BYTES, 4096, 4096),
        (PER_SECOND, "1000/min", 1000 / 60),
        (PER_SECOND, "50/s", 50.0),
        (PER_SECOND, "5/h", 5 / 3600),
        (PER_SECOND, 50, 50.0),
        (SHARE, "10%", 0.1),
        (SHARE, 0.1, 0.1),
        (SHARE, "100%", 1.0),
        (COUNT, 20, 20),
        (COUNT, "20", 20),
        (COUNT, 20.0, 20),
    ],
)
def test_reads(quantity: Quantity, text: object, value: float) -> None:
    """Every form that the documentation names is read, as text and as a YAML number."""
    assert quantity.read(text) == pytest.approx(value)


@pytest.mark.parametrize("quantity", [SECONDS, BYTES, PER_SECOND, SHARE, COUNT], ids=lambda q: type(q).__name__)
@pytest.mark.parametrize(
    "nonsense",
    [
        True,
        False,
        math.nan,
        math.inf,
        -1,
        "-1",
        "+1",
        "",
        " ",
        "x",
        "1 parsec",
        "1e3",
        "1,000",
        "1_000",
        "٣",
        "nan",
        [],
        {},
    ],
)
def test_refuses_what_is_no_number(quantity: Quantity, nonsense: object) -> None:
    """Booleans, NaN, infinities, signs, foreign digits, unknown units and containers are no quantities."""
    with pytest.raises(ValueError, match="must be"):
        quantity.read(nonsense)


@pytest.mark.parametrize(
    ("quantity", "value", "message"),
    [
        (Duration(10, 600), "5s", "must be between 10s and 10m"),
        (Duration(10, 600, whole=True), "10.5s", "must be a whole number of seconds"),
        (Duration(10, 600), 0, "must be between 10s and 10m"),
        (Size(65536, 1024**3), "1KiB", "must be between 64KiB and 1GiB"),
        (Rate(1 / 3600, 1e6), "0/min", "must be between 1/h and 1000000/s"),
        (Ratio(0.001, 1), 10, "must be between 0.1% and 100% (write 10% or 0.1)"),
        (Ratio(0.001, 1), "101%", "must be between 0.1% and 100% (write 10% or 0.1)"),
        (Whole(1, 100), 101, "must be a whole number between 1 and 100"),
        (Whole(1, 100), 2.5, "must be a whole number between 1 and 100"),
    ],
)
def test_names_the_bounds(quantity: Quantity, value: object, message: str) -> None:
    """A value outside the bounds is told the bounds, in the unit people write them in."""
    with pytest.raises(ValueError, match="must be") as refused:
        quantity.read(value)

    assert str(refused.value) == message


@given(st.one_of(st.text(), st.floats(), st.integers(), st.binary(), st.booleans(), st.none()))
def test_any_value_is_read_or_refused_without_being_repeated(value: object) -> None:
    """Whatever stands in the file, the answer is a number within the bounds or a ValueError of fixed words."""
    for quantity in (SECONDS, BYTES, PER_SECOND, SHARE, COUNT):
        try:
            number = quantity.read(value)
        except ValueError as refused:
            words = str(refused)
            number = quantity.low
        else:
            words = "must be "
        assert words.startswith("must be ")
        assert quantity.low <= number <= quantity.high


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        (SECONDS, 60.0, "60s"),
        (SECONDS, 120.0, "2m"),
        (SECONDS, 0.25, "250ms"),
        (SECONDS, 1.5, "1.5s"),
        (SECONDS, 7200.0, "2h"),
        (BYTES, 2 * 1024**2, "2MiB"),
        (BYTES, 1000, "1000B"),
        (PER_SECOND, 1000 / 60, "1000/min"),
        (PER_SECOND, 50.0, "50/s"),
        (PER_SECOND, 5 / 3600, "5/h"),
        (SHARE, 0.1, "10%"),
        (COUNT, 20, "20"),
    ],
)
def test_shows_what_it_reads(quantity: Quantity, value: float, text: str) -> None:
    """A number is shown in the form in which the file would have it, and that form is read back."""
    assert quantity.show(value) == text
    assert quantity.read(text) == pytest.approx(value)


@pytest.mark.parametrize("word", ["true", "True", "yes", "ON", "1", True])
def test_flag_reads_true(word: object) -> None:
    """A flag is true in every spelling that YAML and environments know."""
    assert flag(word) is True


@pytest.mark.parametrize("word", ["false", "no", "Off", "0", False])
def test_flag_reads_false(word: object) -> None:
    """A flag is false in every spelling that YAML and environments know."""
    assert flag(word) is False


@pytest.mark.parametrize("word", ["maybe", "", 1, 0, None, 2.0, []])
def test_flag_refuses_the_rest(word: object) -> None:
    """A number is no flag, and neither is any other word."""
    with pytest.raises(ValueError, match="must be true or false"):
        flag(word)
