"""Something that goes on while a test does something else."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def meanwhile(work: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Run `work` in a thread as long as the block lasts; `stop` is set at its end, and `work` ends by that."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
