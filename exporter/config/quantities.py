"""Numbers with units, as people write them in a configuration file, to plain numbers and back.

In: a YAML scalar or the text of an environment variable. Out: seconds (float), bytes (int), events per second
(float), a ratio (float) or a whole number (int). A value that cannot be read raises ValueError with a text that
says what is expected and never repeats the value: it may be a secret that was pasted into the wrong line.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBER_AND_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z/%]*)")

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3,
}  # fmt: skip
_PER_SECOND = {"/s": 1.0, "/sec": 1.0, "/m": 1 / 60, "/min": 1 / 60, "/h": 1 / 3600}


def _split(value: object, wanted: str) -> tuple[float, str]:
    """Split number and unit ("" for a plain number); booleans, NaN, infinities and signs are refused."""
    if isinstance(value, bool):
        raise ValueError(wanted)
    if isinstance(value, int | float):
        if not math.isfinite(value) or value < 0:
            raise ValueError(wanted)
        return float(value), ""
    match = _NUMBER_AND_UNIT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(wanted)
    return float(match[1]), match[2].lower()


def _significant(number: float) -> str:
    return f"{number:.6g}"


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds between `low` and `high`; `whole` refuses fractions of a second."""

    low: float
    high: float
    whole: bool = False

    def read(self, value: object) -> float:
        """`250ms`, `5s`, `2m`, `1h` or a plain number of seconds, as seconds."""
        wanted = "must be a duration such as 250ms, 5s, 2m or 1h"
        number, unit = _split(value, wanted)
        if unit and unit not in _SECONDS:
            raise ValueError(wanted)
        seconds = number * _SECONDS[unit or "s"]
        if self.whole and seconds != round(seconds):
            raise ValueError("must be a whole number of seconds")
        if not self.low <= seconds <= self.high:
            raise ValueError(f"must be between {self.show(self.low)} and {self.show(self.high)}")
        return seconds

    def show(self, seconds: float) -> str:
        """Seconds, the way the file writes them: in the largest unit that leaves no fraction."""
        for unit in ("h", "m", "s"):
            if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0 and seconds != 60:
                return f"{_significant(seconds / _SECONDS[unit])}{unit}"
        return f"{_significant(seconds)}s" if seconds >= 1 else f"{_significant(seconds * 1000)}ms"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Seconds between `low` and `high`, or None for the word `none`: no end at all."""

    low: float
    high: float

    def read(self, value: object) -> float | None:
        """`30m`, `1h`, or a plain number of seconds, as seconds; `none` as None."""
        if isinstance(value, str) and value.strip().lower() == "none":
            return None
        try:
            return Duration(self.low, self.high).read(value)
        except ValueError as error:
            raise ValueError(f"{error}, or none for keys that never expire") from None

    def show(self, seconds: float | None) -> str:
        """Seconds, the way the file writes them."""
        return "none" if seconds is None else Duration(self.low, self.high).show(seconds)


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes between `low` and `high`."""

    low: int
    high: int

    def read(self, value: object) -> int:
        """`64KiB`, `2MiB`, `1GB` or a plain number of bytes, as bytes."""
        wanted = "must be a size such as 64KiB, 2MiB or 1GB"
        number, unit = _split(value, wanted)
        if unit and unit not in _BYTES:
            raise ValueError(wanted)
        size = number * _BYTES[unit or "b"]
        if not self.low <= size <= self.high:
            raise ValueError(f"must be between {self.show(self.low)} and {self.show(self.high)}")
        return int(size)

    def show(self, size: float) -> str:
        """Bytes, the way the file writes them."""
        for unit in ("GiB", "MiB", "KiB"):
            if size >= _BYTES[unit.lower()] and size % _BYTES[unit.lower()] == 0:
                return f"{int(size // _BYTES[unit.lower()])}{unit}"
        return f"{int(size)}B"


@dataclass(frozen=True, slots=True)
class Rate:
    """Events per second between `low` and `high`."""

    low: float
    high: float

    def read(self, value: object) -> float:
        """`1000/min`, `50/s`, `5/h` or a plain number per second, as events per second."""
        wanted = "must be a rate such as 1000/min, 50/s or 5/h"
        number, unit = _split(value, wanted)
        if unit and unit not in _PER_SECOND:
            raise ValueError(wanted)
        rate = number * _PER_SECOND[unit or "/s"]
        if not self.low <= rate <= self.high:
            raise ValueError(f"must be between {self.show(self.low)} and {self.show(self.high)}")
        return rate

    def show(self, rate: float) -> str:
        """Events per second, the way the file writes them: per second, minute or hour, whichever is whole."""
        for unit in ("/s", "/min", "/h"):
            number = rate / _PER_SECOND[unit]
            if number >= 1 and math.isclose(number, round(number)):
                return f"{round(number)}{unit}"
        return f"{_significant(rate)}/s"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A share between `low` and `high`, 1 being all."""

    low: float
    high: float

    def read(self, value: object) -> float:
        """`10%` or `0.1`, as a ratio. A plain number above 1 is refused: it may have been meant as percent."""
        wanted = "must be a share such as 10% or 0.1"
        number, unit = _split(value, wanted)
        if unit not in {"", "%"}:
            raise ValueError(wanted)
        ratio = number / 100 if unit else number
        if not self.low <= ratio <= self.high:
            raise ValueError(f"must be between {self.show(self.low)} and {self.show(self.high)} (write 10% or 0.1)")
        return ratio

    def show(self, ratio: float) -> str:
        """Write a ratio as a percentage."""
        return f"{_significant(ratio * 100)}%"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between `low` and `high`."""

    low: int
    high: int

    def read(self, value: object) -> int:
        """Read a whole number or the text of one: environment variables are text."""
        wanted = f"must be a whole number between {self.low} and {self.high}"
        number, unit = _split(value, wanted)
        if unit or number != round(number) or not self.low <= number <= self.high:
            raise ValueError(wanted)
        return int(number)

    def show(self, number: float) -> str:
        """Write the number itself."""
        return str(int(number))


Quantity = Duration | Lifetime | Size | Rate | Ratio | Whole


def flag(value: object) -> bool:
    """Read true or false; the words of YAML 1.1 (`yes`, `off`, …) are accepted as text."""
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    known = value if isinstance(value, bool) else words.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise ValueError("must be true or false")
    return known
