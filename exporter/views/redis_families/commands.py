"""Families per command and per error, and of what was slow: commandstats, errorstats, latencystats, LATENCY, logs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from exporter.views.exposition import label, number
from exporter.views.redis_families.rows import part, plain, row, section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.serverstats import CommandStats, LatencySpike, ServerStats, SlowCalls, Slowlog
    from exporter.views.families import Row, Samples


@lru_cache(maxsize=2048)
def _cmd(name: str) -> str:
    """The label of a command, which a dozen families write at every reading."""
    return label("cmd", name)


@lru_cache(maxsize=8192)
def _up_to(name: str, usec: int) -> str:
    """The labels of one bucket of a command's histogram."""
    return f'{_cmd(name)},le="{number(usec)}"'


_PERCENTILES = "A summary of latency percentile distribution per command"
_HISTOGRAM = "A histogram of latencies per command"


def _by_command(value: Callable[[CommandStats], float | None]) -> Callable[[ServerStats], Samples]:
    return lambda stats: ((_cmd(name), value(one)) for name, one in stats.commands.items())


def _slow(value: Callable[[SlowCalls], float]) -> Callable[[ServerStats], Samples]:
    return _by_command(lambda one: value(one.slow) if one.slow else None)


def _errors(stats: ServerStats) -> Samples:
    return ((label("err", name), count) for name, count in stats.errors.items())


def _quantiles(stats: ServerStats) -> Iterator[tuple[str, float]]:
    for name, percentiles in stats.latencies.items():
        written = _cmd(name)
        for percentile, usec in percentiles.items():
            yield f'{written},quantile="{percentile}"', usec


def _with_percentiles(value: Callable[[CommandStats], float]) -> Callable[[ServerStats], Samples]:
    return lambda stats: (
        (_cmd(name), value(stats.commands[name])) for name in stats.latencies if name in stats.commands
    )


def _buckets(stats: ServerStats) -> Iterator[tuple[str, float]]:
    for name, histogram in stats.histograms.items():
        for usec, calls in histogram.buckets:
            yield _up_to(name, usec), calls
        yield f'{_cmd(name)},le="+Inf"', histogram.calls


def _histogram_sums(stats: ServerStats) -> Samples:
    """The time of a command from commandstats, which is what its histogram is made of."""
    known = stats.commands
    return ((_cmd(name), known[name].usec if name in known else 0.0) for name in stats.histograms)


def _histogram_counts(stats: ServerStats) -> Samples:
    return ((_cmd(name), one.calls) for name, one in stats.histograms.items())


def _spikes(value: Callable[[LatencySpike], float]) -> Callable[[ServerStats], Samples]:
    return lambda stats: ((label("event_name", spike.event), value(spike)) for spike in stats.spikes)


def _slowlog(value: Callable[[Slowlog], float]) -> Callable[[ServerStats], Samples]:
    return plain(lambda stats: value(stats.slowlog) if stats.slowlog else None)


_PER_COMMAND = (
    row("commands_total", "Total number of calls per command", _by_command(lambda one: one.calls), "counter"),
    row(
        "commands_duration_seconds_total",
        "Total amount of time in seconds spent per command",
        _by_command(lambda one: one.usec / 1e6),
        "counter",
    ),
    # redis_exporter has the helps of these two the other way round.
    row(
        "commands_rejected_calls_total",
        "Total number of errors prior command execution per command",
        _by_command(lambda one: one.rejected),
        "counter",
    ),
    row(
        "commands_failed_calls_total",
        "Total number of errors within command execution per command",
        _by_command(lambda one: one.failed),
        "counter",
    ),
    row(
        "commands_slowlog_total",
        "Total number of slowlogged calls per command",
        _slow(lambda one: one.count),
        "counter",
    ),
    row(
        "commands_slowlog_duration_seconds_total",
        "Total slowlogged command execution time in seconds per command",
        _slow(lambda one: one.milliseconds / 1e3),
        "counter",
    ),
    row(
        "commands_slowlog_duration_seconds_max",
        "Maximum slowlogged command execution time in seconds per command",
        _slow(lambda one: one.longest_milliseconds / 1e3),
    ),
    row("errors_total", "Total number of errors per error type", _errors, "counter"),
)

_QUANTILES = (part("latency_percentiles_usec", "", _PERCENTILES, _quantiles, "summary"),)
_QUANTILE_SUMS = (
    part("latency_percentiles_usec", "_sum", _PERCENTILES, _with_percentiles(lambda one: one.usec), "summary"),
    part("latency_percentiles_usec", "_count", _PERCENTILES, _with_percentiles(lambda one: one.calls), "summary"),
)
_BUCKETS = (part("commands_latencies_usec", "_bucket", _HISTOGRAM, _buckets, "histogram"),)
_BUCKET_SUMS = (
    part("commands_latencies_usec", "_sum", _HISTOGRAM, _histogram_sums, "histogram"),
    part("commands_latencies_usec", "_count", _HISTOGRAM, _histogram_counts, "histogram"),
)
_SLOW = (
    row("latency_spike_last", "When the latency spike last occurred", _spikes(lambda spike: spike.at)),
    row(
        "latency_spike_duration_seconds",
        "Length of the last latency spike in seconds",
        _spikes(lambda spike: spike.seconds),
    ),
    row("slowlog_length", "Total slowlog", _slowlog(lambda one: one.length)),
    row("slowlog_last_id", "Last id of slowlog", _slowlog(lambda one: one.last_id)),
    row(
        "last_slow_execution_duration_seconds",
        "The amount of time needed for last slow execution, in seconds",
        _slowlog(lambda one: one.last_seconds),
    ),
)


def _commandlog_length(kind: str) -> Callable[[ServerStats], Samples]:
    return plain(lambda stats: stats.commandlog.get(kind))


def _commandlog_limit(name: str) -> Callable[[ServerStats], Samples]:
    return plain(lambda stats: stats.limits.values.get(name) if stats.limits and stats.commandlog else None)


def _commandlog() -> Iterator[Row]:
    lengths = (("slow", "slow"), ("large_request", "large-request"), ("large_reply", "large-reply"))
    for name, kind in lengths:
        text = f"Total entries in the {kind} command log"
        yield row(f"commandlog_{name}_length", text, _commandlog_length(kind))
    for name, text in (
        ("execution_slower_than", "Execution time threshold in microseconds for the slow command log"),
        ("slow_execution_max_len", "Maximum number of entries retained in the slow command log"),
        ("request_larger_than", "Request size threshold in bytes for the large-request command log"),
        ("large_request_max_len", "Maximum number of entries retained in the large-request command log"),
        ("reply_larger_than", "Reply size threshold in bytes for the large-reply command log"),
        ("large_reply_max_len", "Maximum number of entries retained in the large-reply command log"),
    ):
        yield row(f"commandlog_{name}", text, _commandlog_limit(f"commandlog-{name.replace('_', '-')}"))


# Cut by what they are made of: on most servers most of it stays the same for many readings.
SECTIONS = (
    section(_PER_COMMAND, lambda stats: (stats.commands, stats.errors)),
    section(_QUANTILES, lambda stats: (stats.latencies,)),
    section(_QUANTILE_SUMS, lambda stats: (stats.latencies, stats.commands)),
    section(_BUCKETS, lambda stats: (stats.histograms,)),
    section(_BUCKET_SUMS, lambda stats: (stats.histograms, stats.commands)),
    section(_SLOW, lambda stats: (stats.spikes, stats.slowlog)),
    section(_commandlog(), lambda stats: (stats.commandlog, stats.limits)),
)
