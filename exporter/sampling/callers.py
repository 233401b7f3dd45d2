"""Who calls one key: what was read of it, piece by piece, comes in; shares with 95 % intervals go out (pure).

A share is a ratio of two sums over pieces, x of a client to n of all. Where a piece stands for k times what was read of
it, the variance is that of the linearised ratio between pieces (Cochran, Sampling Techniques, 6.8): the sum of
phi * (k*x - share * k*n)^2 over (sum of k*n)^2, where phi = 1 - 1/k is the part that was not read. It is never taken
for less than that of single accesses drawn at random, of Kish's effective number (sum of k*n)^2 / sum of phi * k^2 * n.
What was read in full has no error.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from heapq import nsmallest
from math import ceil, inf
from typing import TYPE_CHECKING

from exporter.focus import Callers, Part
from exporter.sampling.interval import proportion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.monitor.lookout import DbKey, Sightings

# Client and command; empty means all of them.
Subject = tuple[bytes, bytes]

STRETCHES = 6
"""The window is kept in so many stretches of time, which leave it one by one."""
CLIENTS, HOSTS, COMMANDS, PAIRS = 128, 128, 32, 384
"""Distinct ones in a stretch: clients beyond that are counted by host, hosts and commands as others."""
OTHERS = b"*"
LISTED = 20
_LEAST_FREEDOM = 3.0
_MICROSECOND = 1e-6
_ALL: Subject = (b"", b"")


@dataclass(slots=True)
class _Sums:
    """Of one subject: x and k*x, and what the variance of its share takes, summed over pieces."""

    seen: int = 0
    amount: float = 0.0
    square: float = 0.0
    cross: float = 0.0

    def add(self, other: _Sums) -> None:
        self.seen += other.seen
        self.amount += other.amount
        self.square += other.square
        self.cross += other.cross


@dataclass(slots=True)
class _Stretch:
    """Some seconds from `start` on (server clock)."""

    start: float
    observed: float = 0.0
    span: float = 0.0
    pieces: int = 0
    kish: float = 0.0
    sums: dict[Subject, _Sums] = field(default_factory=dict)
    clients: set[bytes] = field(default_factory=set)
    hosts: set[bytes] = field(default_factory=set)
    commands: set[bytes] = field(default_factory=set)
    pairs: int = 0

    def subjects(self, client: bytes, command: bytes) -> Iterable[Subject]:
        """All that one call counts for; rooms that are full make it count for less distinct ones."""
        if client not in self.clients:
            if len(self.clients) < CLIENTS:
                self.clients.add(client)
            else:
                client = self._host(client)
        if command not in self.commands:
            if len(self.commands) < COMMANDS:
                self.commands.add(command)
            else:
                command = OTHERS
        yield client, b""
        yield b"", command
        pair = (client, command)
        if pair not in self.sums:
            self.pairs += 1
        if pair in self.sums or self.pairs <= PAIRS:
            yield pair

    def _host(self, client: bytes) -> bytes:
        host = client.rpartition(b":")[0] + b":*"
        if host in self.hosts or len(self.hosts) < HOSTS:
            self.hosts.add(host)
            return host
        return OTHERS


class CallerBook:
    """What is known of one key over the last `seconds`. For one thread."""

    def __init__(self, key: DbKey, seconds: float = 60.0) -> None:
        self._key = key
        self._seconds = seconds
        self._length = max(1, ceil(seconds / STRETCHES))
        self._stretches: deque[_Stretch] = deque()

    def add(self, start: float, end: float, cycle: float, sightings: Sightings) -> None:
        """Take a piece from `start` to `end` on the server's clock, which stands for `cycle` seconds."""
        stretch = self._stretch(start)
        observed = end - start
        stretch.observed += observed
        stretch.span += max(cycle, observed)
        if not sightings.calls:
            return
        # Clocks have microseconds, and what was observed in full must come out so to the last bit.
        worth = sightings.weight * (cycle / observed if observed and cycle - observed > _MICROSECOND else 1.0)
        counts: Counter[Subject] = Counter()
        for call in sightings.calls:
            counts[_ALL] += call.accesses
            for subject in stretch.subjects(call.client, call.command):
                counts[subject] += call.accesses
        missed, all_of_it = 1.0 - 1.0 / worth, worth * counts[_ALL]
        stretch.pieces += 1
        stretch.kish += missed * worth * all_of_it
        for subject, count in counts.items():
            part = worth * count
            more = _Sums(count, part, missed * part * part, missed * part * all_of_it)
            stretch.sums.setdefault(subject, _Sums()).add(more)

    def _stretch(self, at: float) -> _Stretch:
        """The stretch that a moment belongs to; what is too old, or newer than a clock that was set back, leaves."""
        begin = at // self._length * self._length
        while self._stretches and self._stretches[-1].start > begin:
            self._stretches.pop()
        if not self._stretches or self._stretches[-1].start < begin:
            self._stretches.append(_Stretch(begin))
        while self._stretches[0].start <= begin - self._seconds:
            self._stretches.popleft()
        return self._stretches[-1]

    def callers(self) -> Callers:
        """What is known now."""
        sums: dict[Subject, _Sums] = {}
        for stretch in self._stretches:
            for subject, part in stretch.sums.items():
                sums.setdefault(subject, _Sums()).add(part)
        total = sums.pop(_ALL, _Sums())
        span = sum(one.span for one in self._stretches)
        estimate = self._estimator(total, span)
        commands = _largest([one for one in sums.items() if not one[0][0]])
        clients = _largest([one for one in sums.items() if not one[0][1]])
        listed = {client for (client, _), _ in clients}
        pairs = [one for one in sums.items() if one[0][1] and one[0][0] in listed]
        return Callers(
            *self._key,
            rate=total.amount / span if span else 0.0,
            seen=total.seen,
            observed=sum(one.observed for one in self._stretches),
            span=span,
            commands=tuple(map(estimate, commands)),
            clients=tuple(map(estimate, clients)),
            pairs=tuple(map(estimate, _largest(pairs, 4 * LISTED))),
        )

    def _estimator(self, total: _Sums, span: float) -> Callable[[tuple[Subject, _Sums]], Part]:
        kish = sum(one.kish for one in self._stretches)
        pieces = sum(one.pieces for one in self._stretches)
        drawn = total.amount**2 / kish if kish > 0.0 else inf
        freedom = max(_LEAST_FREEDOM, pieces - 1.0)

        def estimate(found: tuple[Subject, _Sums]) -> Part:
            subject, one = found
            share = min(1.0, one.amount / total.amount)
            squares = one.square - 2.0 * share * one.cross + share * share * total.square
            between = squares / total.amount**2 * pieces / max(1, pieces - 1)
            effective = min(drawn, share * (1.0 - share) / between) if between > 0.0 and share < 1.0 else drawn
            ends = proportion(share, effective, freedom)
            return Part(*subject, one.amount / span if span else 0.0, share, ends.low, ends.high)

        return estimate


def _largest(found: Iterable[tuple[Subject, _Sums]], most: int = LISTED) -> list[tuple[Subject, _Sums]]:
    return nsmallest(most, found, key=lambda one: (-one[1].amount, one[0]))
