"""A slice of a session becomes pieces of the window: raw lines and a plan in, a `Piece` for each second of it out.

Usually all lines of a burst are worth the same. Where it came near a limit they are not (see `truncation`): then it is
counted stretch by stretch, and what was counted is brought to what it is worth.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import groupby
from math import floor
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from exporter.monitor import parse
from exporter.sampling.stratum import Piece
from exporter.sampling.truncation import Step, factors, is_dense

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.monitor.governor import Plan
    from exporter.monitor.keys import CommandTable
    from exporter.monitor.session import Slice
    from exporter.sampling.slowdown import Served
    from exporter.sampling.stratum import DbKey

STEPS = 64
"""Places in the lines of a second at which it is looked how far a dense burst was."""
NOTHING = parse.Counts()


class Reading(NamedTuple):
    """One second of a slice: its lines, what they hold, and the piece for the window."""

    lines: bytes
    counts: parse.Counts
    piece: Piece


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a piece: the seconds that it was observed, what was counted, and what that is worth."""

    seconds: float
    commands: int
    accesses: Mapping[DbKey, tuple[int, int]]
    factor: float = 1.0


class _Part(NamedTuple):
    """Lines of one second, and where their stretches end: (offset, seconds, factor)."""

    start: float
    end: float
    lines: bytes
    ends: Sequence[tuple[int, float, float]]


def stands_for(plan: Plan, observed: float) -> float:
    """Return the seconds that each observed one of a slice stands for; a burst cut short only for what it saw."""
    return 1.0 if plan.joined else plan.cycle / max(observed, plan.seconds)


def worths(plan: Plan, steps: Sequence[Step]) -> list[float]:
    """What commands are worth between the steps of a slice, the last of which is its end."""
    end = steps[-1]
    if not _is_uneven(plan, end.lines, end.size):
        return [1.0] * len(steps)
    return factors(steps, max(plan.seconds, end.seconds), plan.limits)


def _is_uneven(plan: Plan, lines: float, size: float) -> bool:
    """Whether not all of a slice is worth the same."""
    return not plan.joined and is_dense(lines, size, plan.limits)


def read(
    plan: Plan, piece: Slice, served: Served | None, table: CommandTable, own: parse.Own, chance: random.Random
) -> Iterator[Reading]:
    """Cut a slice at whole seconds of the server's clock, and count each part."""
    observed = piece.end - piece.start
    parts = list(_by_second(piece))
    if _is_uneven(plan, piece.lines, piece.size_bytes):
        parts = _weighed(parts, plan, piece)
    for part in parts:
        counts, stretches = _counted(part, table, own)
        length = part.end - part.start
        around = served.part(length / observed) if served and observed else None
        found = merged(part.start, stretches, stands_for(plan, observed), around, chance)
        yield Reading(
            part.lines, counts, replace(found, end=part.end, joined=plan.joined, size=part.lines.rfind(b"\n") + 1)
        )


def merged(
    start: float, stretches: Sequence[Stretch], each: float, served: Served | None, chance: random.Random
) -> Piece:
    """Make one piece of stretches, each second of which stands for `each` seconds times its factor.

    A piece has whole counts. What is not whole is rounded at random, so that it is right in the mean.
    """
    length = sum(one.seconds for one in stretches)
    if len(stretches) == 1 and ((one := stretches[0]).factor == 1.0 or not length):
        return Piece(start, start + length, each * length, one.commands, one.accesses, served=served)
    # A piece stands for no less than its own time; where that is more than what it is worth, its counts are fewer.
    cycle = max(length, each * sum(one.seconds * one.factor for one in stretches))
    worth = each * length / cycle

    def whole(amount: float) -> int:
        return floor(amount + chance.random())

    reads: defaultdict[DbKey, float] = defaultdict(float)
    writes: defaultdict[DbKey, float] = defaultdict(float)
    for one in stretches:
        for key, (count, written) in one.accesses.items() if one.factor else ():
            reads[key] += worth * one.factor * (count - written)
            writes[key] += worth * one.factor * written
    accesses = {}
    for key, amount in reads.items():
        written = whole(writes[key])
        if total := whole(amount) + written:
            accesses[key] = (total, written)
    seen = sum(one.commands for one in stretches)
    commands = worth * sum(one.factor * one.commands for one in stretches)
    around = served and replace(served, watched=served.watched * commands / seen if seen else served.watched)
    return Piece(start, start + length, cycle, whole(commands), accesses, served=around)


def _by_second(piece: Slice) -> Iterator[_Part]:
    data, start = piece.data, piece.start
    while True:
        second = int(start) + 1
        end = min(float(second), piece.end)
        lines, data = parse.split_at(data, second) if piece.end > second else (data, b"")
        yield _Part(start, end, lines, [(len(lines), end - start, 1.0)])
        start = end
        if not data and end >= piece.end:
            return


def _weighed(parts: Sequence[_Part], plan: Plan, piece: Slice) -> list[_Part]:
    """Find out what the stretches of a dense burst are worth."""
    steps: list[Step] = []
    lines = size = 0
    marks = [_marks(part) for part in parts]
    for part, places in zip(parts, marks, strict=True):
        at = 0
        for offset, stamp in places:
            lines, size, at = lines + part.lines.count(b"\n", at, offset), size + offset - at, offset
            steps.append(Step(stamp - piece.start, lines, size))
    worth = iter(worths(plan, steps))
    return [
        part._replace(ends=_ends(part, [(*place, next(worth)) for place in places]))
        for part, places in zip(parts, marks, strict=True)
    ]


def _marks(part: _Part) -> list[tuple[int, float]]:
    """Places in the lines of a part, each with its time; the last one is their end."""
    found, at = [], part.start
    for offset, stamp in parse.marks(part.lines, STEPS):
        if at < stamp < part.end:  # what has no time of its own belongs to the next step
            found.append((offset, at := stamp))
    return [*found, (len(part.lines), part.end)]


def _ends(part: _Part, places: Sequence[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """Join what is worth the same: where it ends, for how many seconds it was observed, its factor."""
    ends, before = [], part.start
    for factor, alike in groupby(places, itemgetter(2)):
        *_, (offset, stamp, _) = alike
        ends.append((offset, stamp - before, factor))
        before = stamp
    return ends


def _counted(part: _Part, table: CommandTable, own: parse.Own) -> tuple[parse.Counts, list[Stretch]]:
    """Count the lines of a part, and of each of its stretches."""
    if len(part.ends) == 1:
        [(_, seconds, factor)] = part.ends
        counts = parse.count(part.lines, table, own) if part.lines else NOTHING
        return counts, [Stretch(seconds, counts.commands, counts.accesses, factor)]
    stream, counts, at = parse.Stream(table, own, replies=True), NOTHING, 0
    stretches = []
    for offset, seconds, factor in part.ends:
        stream.feed(part.lines[at:offset])
        if offset == len(part.lines):
            stream.close(cut=True)
        before, counts, at = counts, stream.counts(), offset
        more = {
            key: (count - earlier[0], writes - earlier[1])
            for key, (count, writes) in counts.accesses.items()
            if (earlier := before.accesses.get(key, (0, 0)))[0] != count
        }
        stretches.append(Stretch(seconds, counts.commands - before.commands, more, factor))
    return counts, stretches
