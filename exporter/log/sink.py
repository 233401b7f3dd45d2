"""The sink: records in, redacted lines out, on standard error; what is repeated is folded into a count."""

from __future__ import annotations

import json
import math
import re
import sys
import threading
import time
import traceback
from collections import OrderedDict
from datetime import UTC
from typing import TYPE_CHECKING, Any

from exporter import __version__, tracing
from exporter.log.context import correlation_id
from exporter.redaction import MASK, hidden, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import loguru

SERVICE = "hotkey-exporter"
COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}
FOLD_SECONDS = 60.0
MAX_FOLDED = 500
FOLDED = frozenset({"WARNING", "ERROR", "CRITICAL"})
# What is another one each time, and does not make a line another line.
PASSING = frozenset({"timestamp", "correlation_id", "trace_id", "span_id", "trace_flags", "seconds", "suppressed"})
# The same inside of what libraries say: how long something took or will wait, and where an object lies.
_PASSING = re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|s|seconds)\b|\b0x[0-9a-f]+\b")

json_line = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Folding:
    """Tells which lines repeat one of the last minute; a minute later a line says how many those were. Bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[Hashable, tuple[float, int, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def lines(self, entry: dict[str, Any], *, fold: bool) -> list[dict[str, Any]]:
        """The lines that are to be written now: those of counts that are due, and this one if it is no repetition."""
        now = self._clock()
        with self._lock:
            due: list[dict[str, Any]] = []
            while self._seen:
                key, (since, count, first) = next(iter(self._seen.items()))
                if now - since < FOLD_SECONDS and len(self._seen) <= MAX_FOLDED:
                    break
                del self._seen[key]
                if count:
                    due.append({**first, "timestamp": entry["timestamp"], "repeated": count})
            if not fold or entry["severity"] not in FOLDED:
                return [*due, entry]
            key = tuple((name, _lasting(value)) for name, value in entry.items() if name not in PASSING)
            if key in self._seen:
                since, count, first = self._seen[key]
                self._seen[key] = (since, count + 1, first)
                return due
            self._seen[key] = (now, 0, entry)
            return [*due, entry]


def _lasting(value: object) -> str:
    return _PASSING.sub("…", str(value))


class Sink:
    """Writes one line for each record. It never raises and never shows a record as it is: secrets may be in it."""

    def __init__(
        self, write: Callable[[dict[str, Any]], str], count: Callable[[str], None], *, tracebacks: bool
    ) -> None:
        self._write = write
        self._count = count
        self._tracebacks = tracebacks
        self._folding = Folding()

    def __call__(self, message: loguru.Message) -> None:
        """Write what loguru hands over."""
        record = message.record
        try:
            self._count(record["level"].name.lower())
            for entry in self._folding.lines(
                _entry(record, tracebacks=self._tracebacks), fold=record["extra"].get("fold", False)
            ):
                line = self._write(entry)
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
    if (identifier := correlation_id()) is not None:
        entry["correlation_id"] = identifier
    if (here := tracing.ids()) is not None:
        entry |= {"trace_id": here.trace_id, "span_id": here.span_id, "trace_flags": here.flags}
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


def console_line(entry: dict[str, Any], *, coloured: bool) -> str:
    """One line for tired people: time, level, sentence, attributes; a traceback goes below it."""
    fields = dict(entry)
    clock, severity, message = fields.pop("timestamp")[11:23], fields.pop("severity"), fields.pop("message")
    stack = fields.pop("exception.stacktrace", "")
    for name in ("correlation_id", "trace_id", "span_id", "trace_flags", "service.name", "service.version"):
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
    return text if text and not set(text) & set(' "=') else json_line(text)


def _visible(text: str) -> str:
    """Escape what could move the cursor or forge a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
