"""Reads a source in a thread of its own, a batch at a time: a source that hangs cannot hang the run.

In: a function that gives an iterator. Out: batches of what it gives, or SourceError; silence for too long is one, too.
"""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from exporter import tracing
from exporter.log import carried
from exporter.warming.items import Fault, Found, SourceError, SourceReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exporter.warming.sources import Source

_POLL_SECONDS = 0.1


class Feed:
    """One reading. `seconds` is how long the source was waited for; `busy` whether its thread is still inside it."""

    def __init__(self, read: Callable[[], Iterator[Found]], batch: int, silence: float, stop: threading.Event) -> None:
        self._read = read
        self._batch = batch
        self._silence = silence
        self._stop = stop
        self._ended = threading.Event()
        self._batches: queue.Queue[list[Found] | SourceError | None] = queue.Queue(1)
        # Never ahead: database and run would take two cores at once, with none left for who else needs the machine;
        # and whoever takes over after a crash would read again what was read and not written.
        self._wanted = threading.Semaphore(1)
        self._thread = threading.Thread(target=carried(self._work), name="warming source", daemon=True)
        self.seconds = 0.0

    @property
    def busy(self) -> bool:
        """Whether the source has not let go of the thread."""
        return self._thread.is_alive()

    def batches(self) -> Iterator[list[Found]]:
        """Everything, in batches. Raises SourceError."""
        self._thread.start()
        while not self._stop.is_set():
            began = time.monotonic()
            batch = self._next(began)
            self.seconds += time.monotonic() - began
            if batch is None:
                return
            yield batch
            self._wanted.release()

    def end(self, source: Source) -> None:
        """Stop reading; a source that is being waited for is cut off. Waits a moment for its thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
        if self._thread.is_alive():
            source.interrupt()
            self._thread.join(1.0)

    def _next(self, began: float) -> list[Found] | None:
        while not self._stop.is_set():
            try:
                batch = self._batches.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() - began > self._silence:
                    raise SourceError(SourceReason.TIMEOUT, "the source gave nothing in time") from None
                continue
            if isinstance(batch, SourceError):
                raise batch
            return batch
        return None

    def _work(self) -> None:
        with tracing.span("warming.fetch", kind="CLIENT"):
            self._fetch()

    def _fetch(self) -> None:
        last: SourceError | None = None
        found = self._read()
        try:
            while self._is_wanted() and (batch := list(islice(found, self._batch))):
                if not self._put(batch):
                    break
        except SourceError as error:
            last = error
        except Exception as error:  # noqa: BLE001 - the border of a thread: whatever a driver raises ends the reading
            last = SourceError(SourceReason.UNREACHABLE, f"unexpected {type(error).__name__}")
        finally:
            close = getattr(found, "close", None)
            if close is not None:
                close()
        self._put(last)

    def _is_wanted(self) -> bool:
        while not self._ended.is_set():
            if self._wanted.acquire(timeout=_POLL_SECONDS):
                return True
        return False

    def _put(self, batch: list[Found] | SourceError | None) -> bool:
        while not self._ended.is_set():
            try:
                self._batches.put(batch, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def looked_up(source: Source, keys: Sequence[bytes], batch: int, concurrency: int) -> Iterator[Found]:
    """What a source has of certain keys; each that it does not have is a Fault.MISSING. Raises SourceError."""
    if source.by_key:
        yield from _one_by_one(source, keys, concurrency)
        return
    for start in range(0, len(keys), batch):
        wanted = keys[start : start + batch]
        count = 0
        for found in source.lookup(wanted):
            count += 1
            yield found
        yield from [Fault.MISSING] * (len(wanted) - count)


def _one_by_one(source: Source, keys: Sequence[bytes], concurrency: int) -> Iterator[Found]:
    """Ask for several keys at a time, never for more than twice as many as threads can ask for."""

    def one(key: bytes) -> list[Found]:
        return list(source.lookup([key])) or [Fault.MISSING]

    with ThreadPoolExecutor(concurrency, "warming source") as pool:
        try:
            for start in range(0, len(keys), 2 * concurrency):
                for found in pool.map(carried(one), keys[start : start + 2 * concurrency]):
                    yield from found
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
