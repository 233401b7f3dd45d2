"""INFO's statistics per command and per error: lines in, numbers by name out.

Most lines are the same at the next reading, so what was read from them is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from exporter.serverstats import CommandStats, SlowCalls
from exporter.stats.info import first, number, pairs, word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.stats.info import Info

MOST_COMMANDS = 1000
"""Redis 8 has some 400, subcommands included; modules add a few dozen each."""
MOST_ERRORS = 128
"""As many as Redis itself keeps."""
MOST_PERCENTILES = 16
T = TypeVar("T")


class Table(Generic[T]):
    """Reads one table of INFO again and again: a line that has not changed gives the value that it gave before.

    Args:
        start: which table, by the beginning of its lines.
        parse: reads the text of a line; None where it says nothing.
        most: how many lines are read.

    """

    def __init__(self, start: str, parse: Callable[[str], T | None], most: int) -> None:
        self._start = start
        self._parse = parse
        self._most = most
        self._lines: Mapping[str, str] = {}
        self._values: dict[str, T | None] = {}
        self._known: dict[str, T] = {}

    def read(self, info: Info) -> Mapping[str, T]:
        """The values by name; the very same mapping as before, if the table is the same."""
        lines = dict(first(info.table(self._start), self._most))
        if lines == self._lines:
            return self._known
        last, values = self._lines, self._values
        self._values = {
            name: values[name] if last.get(name) == text else self._parse(text) for name, text in lines.items()
        }
        self._lines = lines
        self._known = {name: value for name, value in self._values.items() if value is not None}
        return self._known


def commands() -> Table[CommandStats]:
    """A reader of commandstats."""
    return Table("cmdstat_", command, MOST_COMMANDS)


def errors() -> Table[float]:
    """A reader of errorstats: how often each error was answered, by its first word."""
    return Table("errorstat_", error, MOST_ERRORS)


def latencies() -> Table[dict[str, float]]:
    """A reader of latencystats: for each command the microseconds at each percentile, `{"get": {"99.9": 4.015}}`."""
    return Table("latency_percentiles_usec_", percentiles, MOST_COMMANDS)


def command(text: str) -> CommandStats | None:
    """Read `calls=21,usec=175,…`; None without calls and time."""
    parts = pairs(text)
    calls, usec = number(parts, "calls"), number(parts, "usec")
    if calls is None or usec is None:
        return None
    return CommandStats(calls, usec, number(parts, "rejected_calls"), number(parts, "failed_calls"), _slow(parts))


def _slow(parts: dict[str, str]) -> SlowCalls | None:
    if "slowlog_count" not in parts:
        return None
    count, total = number(parts, "slowlog_count"), number(parts, "slowlog_time_ms_sum")
    longest = number(parts, "slowlog_time_ms_max")
    if count is None or total is None or longest is None:
        return None
    return SlowCalls(count, total, longest)


def error(text: str) -> float | None:
    """Read `count=4`."""
    return number(pairs(text), "count")


def percentiles(text: str) -> dict[str, float]:
    """Read `p50=0.001,p99.9=4.015`."""
    parts = dict(list(pairs(text).items())[:MOST_PERCENTILES])
    known = {word(name[1:]): number(parts, name) for name in parts if _is_percentile(name)}
    return {name: usec for name, usec in known.items() if usec is not None}


def _is_percentile(name: str) -> bool:
    return name.startswith("p") and name[1:].replace(".", "", 1).isdigit()
