"""Logging: an event, a sentence and attributes in, one redacted line on standard error out.

`log.warning("sampling.refused", "MONITOR is refused", addr=…)` becomes one JSON object, or one readable line on a
terminal. Names and values go into attributes, never into the sentence. What libraries log through `logging`, and
Python's warnings, take the same way. Before `setup` nothing is written.
"""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
import sys
import threading
import time
import traceback
from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from loguru import logger

from exporter import __version__
from exporter.redaction import MASK, hidden, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    import loguru

SERVICE = "hotkey-exporter"
# Libraries that tell of every connection and every run: of them, warnings are enough.
QUIET = ("apscheduler", "asyncio", "httpcore", "httpx", "redis", "uvicorn")
COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}
MAX_KEYS = 1000
P = ParamSpec("P")
R = TypeVar("R")

_correlation: ContextVar[str | None] = ContextVar("correlation_id", default=None)
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

# loguru comes with a handler that prints the local variables of a traceback, which is how passwords get into logs.
logger.remove()


class Log:
    """The way into the log: `event` is a dotted name such as `sampling.refused`, `message` a fixed sentence."""

    def debug(self, event: str, message: str, **attributes: object) -> None:
        """Log what only somebody who looks for a fault wants to read."""
        _emit("DEBUG", event, message, attributes)

    def info(self, event: str, message: str, **attributes: object) -> None:
        """Log what happened."""
        _emit("INFO", event, message, attributes)

    def warning(self, event: str, message: str, **attributes: object) -> None:
        """Log what somebody should look at in the morning."""
        _emit("WARNING", event, message, attributes)

    def error(self, event: str, message: str, **attributes: object) -> None:
        """Log what does not work."""
        _emit("ERROR", event, message, attributes)

    def failure(self, event: str, message: str, error: BaseException, **attributes: object) -> None:
        """Log an error caught at a border: its type and text, and at level debug its traceback."""
        _emit("ERROR", event, message, attributes, error)


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
            _emit(level, event, message, attributes | ({"suppressed": suppressed} if suppressed else {}), error)


@contextmanager
def correlation(identifier: str | None = None) -> Iterator[str]:
    """Give everything logged inside the same `correlation_id`: `identifier`, or 16 random bytes in hex."""
    identifier = identifier or secrets.token_hex(16)
    token = _correlation.set(identifier)
    try:
        yield identifier
    finally:
        _correlation.reset(token)


def carried(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that it runs, in whatever thread, with the correlation of the caller of `carried`."""
    context = copy_context()

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # A context can be entered once at a time, a pool may run this in several threads.
        return context.copy().run(function, *args, **kwargs)

    return run


def setup(level: str, format: str | None, count: Callable[[str], None]) -> Callable[[], None]:  # noqa: A002
    """Log from `level` on, as `json` or `console` lines (None: console on a terminal); `count` gets each line's level.

    Can be called again, for a reload. Returns a function that undoes everything.
    """
    terminal = sys.stderr is not None and sys.stderr.isatty()
    console = format == "console" or (format is None and terminal)
    coloured = terminal and "NO_COLOR" not in os.environ
    write = (lambda entry: _console_line(entry, coloured=coloured)) if console else _encode
    root, threads_hook = logging.getLogger(), threading.excepthook
    before = (root.handlers, root.level)
    logger.remove()
    logger.add(
        _Sink(write, count, tracebacks=level == "debug"),
        level=level.upper(), format=lambda _: "", colorize=False, backtrace=False, diagnose=False, catch=False,
    )  # fmt: skip
    root.handlers = [_Bridge()]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_failed

    def undo() -> None:
        logger.remove()
        root.handlers, root.level = before
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.NOTSET)
        logging.captureWarnings(capture=False)
        threading.excepthook = threads_hook

    return undo


def _emit(
    level: str, event: str, message: str, attributes: dict[str, object], error: BaseException | None = None
) -> None:
    bound = logger.bind(event=event, attributes=attributes)
    try:
        (bound if error is None else bound.opt(exception=error)).log(level, message)
    except RuntimeError:
        # loguru refuses a line that is logged while another one is written by the same thread, as a destructor does.
        return


class _Sink:
    """Writes one line for each record. It never raises and never shows a record as it is: secrets may be in it."""

    def __init__(
        self, write: Callable[[dict[str, Any]], str], count: Callable[[str], None], *, tracebacks: bool
    ) -> None:
        self._write = write
        self._count = count
        self._tracebacks = tracebacks

    def __call__(self, message: loguru.Message) -> None:
        record = message.record
        try:
            self._count(record["level"].name.lower())
            line = self._write(_entry(record, tracebacks=self._tracebacks))
            if sys.stderr is not None:
                sys.stderr.write(line + "\n")
        except Exception:  # noqa: BLE001 - a full disk or a closed pipe must not end what wanted to log
            return


def _entry(record: loguru.Record, *, tracebacks: bool) -> dict[str, Any]:
    """Everything a line says, redacted, in the order in which it is written."""
    now = record["time"].astimezone(UTC).isoformat(timespec="milliseconds")
    entry: dict[str, Any] = {
        "timestamp": now.replace("+00:00", "Z"),
        "severity": record["level"].name,
        "event": record["extra"].get("event", "log"),
        "message": redacted(record["message"]),
    }
    if (identifier := _correlation.get()) is not None:
        entry["correlation_id"] = identifier
    entry |= {"service.name": SERVICE, "service.version": __version__}
    for name, value in record["extra"].get("attributes", {}).items():
        entry[f"{name}_" if name in entry else name] = MASK if hidden(name) else _plain(value)
    exception = record["exception"]
    if exception is not None and exception.value is not None:
        entry["exception.type"] = type(exception.value).__name__
        entry["exception.message"] = redacted(str(exception.value))
        if tracebacks:
            entry["exception.stacktrace"] = redacted("".join(traceback.format_exception(exception.value)), 16384)
    return entry


def _plain(value: object) -> object:
    """Turn an attribute into what JSON can hold."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value[:100]]
    return redacted(str(value))


def _console_line(entry: dict[str, Any], *, coloured: bool) -> str:
    """One line for tired people: time, level, sentence, attributes; a traceback goes below it."""
    fields = dict(entry)
    clock, severity, message = fields.pop("timestamp")[11:23], fields.pop("severity"), fields.pop("message")
    stack = fields.pop("exception.stacktrace", "")
    for name in ("correlation_id", "service.name", "service.version"):
        fields.pop(name, None)
    event = fields.pop("event")
    level = f"{severity:<7}"
    if coloured:
        level = f"\033[{COLOURS.get(severity, '0')}m{level}\033[0m"
    words = [f"{clock} {level} {_visible(message)}", *(f"{name}={_value(value)}" for name, value in fields.items())]
    line = "  ".join([" ".join(words), f"[{_visible(event)}]"])
    return "\n    ".join([line, *map(_visible, stack.splitlines())])


def _value(value: object) -> str:
    text = _visible(str(value))
    return text if text and not set(text) & set(' "=') else _encode(text)


def _visible(text: str) -> str:
    """Escape what could move the cursor or forge a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


class _Bridge(logging.Handler):
    """Brings what libraries log through `logging`, and warnings, into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on; the event is `library.` and the name of its logger."""
        names = ((logging.ERROR, "ERROR"), (logging.WARNING, "WARNING"), (logging.INFO, "INFO"))
        level = next((name for number, name in names if record.levelno >= number), "DEBUG")
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        _emit(level, f"library.{record.name}", message, {}, record.exc_info[1] if record.exc_info else None)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Log the exception that ended a thread nobody guards."""
    if failure.exc_value is not None and not isinstance(failure.exc_value, SystemExit):
        name = failure.thread.name if failure.thread else ""
        log.failure("thread.failed", "a thread ended with an error", failure.exc_value, thread=name)
