"""Single key presses from a terminal, without echo or Enter; the terminal is put back as it was."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """A function that waits so many seconds for key presses and returns them; nothing where there is no terminal."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)

        def pressed(seconds: float) -> str:
            if not select.select([descriptor], [], [], seconds)[0]:
                return ""
            return os.read(descriptor, 64).decode("utf-8", "ignore")

        yield pressed
    finally:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
