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
BLOCK_BYTES = 1 << 20
"""Larger blocks are the system's own, and go back when they are freed; so does what is free at the end of a heap."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def begin() -> None:
    """What was loaded by now stays: it need not be searched for cycles again and again, nor what comes so often.

    The GNU C library raises its two thresholds to the size of the largest block that was ever freed, unless they are
    set: one burst that held a huge value would show for good.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
    _libc("mallopt", _M_MMAP_THRESHOLD, BLOCK_BYTES)
    _libc("mallopt", _M_TRIM_THRESHOLD, BLOCK_BYTES)


def tidy() -> None:
    """Search for cycles now, and give back what is free between blocks that are not."""
    gc.collect()
    _libc("malloc_trim", 0)


def _libc(name: str, *numbers: int) -> None:
    """Call a function that only the GNU C library has."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            getattr(ctypes.CDLL(None), name)(*numbers)
