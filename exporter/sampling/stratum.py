"""One second of the server's clock: from the pieces that were observed to what each key did in it (pure).

In: `Piece`s, each a burst or a slice of a joined run. Out: a `Stratum`, with its keys' amounts packed in arrays.

A second of which one unbroken run was observed is exact for what it observed. Any other is a sample. There a key's
rate is the mean of its pieces' rates, weighted by the cycle that each stands for (pooled counts over time are biased as
soon as the length of bursts follows the load). Its variance is the linearised jackknife between pieces, less the share
that was observed (Cochran, Sampling Techniques, 2.6 and 11.7).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import compress, islice
from math import ceil, inf
from operator import not_
from typing import TYPE_CHECKING

from exporter.sampling.calibration import Counted, effective

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.sampling.slowdown import Served

DbKey = tuple[int, bytes]

# Sums of multiples of a power of two are exact in a float: what is added can be taken away again to the last bit.
AMOUNT_GRAIN = 1024.0
VARIANCE_GRAIN = 256.0
_EXTENT_GRAIN = 2.0**20
STEPS = 255  # a share that is kept in one byte
_MICROSECOND = 1e-6
_JOINT_SECONDS = 5e-6  # brackets are whole microseconds: slices that end and begin closer than this leave no hole
_SPARSE = 0.2
_CHANCE = 3.0  # cycles
_RARE = 0.25  # seconds
_LONGEST = 3.0  # times the cycles: what is longer than chance makes it is an outage


@dataclass(frozen=True, slots=True)
class Piece:
    """What was observed from `start` to `end` (server clock, seconds; never across a whole second).

    `cycle` is the time it stands for: its planned length plus the mean gap. `joined`: it goes on where the piece before
    it ended. `accesses`: (accesses, of which writes) by (db, key); `commands`: commands seen; `size`: bytes of their
    lines. `served`: what the server counted around it, where it is known.
    """

    start: float
    end: float
    cycle: float
    commands: int
    accesses: Mapping[DbKey, tuple[int, int]]
    joined: bool = False
    served: Served | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Moments:
    """Accesses or commands of a whole stratum, the variance of that and the fourth moment of its deviations."""

    amount: float
    variance: float = 0.0
    fourth: float = 0.0


@dataclass(slots=True)
class Stratum:
    """One closed second. Entry i of each column belongs to one key; the ledger fills in `slots`.

    `extent`: the seconds that the amounts stand for; `observed`: the seconds seen; `pieces`: how many.
    Exact: `amounts` and `writes` are counts, there are no variances. Sampled: `writes` and `shapes` are in 1/255 (of
    the amount; of the squared variance, which gives the fourth moment).
    A single piece has no spread of its own. Then `alone` is the share that was not observed, `variances` are
    `alone` * amount^2, and the window's mean turns them into a distance from it.
    `poisson` * amount is the least variance; `floor` the largest amount that was dropped. `unseen` is the share of the
    amounts that was not seen but added, because the server does less while we watch.
    `served`: commands by the server's own count; `watched`: the same, estimated from what it counted in the bursts;
    `counted`: what there is to learn from that.
    """

    second: int
    extent: float
    observed: float
    pieces: int
    commands: Moments
    accesses: Moments
    amounts: array[float] | array[int]
    writes: array[int]
    exact: bool = True
    alone: float = 0.0
    poisson: float = 0.0
    floor: float = 0.0
    unseen: float = 0.0
    served: float = 0.0
    watched: Moments = Moments(0.0)
    counted: Counted | None = None
    variances: array[float] = field(default_factory=lambda: array("f"))
    shapes: array[int] = field(default_factory=lambda: array("B"))
    slots: array[int] = field(default_factory=lambda: array("H"))

    def keep(self, kept: bytearray) -> None:
        """Drop every entry whose byte in `kept` is 0, and remember the largest amount that goes."""
        self.floor = max(self.floor, *map(float, compress(self.amounts, map(not_, kept))))
        for name in ("amounts", "writes", "variances", "shapes"):
            column = getattr(self, name)
            if column:
                setattr(self, name, array(column.typecode, compress(column, kept)))


def largest(amounts: Sequence[float], rows: Sequence[int], limit: int) -> list[int]:
    """Choose the `limit` of `rows` with the largest amounts; among equals at the end the first ones."""
    if len(rows) <= limit:
        return list(rows)
    least = sorted((amounts[row] for row in rows), reverse=True)[limit - 1] if limit > 0 else inf
    found = [row for row in rows if amounts[row] > least]
    return found + list(islice((row for row in rows if amounts[row] == least), max(0, limit - len(found))))


class OpenSecond:
    """The second that is being observed: its pieces, and for each key a flat tuple (piece, count, writes, ...)."""

    def __init__(self, second: int, since: float | None = None) -> None:
        self.second = second
        self._since = since  # where the last piece of the second before ended
        self._seen: dict[DbKey, tuple[int, ...]] = {}
        self._lengths: list[float] = []
        self._cycles: list[float] = []
        self._commands: list[int] = []
        self._counts: list[int] = []
        self._served: list[Served | None] = []
        self._sizes: list[int] = []
        self._unbroken = True
        self._runs = False
        self._last = float(second)

    @property
    def last(self) -> float:
        """Where the last piece ended."""
        return self._last

    def add(self, piece: Piece) -> None:
        """Take one piece; one without length counts only as part of a joined run."""
        length = piece.end - piece.start
        if length < 0.0 or (length == 0.0 and not piece.joined):
            return
        if not piece.joined or (self._lengths and piece.start > self._last + _JOINT_SECONDS):
            self._unbroken = False
        self._runs = self._runs or piece.joined
        self._last = max(self._last, piece.end)
        if not (piece.joined and self._lengths and 0.0 in (length, self._lengths[-1])):
            for column in (self._lengths, self._cycles, self._commands, self._counts, self._sizes):
                column.append(0)
            self._served.append(piece.served)
        self._lengths[-1] += length
        self._cycles[-1] += length if piece.joined else max(piece.cycle, length)
        self._commands[-1] += piece.commands
        if not piece.joined:  # what a joined run is slowed by it has seen itself
            self._sizes[-1] += piece.size
        index, total, seen = len(self._lengths) - 1, 0, self._seen
        for key, (count, writes) in piece.accesses.items():
            before = seen.get(key)
            seen[key] = (index, count, writes) if before is None else (*before, index, count, writes)
            total += count
        self._counts[-1] += total

    def close(self, cost: float = 0.0) -> tuple[Stratum, list[DbKey]] | None:
        """Return the stratum, still without slots, and its entries' keys; None if no time was observed.

        `cost`: the seconds per byte that showing us a command takes the server (see `calibration`).
        """
        observed = sum(self._lengths)
        if observed < _MICROSECOND:
            return None
        extent = observed if self._unbroken else self._extent(observed)
        if extent - observed < _JOINT_SECONDS:
            return self._exact(observed), list(self._seen)
        spread = _Spread(self._lengths, self._cycles, extent, self._served)
        spread.calibrate(self._sizes, cost)
        stratum = Stratum(
            second=self.second,
            extent=extent,
            observed=observed,
            pieces=len(self._lengths),
            commands=spread.moments(self._commands),
            accesses=spread.moments(self._counts),
            amounts=array("f"),
            writes=array("B"),
            exact=False,
            alone=rounded(spread.missed, VARIANCE_GRAIN) if len(self._lengths) == 1 else 0.0,
            poisson=rounded(spread.missed * extent / observed * spread.speed, VARIANCE_GRAIN),
            unseen=max(0.0, rounded(1.0 - 1.0 / spread.speed, VARIANCE_GRAIN)),
        )
        known = [one for one in self._served if one is not None]
        if len(known) == len(self._served):
            served = extent * sum(one.commands for one in known) / sum(one.span for one in known)
            watched = [one.watched for one in known]
            stratum.counted = spread.counted(served, watched, self._sizes)
            if len(known) > 1:
                stratum.served, stratum.watched = served, spread.moments(watched)
        spread.fill(stratum, self._seen.values())
        return stratum, list(self._seen)

    def _exact(self, observed: float) -> Stratum:
        seen = self._seen.values()
        return Stratum(
            second=self.second,
            extent=rounded(observed, _EXTENT_GRAIN),
            observed=observed,
            pieces=len(self._lengths),
            commands=Moments(float(sum(self._commands))),
            accesses=Moments(float(sum(self._counts))),
            amounts=_packed([sum(counts[1::3]) for counts in seen]),
            writes=_packed([sum(counts[2::3]) for counts in seen]),
        )

    def _extent(self, observed: float) -> float:
        """Measure what sampled pieces stand for: a second, the time since the last piece of the one before, or cycles.

        Not always a second: a clump that was met makes the next gap longer, so seconds with clumps have fewer pieces,
        and the clump would count for more the fewer there are. But the time since the last piece depends on where in
        the second the pieces are, and so does not count where it differs by no more than gaps do by chance: what
        happens at the end of seconds would come out too high. Where pieces are rare it is their cycles that count.
        And so it is where they are a small part of the second: then sampling began late, ended early or is so sparse
        that the end of a burst which crossed into this second must not speak for all of it.
        """
        covered, mean = sum(self._cycles), sum(self._cycles) / len(self._cycles)
        elapsed = inf if self._since is None else self._last - self._since
        if self._runs or (covered >= _SPARSE and elapsed > _LONGEST * covered):
            covered = 1.0
        elif covered >= _SPARSE and mean <= _RARE:
            covered = 1.0 if abs(elapsed - 1.0) <= _CHANCE * mean else elapsed
        return ceil(max(covered, observed) * AMOUNT_GRAIN) / AMOUNT_GRAIN


class _Spread:
    """The pieces of one sampled second: what a count in each is worth, and how far a key's pieces lie apart.

    Piece b with share p = cycle / sum of cycles and length o turns a count n into the amount k*n, k = extent * p / o.
    A key's amount is A = sum(k*n), its deviations are k*n - p*A (n = 0 where it was not seen).

    Where watching slows the server, the amounts are those of a ratio estimator (Cochran, 6.3): all are multiplied by
    `speed`, the server's own commands per second over those of the bursts, and each piece is expected to have the share
    of commands that it had, instead of p. Elsewhere k may be calibrated burst by burst (see `calibration`).
    """

    def __init__(
        self, lengths: Sequence[float], cycles: Sequence[float], extent: float, served: Sequence[Served | None]
    ) -> None:
        total, pieces = sum(cycles), len(lengths)
        planned = self._shares = [cycle / total for cycle in cycles]
        self.speed = self._compare(lengths, served)
        self._lengths = lengths
        self._plain = [extent * p / o * self.speed if o else 0.0 for p, o in zip(planned, lengths, strict=True)]
        self._worth = self._plain
        self._squares = sum(p * p for p in self._shares)
        self._fourths = sum(p**4 for p in self._shares)
        self.missed = 1.0 - sum(lengths) / extent
        self._factor = self.missed * pieces / (pieces - 1) if pieces > 1 else 0.0

    def _compare(self, lengths: Sequence[float], served: Sequence[Served | None]) -> float:
        """Return how much faster the server is on average than while we watch; where it is, change the shares."""
        known = [(p, o, one) for p, o, one in zip(self._shares, lengths, served, strict=True) if one is not None and o]
        if 2 * sum(one.slowed for _, _, one in known) <= len(lengths):
            return 1.0
        seen = sum(p * one.watched / o for p, o, one in known)
        span, weight = sum(one.span for _, _, one in known), sum(p for p, _, _ in known)
        if seen <= 0.0 or span <= 0.0:
            return 1.0
        self._shares = [
            p if one is None or not o else p / o * one.watched * weight / seen
            for p, o, one in zip(self._shares, lengths, served, strict=True)
        ]
        return sum(one.commands for _, _, one in known) / span / (seen / weight) or 1.0

    def calibrate(self, sizes: Sequence[int], cost: float) -> None:
        """Let a count be worth the more, the more the server had to print in its burst; `cost` is seconds per byte."""
        if cost and self.speed == 1.0:
            rows = zip(self._plain, self._lengths, sizes, strict=True)
            self._worth = [k * o / effective(o, size, cost) if o else 0.0 for k, o, size in rows]

    def counted(self, served: float, watched: Sequence[float], sizes: Sequence[int]) -> Counted | None:
        """Tell what this second says of that cost; None where the bursts of a slow server are corrected already."""
        if self.speed != 1.0:
            return None
        amounts = [k * n for k, n in zip(self._plain, watched, strict=True)]
        densities = [size / o if o else 0.0 for size, o in zip(sizes, self._lengths, strict=True)]
        # A single burst has no spread; leaving it out would leave out clumps, which often end a row of bursts.
        variance = self._moments(amounts).variance if len(amounts) > 1 else (served - amounts[0]) ** 2
        return Counted(served, sum(amounts), variance, array("d", amounts), array("d", densities))

    def moments(self, counts: Sequence[float]) -> Moments:
        """Estimate what is counted in every piece."""
        return self._moments([k * n for k, n in zip(self._worth, counts, strict=True)])

    def _moments(self, amounts: Sequence[float]) -> Moments:
        amount = sum(amounts)
        squares = [(a - p * amount) ** 2 for a, p in zip(amounts, self._shares, strict=True)]
        return Moments(amount, self._factor * sum(squares), self._factor**2 * sum(d * d for d in squares))

    def fill(self, stratum: Stratum, seen: Iterable[tuple[int, ...]]) -> None:
        """Fill the columns of a sampled stratum, one entry for each key that was seen."""
        worth, pieces = self._worth, range(len(self._worth))
        squares = self._seen_once(stratum.alone)
        single = [_entry(worth[b], 0.0, squares[b][0] * worth[b] ** 2, squares[b][1]) for b in pieces]
        single_write = [(*entry[:3], STEPS) for entry in single]
        entries = []
        for counts in seen:
            if len(counts) > 3:
                entries.append(_entry(*self._several(counts)))
                continue
            piece, count, written = counts
            if count == 1:  # most keys are seen once
                entries.append(single_write[piece] if written else single[piece])
            else:
                amount, (square, shape) = worth[piece] * count, squares[piece]
                entries.append(_entry(amount, worth[piece] * written, square * amount * amount, shape))
        columns = zip(*entries, strict=True) if entries else ((), (), (), ())
        stratum.amounts, stratum.variances, stratum.shapes, stratum.writes = (
            array(code, column) for code, column in zip("ffBB", columns, strict=True)
        )

    def _seen_once(self, alone: float) -> list[tuple[float, int]]:
        """Tabulate for each piece what a key seen in it only has: variance over amount^2, and the shape."""
        if alone:
            return [(alone, 0)] * len(self._shares)
        table = []
        for p in self._shares:
            squares = (1 - p) ** 2 + max(0.0, self._squares - p * p)
            fourths = (1 - p) ** 4 + max(0.0, self._fourths - p**4)
            table.append((self._factor * squares, share(fourths, squares * squares)))
        return table

    def _several(self, counts: tuple[int, ...]) -> tuple[float, float, float, int]:
        """Estimate a key that several pieces saw: amount, amount of writes, variance, shape."""
        shares, worth = self._shares, self._worth
        amount = written = square = fourth = 0.0
        for at in range(0, len(counts), 3):
            value = worth[counts[at]]
            amount += value * counts[at + 1]
            written += value * counts[at + 2]
        for at in range(0, len(counts), 3):
            piece = counts[at]
            expected = shares[piece] * amount
            deviation = (worth[piece] * counts[at + 1] - expected) ** 2
            unseen = expected * expected
            square += deviation - unseen
            fourth += deviation * deviation - unseen * unseen
        square = max(0.0, square + amount**2 * self._squares)
        fourth += amount**4 * self._fourths
        return amount, written, self._factor * square, share(fourth, square * square) if square else STEPS


def _entry(amount: float, written: float, variance: float, shape: int) -> tuple[float, float, int, int]:
    """Round one entry to what its columns hold: amount, variance (upwards), shape, writes."""
    return (
        (int(amount * AMOUNT_GRAIN + 0.5) or 1) / AMOUNT_GRAIN,
        (int(variance * VARIANCE_GRAIN) + 1) / VARIANCE_GRAIN,
        shape,
        share(written, amount) if written else 0,
    )


def share(part: float, whole: float) -> int:
    """Keep part / whole in one byte: 0 and 255 only for nothing and all."""
    if part <= 0.0:
        return 0
    return STEPS if part >= whole else max(1, min(STEPS - 1, int(STEPS * part / whole + 0.5)))


def rounded(value: float, grain: float) -> float:
    """Round to a multiple of 1 / grain."""
    return round(value * grain) / grain


def _packed(counts: list[int]) -> array[int]:
    """Pack counts in the narrowest array that holds them."""
    most = max(counts, default=0)
    return array("B" if most < 256 else "H" if most < 65536 else "Q", counts)
