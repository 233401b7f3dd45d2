"""What this process need not hold any more goes back to the system: cycles of objects, and what the C library keeps."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress

GARBAGE_OBJECTS = 20_000
"""New objects between two searches for cycles. A window makes tens of thousands of tuples a second, none in a cycle."""
TIDY_SECONDS = 60.0
"""A connection that was lost is a cycle of few objects with large buffers: no number of new objects tells of it."""


def begin() -> None:
    """What was loaded by now stays: it need not be searched for cycles again and again, nor what comes so often."""
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)


def tidy() -> None:
    """Search for cycles now, and give back what is free.

    The GNU C library keeps blocks as large as the largest that was ever freed: one burst that held a huge value would
    show for good.
    """
    gc.collect()
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # other C libraries have nothing of the kind
            ctypes.CDLL(None).malloc_trim(0)
