"""LATENCY LATEST and LATENCY HISTOGRAM: replies in, spikes and histograms out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.serverstats import Histogram, LatencySpike
from exporter.stats.commandstats import MOST_COMMANDS
from exporter.stats.info import word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.stats.info import Info
    from exporter.stats.reply import Reply

MOST_EVENTS = 64
MOST_BUCKETS = 64


def spikes(_info: Info, replies: Sequence[Reply]) -> tuple[LatencySpike, ...]:
    """The last spike of each event that the latency monitor knows; empty while it is off."""
    found: dict[str, LatencySpike] = {}
    for entry in _listed(replies[0])[:MOST_EVENTS]:
        match entry:
            case [bytes(event), int(at), int(milliseconds), *_]:
                name = word(event.decode("utf-8", "replace"))
                found[name] = LatencySpike(name, float(at), milliseconds / 1000)
    return tuple(found.values())


def histograms(_info: Info, replies: Sequence[Reply]) -> dict[str, Histogram]:
    """The histogram of each command: `[name, ["calls", n, "histogram_usec", [usec, calls up to that, …]], …]`."""
    entries = _listed(replies[0])
    found: dict[str, Histogram] = {}
    for name, details in list(zip(entries[::2], entries[1::2], strict=False))[:MOST_COMMANDS]:
        match details:
            case [_, int(calls), _, list(flat)] if isinstance(name, bytes):
                found[word(name.decode("utf-8", "replace"))] = Histogram(calls, tuple(_buckets(flat)))
    return _with_common_bounds(found)


def _with_common_bounds(found: dict[str, Histogram]) -> dict[str, Histogram]:
    """Give every histogram the bounds of all.

    The server leaves out buckets that nothing fell into. A sum over commands by `le`, which percentiles of a node are
    made of, would then lose the calls of a command at each bound that it lacks, and call everything slow.
    """
    bounds = sorted({usec for one in found.values() for usec, _ in one.buckets})
    if len(bounds) > MOST_BUCKETS:
        return found  # no server that we know has more than 22
    return {name: Histogram(one.calls, tuple(_filled(one, bounds))) for name, one in found.items()}


def _filled(one: Histogram, bounds: Sequence[int]) -> Iterator[tuple[int, int]]:
    own, last = dict(one.buckets), 0
    for usec in bounds:
        last = own.get(usec, last)
        yield usec, last


def _buckets(flat: Sequence[Reply]) -> Iterator[tuple[int, int]]:
    """The pairs that ascend in both numbers, as a histogram must."""
    last = (-1, -1)
    for pair in list(zip(flat[::2], flat[1::2], strict=False))[:MOST_BUCKETS]:
        match pair:
            case (int(usec), int(calls)) if usec > last[0] and calls >= last[1]:
                last = (usec, calls)
                yield last


def _listed(reply: Reply) -> list[Reply]:
    return reply if isinstance(reply, list) else []
