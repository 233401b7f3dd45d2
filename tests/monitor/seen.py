"""Commands, how MONITOR shows them, and the accesses that they are: what the parser's tests compare."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import HealthCheck, settings

from exporter.keynames import stored
from exporter.monitor.keys import CommandTable
from exporter.monitor.parse import Counts, Own, Stream
from exporter.monitor.patterns import patterns_for
from tests.lines import LOCAL, line, words

if TYPE_CHECKING:
    from collections.abc import Iterable

STREAMS = Path(__file__).parents[1] / "data" / "monitor"
SERVERS = ("redis-6.2.14", "redis-7.0.15", "redis-8.10.2", "valkey-9.1.2")
COMMON = words(
    "GET get SET Set HGET HSET INCR DEL MGET MSET EXISTS PING EVAL EVALSHA FCALL LPUSH XADD XREAD ZADD SORT RENAME"
    " BITOP ZUNIONSTORE OBJECT MULTI EXEC SELECT EXPIRE SUBSCRIBE MEMORY GEORADIUS PFMERGE"
)
UNIX = b"unix:/run/redis/redis.sock"
Accesses = dict[tuple[int, bytes], tuple[int, int]]

table = cache(CommandTable.builtin)
fast = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def learned() -> CommandTable:
    """A table whose patterns exist already, so that the fast way is taken; others are read exactly at first."""
    known = CommandTable.builtin()
    lines = b"".join(line([name, b"k%d" % number], (0, 1, 15)[number % 3]) for number in range(150) for name in COMMON)
    for commands in (False, True):
        Stream(known, commands=commands).feed(lines)
        assert patterns_for(known, commands=commands).learned
    return known


class Seen(NamedTuple):
    """A command, and how MONITOR is to show it."""

    argv: list[bytes]
    db: int = 0
    source: bytes = LOCAL
    stamp: bytes = b"1795397124.911000"


def written(seen: Iterable[Seen], *, raw: bool = True) -> bytes:
    """Write commands as a stream."""
    return b"".join(line(one.argv, one.db, one.source, one.stamp, raw=raw) for one in seen)


def truth(seen: Iterable[Seen]) -> Accesses:
    """What the table says of the argument lists themselves."""
    accesses, writes = Counter[tuple[int, bytes]](), Counter[tuple[int, bytes]]()
    for one in seen:
        for key, write in table().accesses(one.argv):
            accesses[one.db, stored(key)] += 1
            writes[one.db, stored(key)] += write
    return {place: (times, writes[place]) for place, times in accesses.items()}


def fed(pieces: Iterable[bytes], known: CommandTable, own: Own = Own(), *, replies: bool = False) -> Counts:  # noqa: B008
    """Count a stream that arrives in `pieces`."""
    stream = Stream(known, own, replies=replies)
    for piece in pieces:
        stream.feed(piece)
    stream.close()
    return stream.counts()


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut `data` at these places, each taken modulo its length."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]
