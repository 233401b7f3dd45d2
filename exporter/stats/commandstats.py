"""INFO's statistics per command and per error: lines in, numbers by name out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.serverstats import CommandStats, SlowCalls
from exporter.stats.info import first, number, pairs, word

if TYPE_CHECKING:
    from exporter.stats.info import Info

MOST_COMMANDS = 1000
"""Redis 8 has some 400, subcommands included; modules add a few dozen each."""
MOST_ERRORS = 128
"""As many as Redis itself keeps."""
MOST_PERCENTILES = 16


def commands(info: Info) -> dict[str, CommandStats]:
    """Read commandstats. A line without calls and time is left out."""
    found: dict[str, CommandStats] = {}
    for name, value in first(info.table("cmdstat_"), MOST_COMMANDS):
        parts = pairs(value)
        calls, usec = number(parts, "calls"), number(parts, "usec")
        if calls is not None and usec is not None:
            rejected, failed = number(parts, "rejected_calls"), number(parts, "failed_calls")
            found[name] = CommandStats(calls, usec, rejected, failed, _slow(parts))
    return found


def _slow(parts: dict[str, str]) -> SlowCalls | None:
    if "slowlog_count" not in parts:
        return None
    count, total = number(parts, "slowlog_count"), number(parts, "slowlog_time_ms_sum")
    longest = number(parts, "slowlog_time_ms_max")
    if count is None or total is None or longest is None:
        return None
    return SlowCalls(count, total, longest)


def errors(info: Info) -> dict[str, float]:
    """Read errorstats: how often each error was answered, by its first word."""
    found: dict[str, float] = {}
    for name, value in first(info.table("errorstat_"), MOST_ERRORS):
        count = number(pairs(value), "count")
        if count is not None:
            found[name] = count
    return found


def latencies(info: Info) -> dict[str, dict[str, float]]:
    """Read latencystats: for each command the microseconds at each percentile, `{"get": {"99.9": 4.015}}`."""
    found: dict[str, dict[str, float]] = {}
    for name, value in first(info.table("latency_percentiles_usec_"), MOST_COMMANDS):
        parts = dict(list(pairs(value).items())[:MOST_PERCENTILES])
        known = {word(percentile[1:]): number(parts, percentile) for percentile in parts if _is_percentile(percentile)}
        found[name] = {percentile: usec for percentile, usec in known.items() if usec is not None}
    return found


def _is_percentile(name: str) -> bool:
    return name.startswith("p") and name[1:].replace(".", "", 1).isdigit()
