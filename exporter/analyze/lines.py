"""What lines of MONITOR tell beside their keys: whole chunks of a stream in; clients, sizes and times out.

Everything is bounded: clients and keys in number, times by doubling the width of a step, and of a long line only its
beginning is held.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING

from exporter.keynames import stored
from exporter.monitor.line import HEADER, read

if TYPE_CHECKING:
    from exporter.monitor.keys import CommandTable

LARGE_BYTES = 1024
"""Lines that are at least so long are weighed; shorter ones say more by their number."""
_HEAD_BYTES = 4096
_MOST_CLIENTS = 4096
_MOST_WEIGHTS = 4096
_MOST_STEPS = 2048
_OTHER = b"other"
_SECOND = re.compile(rb"\+?(\d{1,12})")
_CLIENT = re.compile(rb'\d+ ([^"\n]{1,150})')


@dataclass(frozen=True, slots=True)
class Weight:
    """Large commands that name one key first: how many bytes they had in all and at most, as MONITOR writes them."""

    db: int
    key: bytes
    bytes: int
    commands: int
    largest: int


@dataclass(frozen=True, slots=True)
class Rate:
    """Commands in each step of `step_seconds`, from `start` (seconds since 1970) on."""

    start: float
    step_seconds: int
    commands: tuple[int, ...]


class Lines:
    """Counts clients, large commands and times of a stream that arrives in pieces of any size."""

    def __init__(self, table: CommandTable) -> None:
        self._table = table
        self._clients: Counter[bytes] = Counter()
        self._weights: dict[tuple[int, bytes], tuple[int, int, int]] = {}
        self._steps: Counter[int] = Counter()
        self._width = 1
        self._head = b""
        self._length = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next piece."""
        first = chunk.find(b"\n")
        if first < 0:
            self._hold(chunk)
            return
        self._hold(chunk[:first])
        self._ended(self._head, self._length)
        last = chunk.rfind(b"\n") + 1
        self._whole(chunk[first + 1 : last])
        self._head, self._length = b"", 0
        self._hold(chunk[last:])

    def close(self) -> None:
        """The stream has ended; a line without an end may still count."""
        if self._length:
            self._ended(self._head, self._length)
        self._head, self._length = b"", 0

    def _hold(self, part: bytes) -> None:
        self._head += part[: _HEAD_BYTES - len(self._head)]
        self._length += len(part) - part.endswith(b"\r")

    def _ended(self, head: bytes, length: int) -> None:
        """One line; `head` is all of it, or its beginning."""
        self._headers([head])
        if length >= LARGE_BYTES:
            self._weigh(head, length)

    def _whole(self, text: bytes) -> None:
        lines = text.split(b"\n")
        self._headers(lines)
        for line in lines:
            if len(line) >= LARGE_BYTES:
                whole = line.removesuffix(b"\r")
                self._weigh(whole[:_HEAD_BYTES], len(whole))

    def _headers(self, lines: list[bytes]) -> None:
        """Count what stands before the command, `1795397100.123456 [0 127.0.0.1:1234`, without looking at the rest."""
        # Splitting is several times as fast as a pattern that has to find each line's beginning.
        heads = [line.partition(b'] "')[0].partition(b" [") for line in lines]
        for (stamp, place), times in Counter([(head[0].partition(b".")[0], head[2]) for head in heads]).items():
            second, client = _SECOND.fullmatch(stamp), _CLIENT.fullmatch(place)
            if second and client:
                self._count(int(second[1]), client[1], times)

    def _count(self, second: int, client: bytes, times: int) -> None:
        self._steps[second // self._width] += times
        # Of an address the host: each connection has a port of its own.
        host = client if client.startswith(b"unix:") else client.rpartition(b":")[0] or client
        known = host in self._clients or len(self._clients) < _MOST_CLIENTS
        self._clients[host if known else _OTHER] += times
        while len(self._steps) > _MOST_STEPS:
            self._width *= 2
            steps = Counter[int]()
            for step, count in self._steps.items():
                steps[step // 2] += count
            self._steps = steps

    def _weigh(self, head: bytes, length: int) -> None:
        header = HEADER.match(head)
        line = read(head, self._table, cut=length > len(head))
        if header is None or line is None or not (places := self._table.positions(line.argv)):
            return
        name = (line.db, stored(line.argv[places[0][0]]))
        size = length - header.end()
        total, commands, largest = self._weights.get(name, (0, 0, 0))
        self._weights[name] = (total + size, commands + 1, max(largest, size))
        if len(self._weights) > _MOST_WEIGHTS:
            kept = nlargest(_MOST_WEIGHTS // 2, self._weights.items(), key=lambda item: item[1])
            self._weights = dict(kept)

    def clients(self) -> tuple[tuple[bytes, int], ...]:
        """Hosts (or `lua`, or the path of a unix socket) with their commands, most first."""
        return tuple(sorted(self._clients.items(), key=lambda item: (-item[1], item[0])))

    def heaviest(self, most: int) -> tuple[Weight, ...]:
        """The keys whose large commands had most bytes."""
        found = sorted(self._weights.items(), key=lambda item: (-item[1][0], item[0]))[:most]
        return tuple(Weight(db, key, total, commands, largest) for (db, key), (total, commands, largest) in found)

    def rate(self) -> Rate | None:
        """Commands over time; None without a line that has a time. Time that was stepped over counts as quiet."""
        if not self._steps:
            return None
        first, last = min(self._steps), max(self._steps)
        width = self._width
        while (last - first) >= _MOST_STEPS:  # stamps that jump: coarser, until it fits
            width *= 2
            first, last = first // 2, last // 2
        counts = [0] * (last - first + 1)
        for step, times in self._steps.items():
            counts[step * self._width // width - first] += times
        return Rate(float(first * width), width, tuple(counts))
