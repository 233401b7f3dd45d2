"""Types of command-line arguments: text in, a checked value out; what is wrong is said as a usage error."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SLOTS = 16_384


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Read whole numbers from `least` on, and up to `most` if there is one."""
    wanted = f", {least} or more" if most is None else f" between {least} and {most}"

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"must be a whole number{wanted}")
        return int(text)

    return read


def shard(text: str) -> tuple[int, int]:
    """Read `I/N`: the I-th of N parts of all hash slots."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= SLOTS):
        raise argparse.ArgumentTypeError("must be I/N, such as 1/4, with I from 1 to N")
    return int(number), int(count)
