"""Where lines come from and go to: a level, a format and a counter in, all that is logged on standard error out."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

from loguru import logger

from exporter.log.events import emit, log
from exporter.log.sink import Sink, console_line, json_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# Libraries that tell of every connection and every run: of them, warnings are enough.
QUIET = ("apscheduler", "asyncio", "httpcore", "httpx", "opentelemetry", "redis", "urllib3", "uvicorn")


def setup(level: str, format: str | None, count: Callable[[str], None]) -> Callable[[], None]:  # noqa: A002
    """Log from `level` on, as `json` or `console` lines (None: console on a terminal); `count` gets each line's level.

    Can be called again, for a reload. Returns a function that undoes everything.
    """
    terminal = sys.stderr is not None and sys.stderr.isatty()
    console = format == "console" or (format is None and terminal)
    coloured = terminal and "NO_COLOR" not in os.environ
    write = (lambda entry: console_line(entry, coloured=coloured)) if console else json_line
    root, hooks = logging.getLogger(), (threading.excepthook, sys.excepthook, sys.unraisablehook)
    before = (root.handlers, root.level)
    logger.remove()
    logger.add(
        Sink(write, count, tracebacks=level == "debug"),
        level=level.upper(), format=lambda _: "", colorize=False, backtrace=False, diagnose=False, catch=False,
    )  # fmt: skip
    root.handlers = [Bridge()]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    threading.excepthook, sys.excepthook, sys.unraisablehook = _thread_failed, _process_failed, _not_raised

    def undo() -> None:
        logger.remove()
        root.handlers, root.level = before
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.NOTSET)
        logging.captureWarnings(capture=False)
        threading.excepthook, sys.excepthook, sys.unraisablehook = hooks

    return undo


class Bridge(logging.Handler):
    """Brings what libraries log through `logging`, and warnings, into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on; the event is `library.` and the name of its logger."""
        names = ((logging.ERROR, "ERROR"), (logging.WARNING, "WARNING"), (logging.INFO, "INFO"))
        level = next((name for number, name in names if record.levelno >= number), "DEBUG")
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        emit(level, f"library.{record.name}", message, {}, error, fold=True)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Log the exception that ended a thread nobody guards."""
    if failure.exc_value is not None and not isinstance(failure.exc_value, SystemExit):
        name = failure.thread.name if failure.thread else ""
        log.failure("thread.failed", "a thread ended with an error", failure.exc_value, thread=name)


def _process_failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log the exception that ends the process."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.failure("process.failed", "the process ends with an error", error)


def _not_raised(failure: sys.UnraisableHookArgs) -> None:
    """Log an exception that nobody could be told of: in a destructor, say."""
    if failure.exc_value is not None:
        log.failure("process.unraisable", "an error in a place that cannot raise one", failure.exc_value)
