"""The way into the log, and how not to say the same thing again and again."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MAX_KEYS = 1000

# loguru comes with a handler that prints the local variables of a traceback, which is how passwords get into logs.
logger.remove()


class Log:
    """The way into the log: `event` is a dotted name such as `sampling.refused`, `message` a fixed sentence."""

    def debug(self, event: str, message: str, **attributes: object) -> None:
        """Log what only somebody who looks for a fault wants to read."""
        emit("DEBUG", event, message, attributes)

    def info(self, event: str, message: str, **attributes: object) -> None:
        """Log what happened."""
        emit("INFO", event, message, attributes)

    def warning(self, event: str, message: str, **attributes: object) -> None:
        """Log what somebody should look at in the morning."""
        emit("WARNING", event, message, attributes)

    def error(self, event: str, message: str, **attributes: object) -> None:
        """Log what does not work."""
        emit("ERROR", event, message, attributes)

    def failure(self, event: str, message: str, error: BaseException, **attributes: object) -> None:
        """Log an error caught at a border: its type and text, and at level debug its traceback; repetitions fold."""
        emit("ERROR", event, message, attributes, error, fold=True)


log = Log()


class Changes:
    """Tells whether a state is new, so that it is logged once and not at every look. Thread-safe, bounded."""

    def __init__(self) -> None:
        self._states: OrderedDict[Hashable, Hashable] = OrderedDict()
        self._lock = threading.Lock()

    def changed(self, key: Hashable, state: Hashable) -> bool:
        """Whether `state` differs from the last one of `key`; true for the first."""
        with self._lock:
            known = key in self._states and self._states[key] == state
            self._states[key] = state
            self._states.move_to_end(key)
            if len(self._states) > MAX_KEYS:
                self._states.popitem(last=False)
            return not known


class Throttle:
    """Logs a repeated event once per `seconds` and key, with how many were `suppressed` since. Thread-safe, bounded."""

    def __init__(self, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._seen: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def warning(self, key: Hashable, event: str, message: str, **attributes: object) -> None:
        """Log a warning, unless one of this key was logged just now."""
        self._emit(key, "WARNING", event, message, attributes)

    def failure(self, key: Hashable, event: str, message: str, error: BaseException, **attributes: object) -> None:
        """Log an error caught at a border, unless one of this key was logged just now."""
        self._emit(key, "ERROR", event, message, attributes, error)

    def clear(self, key: Hashable) -> None:
        """Let the next event of this key be logged at once: what was wrong is right again."""
        with self._lock:
            self._seen.pop(key, None)

    def _emit(
        self, key: Hashable, level: str, event: str, message: str, attributes: dict[str, object],
        error: BaseException | None = None,
    ) -> None:  # fmt: skip
        now = self._clock()
        with self._lock:
            logged_at, suppressed = self._seen.pop(key, (-math.inf, 0))
            due = now - logged_at >= self._seconds
            self._seen[key] = (now, 0) if due else (logged_at, suppressed + 1)
            if len(self._seen) > MAX_KEYS:
                self._seen.popitem(last=False)
        if due:
            emit(level, event, message, attributes | ({"suppressed": suppressed} if suppressed else {}), error)


def emit(
    level: str, event: str, message: str, attributes: dict[str, object], error: BaseException | None = None,
    *, fold: bool = False,
) -> None:  # fmt: skip
    """Hand one event to loguru; with `fold`, the sink writes repetitions of it as a count."""
    bound = logger.bind(event=event, attributes=attributes, fold=fold)
    try:
        (bound if error is None else bound.opt(exception=error)).log(level, message)
    except RuntimeError:
        # loguru refuses a line that is logged while another one is written by the same thread, as a destructor does.
        return
