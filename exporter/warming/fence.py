"""Writes behind a fence: what was invalidated between the read of the source and our write is not left in the cache.

In: leases on the streams of the primaries, and a placement. Out: replies as without a fence, and later how many keys
had to be taken back. The protocol, for each primary:

    1. the stream is seen in full, and our PING has come by in it; only then is the source read
    2. a key that somebody has changed since then is not written
    3. SET NX …, and a PING behind it; when that PING comes by, everything before the write is known
    4. a key that somebody has changed by then is taken back, if it still holds what we wrote
    5. a stream that ends, breaks, or shows no PING in time: all that is not proved is taken back, and the run ends

The application has to invalidate after it has committed. What was written in vain is visible for about as long as the
stream is behind, some milliseconds.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis

from exporter.errors import ExporterError, NodeError
from exporter.monitor.own import Own
from exporter.snapshot import Node
from exporter.warming import writes
from exporter.warming.pace import Bucket

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from exporter.monitor.stream import StreamLease, Streams
    from exporter.warming.items import Item
    from exporter.warming.placement import Placement

LIVE_SECONDS = 5.0
"""How long a run waits for the stream to be seen in full."""
MARK_SECONDS = 2.0
"""How late the stream may be; after that, it counts as lost."""
UNPROVED_KEYS = 2000
"""How many keys may be written whose PING has not come by yet."""
PIECE_SECONDS = 0.02
"""What is sent at once is at most this much of the room in a stream, or a single slice would exceed the budget."""
LEAST_ROOM = 0.02
HEADER_BYTES = 60
UNDO_LINES = 3
UNDO_SECONDS = 30.0
STOPPING_SECONDS = 1.0
"""For how long taking back is tried while the primary is gone, and where the process shall end."""
UNDO_WAIT_SECONDS = 0.2

# What the key holds is compared by its hash, so that the value is not sent, and shown in MONITOR, a second time.
UNDO = """\
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'table' then return 0 end
if not value then return -1 end
if redis.sha1hex(value) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')


class StreamLost(ExporterError):
    """Nobody can say any more whether what was written is right."""


@dataclass(slots=True)
class _Side:
    """One primary: the lease on its stream, and what was written there and is not proved yet, oldest first."""

    addr: str
    lease: StreamLease
    bucket: Bucket
    mark: int = 0
    unproved: deque[tuple[int, list[Item]]] = field(default_factory=deque)


class Fence:
    """The fence of one run. Belongs to the thread of the run."""

    def __init__(
        self, streams: Streams, target: str, db: int, placement: Placement,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._placement = placement
        self._clock = clock
        self._sides: dict[str, _Side] = {}
        self._in_the_air: list[Item] = []
        for addr in placement.addresses:
            address, token = placement.identity(addr)
            own = Own(frozenset({address}) if address else frozenset(), None if address else token)
            lease = streams.tap(Node(target, addr)).lease(db, own)
            self._sides[addr] = _Side(addr, lease, Bucket(1.0, clock(), PIECE_SECONDS))

    def begin(self) -> None:
        """See to it that from now on everything is seen. Raises StreamLost, NodeError."""
        for side in self._sides.values():
            if not side.lease.wait_live(LIVE_SECONDS):
                raise StreamLost(f"{side.addr}: the whole stream is not seen")
            # Whether scripts may be run must be known before there is something to take back.
            tried = self._placement.exchange(side.addr, [("EVAL", "return 1", 0), *self._pings(side)])
            if _is_error(tried[0]):
                raise StreamLost(f"{side.addr}: EVAL is not allowed, so nothing could be taken back")
            if not side.lease.wait_for(side.mark, MARK_SECONDS):
                raise StreamLost(f"{side.addr}: {side.lease.broken or 'the stream is late'}")

    def changed(self, item: Item) -> bool:
        """Whether a key may not be written, since somebody has changed it meanwhile. Raises StreamLost."""
        lease = self._side(item).lease
        if lease.broken is not None:
            raise StreamLost(f"{self._side(item).addr}: {lease.broken}")
        if lease.flushed:
            raise StreamLost(f"{self._side(item).addr}: the database was emptied meanwhile")
        return lease.changed(item.key)

    def too_large(self, item: Item) -> bool:
        """Whether the stream cannot bear a value: the whole line would be too much at once."""
        return _shown_bytes(item) > self._side(item).lease.budget.largest

    def pause(self, items: Sequence[Item], now: float) -> float:
        """Seconds to wait after these are written, so that they fit the stream beside what others do."""
        longest = 0.0
        for side, mine in self._by_side(items):
            room, budget = side.lease.room, side.lease.budget
            share = max(
                (1 + len(mine)) / max(room.events, LEAST_ROOM * budget.events, 1.0),
                sum(map(_shown_bytes, mine)) / max(room.bytes, LEAST_ROOM * budget.bytes, 1.0),
            )
            longest = max(longest, side.bucket.take(share, now))
        return longest

    def at_once(self) -> int:
        """How many keys may be sent at once."""
        return max(1, int(PIECE_SECONDS * min(side.lease.room.events for side in self._sides.values())))

    def send(self, items: Sequence[Item]) -> list[Any]:
        """Write items; the replies, in their order. Raises StreamLost, NodeError."""
        # Should the connection break now, nobody knows what of this was written.
        self._in_the_air = list(items)
        for side, _ in self._by_side(items):
            side.mark += 1
        commands = [(item.key, writes.command(item, "nx")) for item in items]
        replies = self._placement.send(commands, lambda addr: [("PING", self._ping(self._sides[addr]))])
        written = {id(item) for item, reply in zip(items, replies, strict=True) if writes.is_done(reply)}
        for side, mine in self._by_side(items):
            side.unproved.append((side.mark, [item for item in mine if id(item) in written]))
        self._in_the_air = []
        return replies

    def settle(self, *, everything: bool) -> tuple[list[Item], list[Item]]:
        """What was written and is proved right by now, and what was taken back. Raises StreamLost, NodeError.

        Waits where too much is not proved yet, or until `everything` is.
        """
        right: list[Item] = []
        wrong: list[Item] = []
        for side in self._sides.values():
            while side.unproved:
                mark, items = side.unproved[0]
                wait = everything or sum(len(mine) for _, mine in side.unproved) > UNPROVED_KEYS
                if not side.lease.wait_for(mark, MARK_SECONDS if wait else 0.0):
                    if wait or side.lease.broken is not None:
                        raise StreamLost(f"{side.addr}: {side.lease.broken or 'the stream is late'}")
                    break
                stale = [item for item in items if side.lease.flushed or side.lease.changed(item.key)]
                if stale:
                    self._take_back(stale)
                side.unproved.popleft()
                gone = set(map(id, stale))
                wrong += stale
                right += [item for item in items if id(item) not in gone]
        return right, wrong

    def abandon(self, stop: threading.Event) -> tuple[int, int]:
        """Take back all that is not proved; how many written keys were, and how many could not be. Never raises.

        A primary that is gone is waited for a while, and its successor with it.
        """
        written = [item for side in self._sides.values() for _, mine in side.unproved for item in mine]
        items = [*written, *self._in_the_air]
        for side in self._sides.values():
            side.unproved.clear()
        began, fresh = self._clock(), True
        while items:
            try:
                if not fresh:
                    self._placement.close()
                    self._placement.open()
                self._take_back(items)
            except (NodeError, StreamLost):
                fresh = False
                patience = STOPPING_SECONDS if stop.wait(UNDO_WAIT_SECONDS) else UNDO_SECONDS
                if self._clock() - began > patience:
                    return 0, len(items)
            else:
                break
        return len(written), 0

    def close(self) -> None:
        """Give the leases back."""
        for side in self._sides.values():
            side.lease.close()

    def _take_back(self, items: Sequence[Item]) -> None:
        """Remove our values, unless others stand there by now. Raises NodeError, StreamLost."""
        for addr, mine in self._by_place(items).items():
            replies = self._placement.exchange(addr, [_undo(item) for item in mine])
            strings = [reply for item, reply in zip(mine, replies, strict=True) if item.kind == "string"]
            self._placement.own(addr).probed(sum(reply in {0, 1} for reply in strings), strings.count(-1))
            refused = [item for item, reply in zip(mine, replies, strict=True) if _is_error(reply)]
            if refused and any(map(_is_error, self._placement.exchange(addr, [("DEL", one.key) for one in refused]))):
                raise StreamLost(f"{addr}: the server refuses to take keys back")
            if addr in self._sides:
                side = self._sides[addr]
                side.bucket.take(UNDO_LINES * len(mine) / max(side.lease.budget.events, 1.0), self._clock())

    def _pings(self, side: _Side) -> list[writes.Command]:
        side.mark += 1
        return [("PING", self._ping(side))]

    @staticmethod
    def _ping(side: _Side) -> bytes:
        return side.lease.mark(side.mark)

    def _side(self, item: Item) -> _Side:
        return self._sides[self._placement.place(item.key)]

    def _by_side(self, items: Sequence[Item]) -> list[tuple[_Side, list[Item]]]:
        return [(self._sides[addr], mine) for addr, mine in self._by_place(items).items()]

    def _by_place(self, items: Sequence[Item]) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = {}
        for item in items:
            found.setdefault(self._placement.place(item.key), []).append(item)
        return found


def _undo(item: Item) -> writes.Command:
    """Strings are compared; of collections nobody can say whether they are still ours, so they go in any case."""
    if item.kind == "string":
        return ("EVAL", UNDO, 1, item.key, hashlib.sha1(item.elements[0], usedforsecurity=False).hexdigest())
    return ("UNLINK", item.key)


def _is_error(reply: Any) -> bool:
    return isinstance(reply, redis.ResponseError)


def _shown_bytes(item: Item) -> int:
    """About how many bytes of the stream a write takes: what is not printable takes four."""
    odd = len(item.key.translate(None, _PLAIN)) + sum(len(one.translate(None, _PLAIN)) for one in item.elements)
    # A collection is shown twice, by its script and by what that does.
    return HEADER_BYTES + (item.size + 3 * odd) * (1 if item.kind in {"string", "dump"} else 2)
