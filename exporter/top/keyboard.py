"""Single key presses from a terminal, without echo or Enter; the terminal is put back as it was.

A key is the character that it writes, or its name: `up`, `down`, `home`, `end`; `other` for those without a meaning.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
_NAMES = {"A": "up", "B": "down", "H": "home", "F": "end"}


def split(typed: str) -> list[str]:
    """Tell the keys apart in what a terminal sent: arrows and their like are sequences that begin with Escape."""
    return [_NAMES.get(one[-1], "other") if len(one) > 1 else one for one in _KEY.findall(typed)]


@contextmanager
def keys() -> Iterator[Callable[[float], list[str]]]:
    """A function that waits so many seconds for key presses and returns them; nothing where there is no terminal."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)

        def pressed(seconds: float) -> list[str]:
            if not select.select([descriptor], [], [], seconds)[0]:
                return []
            return split(os.read(descriptor, 64).decode("utf-8", "ignore"))

        yield pressed
    finally:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
