"""One node's stream for those who must see all of it: bytes of joined slices in, changes of keys out.

MONITOR is read once, by the sampler. Who needs every line (a fenced write does) takes a lease on what the sampler reads
while slices join. A lease begins with a slice and breaks for good with the first thing that was not seen, or may have
been something else than it seemed: a stream that ends, a command that nobody knows, a line that cannot be read.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from exporter.keynames import stored
from exporter.monitor.line import read
from exporter.monitor.own import Filter

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.monitor.keys import CommandTable
    from exporter.monitor.own import Own
    from exporter.snapshot import Node

NAP_SECONDS = 0.004
"""How long a leased stream may gather before it is read: what was written in vain is visible for so long, and more."""
ROOM_SHARE = 0.85
"""The share of the budgets that others' commands and those of a leaseholder together may use."""
CHANGED_BITS = 24
_FORGETS = 0.3
_NO_KEYS = {b"flushall", b"flushdb", b"swapdb"}
_REPLY = re.compile(rb"\$(\d{1,4})\r")


class Room(NamedTuple):
    """Lines and bytes per second."""

    events: float
    bytes: float


class Budget(NamedTuple):
    """What a stream may be per second, others' part and the leaseholder's, and the largest line (bytes) in it."""

    events: float
    bytes: float
    largest: float


class Tap:
    """Where the sampler of one node hands on what it reads. `lease` is for any thread, the rest for the sampler's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: tuple[StreamLease, ...] = ()
        self._leases: tuple[StreamLease, ...] = ()
        self._table: CommandTable | None = None
        self._budget = Budget(0.0, 0.0, 0.0)

    @property
    def wanted(self) -> bool:
        """Whether somebody has a lease, or waits for one."""
        return bool(self._waiting or self._leases)

    def lease(self, db: int, own: Own) -> StreamLease:
        """Begin to look at the next slice that joins. `own` are the leaseholder's writes in database `db`."""
        lease = StreamLease(self._drop, db, own)
        with self._lock:
            self._waiting = (*self._waiting, lease)
        return lease

    def use(self, table: CommandTable, budget: Budget) -> None:
        """How commands are read from now on, and what the stream may be."""
        self._table, self._budget = table, budget

    def resume(self, rest: bytes) -> None:
        """A joined slice begins; `rest` are the lines behind its first mark that were read already."""
        if not self.wanted or self._table is None:
            return
        with self._lock:
            new, self._waiting = self._waiting, ()
            self._leases = (*self._leases, *new)
        for lease in self._leases:
            lease.slice_begins(self._budget)
        for lease in new:
            lease.begin(self._table, rest)

    def feed(self, chunk: bytes) -> None:
        """More of the stream."""
        for lease in self._leases:
            lease.feed(chunk)

    def end(self) -> None:
        """What comes from now on is not seen."""
        if self._leases:
            with self._lock:
                ended, self._leases = self._leases, ()
            for lease in ended:
                lease.break_off("the stream is not seen in full any more")

    def _drop(self, lease: StreamLease) -> None:
        with self._lock:
            self._waiting = tuple(one for one in self._waiting if one is not lease)
            self._leases = tuple(one for one in self._leases if one is not lease)


class Streams:
    """The taps of all nodes. A tap lasts as long as its sampler, or somebody who waits for one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taps: WeakValueDictionary[Node, Tap] = WeakValueDictionary()

    def tap(self, node: Node) -> Tap:
        """The tap of one node, whether it is sampled already or not."""
        with self._lock:
            return self._taps.setdefault(node, Tap())


class StreamLease:
    """What one leaseholder knows of a stream. `wait…`, `changed` and `close` are for its holder, the rest for the tap.

    Keys are remembered in 2 MiB of bits: after a million changes one key in 16 seems changed that is not, none the
    other way round.
    """

    def __init__(
        self, drop: Callable[[StreamLease], None], db: int, own: Own, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._drop = drop
        self._db = db
        self._filter = Filter(own)
        self._clock = clock
        self._news = threading.Condition()
        self._table: CommandTable | None = None
        self._changed = bytearray(1 << (CHANGED_BITS - 3))
        self._word = b"hotkey-exporter-fence:" + secrets.token_hex(8).encode()
        self._marks = re.compile(rb'" "%s:(\d+)"\r?\n' % self._word)
        self._live = False
        self._passed = 0
        self._held = b""
        self._reply = 0
        self._since = 0.0
        self._lines = self._bytes = 0
        self._others: Room | None = None
        self._budget = Budget(0.0, 0.0, 0.0)
        self.broken: str | None = None
        self.flushed = False
        """Whether the whole database was emptied or exchanged since the lease began."""

    # --- for its holder ---

    def mark(self, number: int) -> bytes:
        """What to PING with, so that one sees when the stream has come this far; numbers ascend from 1."""
        return b"%s:%d" % (self._word, number)

    def wait_live(self, timeout: float) -> bool:
        """Whether the stream is seen in full, and has been for a whole slice; waits so long for that."""
        with self._news:
            self._news.wait_for(lambda: self._live or self.broken is not None, timeout)
            return self._live and self.broken is None

    def wait_for(self, number: int, timeout: float) -> bool:
        """Whether the mark has passed; waits so long for that. All that stands before it is known then."""
        with self._news:
            self._news.wait_for(lambda: self._passed >= number or self.broken is not None, timeout)
            return self._passed >= number

    def changed(self, key: bytes) -> bool:
        """Whether somebody else's command may have changed, deleted or written the key since the lease began."""
        place = hash(stored(key)) & ((1 << CHANGED_BITS) - 1)
        return bool(self._changed[place >> 3] & (1 << (place & 7)))

    @property
    def room(self) -> Room:
        """What its holder may add to the stream, beside what others do."""
        others = self._others or Room(self._budget.events, self._budget.bytes)
        return Room(
            max(0.0, ROOM_SHARE * self._budget.events - others.events),
            max(0.0, ROOM_SHARE * self._budget.bytes - others.bytes),
        )

    @property
    def budget(self) -> Budget:
        """What the stream may be."""
        return self._budget

    def close(self) -> None:
        """Give it back."""
        self._drop(self)

    # --- for the tap ---

    def begin(self, table: CommandTable, rest: bytes) -> None:
        """From `rest` on everything is seen."""
        self._table = table
        self.feed(rest)

    def slice_begins(self, budget: Budget) -> None:
        """Learn how much of the stream is others'; the slice before this one has fitted the budgets."""
        if self._table is not None and not self._live:
            with self._news:
                self._live = True
                self._news.notify_all()
        now = self._clock()
        elapsed, self._since = now - self._since, now
        if self._table is not None and elapsed > 0:
            seen = Room(self._lines / elapsed, self._bytes / elapsed)
            old = self._others or seen
            # Fast attack, slow release, as the governor does it.
            self._others = Room(
                *(max(new, past + _FORGETS * (new - past)) for new, past in zip(seen, old, strict=True))
            )
        self._lines = self._bytes = 0
        self._budget = budget

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        if self.broken is not None:
            return
        data = self._held + chunk if self._held else chunk
        end = data.rfind(b"\n") + 1
        self._held = data[end:]
        if not end:
            return
        whole = data[:end]
        lines = self._filter.strip(b"\n" + whole[:-1])
        self._bytes += len(lines)
        for line in lines.split(b"\n")[1:]:
            if not self._take(line):
                return
        marks = self._marks.findall(whole)
        if marks:
            with self._news:
                self._passed = max(self._passed, int(marks[-1]))
                self._news.notify_all()

    def break_off(self, why: str) -> None:
        """Nothing more can be said of the stream."""
        with self._news:
            self.broken = self.broken or why
            self._news.notify_all()

    def _take(self, line: bytes) -> bool:
        """Note what a line of somebody else's does; False where that cannot be known."""
        assert self._table is not None
        if self._reply:
            expected, self._reply = self._reply, 0
            if len(line) + 1 == expected:
                return True  # the reply to a mark of the sampler's
        elif reply := _REPLY.fullmatch(line):
            self._reply = int(reply[1]) + 2
            return True
        parsed = read(line, self._table)
        if parsed is None:
            self.break_off("a line of the stream cannot be read")
            return False
        self._lines += 1
        name = parsed.argv[0]
        if not self._table.plan(name).known:
            self.break_off("nobody knows which keys a command has")
            return False
        if self._table.name_of(name) in _NO_KEYS:
            self.flushed = self.flushed or self._flushes(name, parsed.db, line)
        elif parsed.db == self._db:
            for place, write in self._table.positions(parsed.argv):
                if write:
                    self._note(stored(parsed.argv[place]))
        return True

    def _flushes(self, name: bytes, db: int, line: bytes) -> bool:
        """Whether a command without keys empties or exchanges our database."""
        match self._table.name_of(name) if self._table else b"":
            case b"flushdb":
                return db == self._db
            case b"swapdb":
                return b'"%d"' % self._db in line
        return True

    def _note(self, key: bytes) -> None:
        place = hash(key) & ((1 << CHANGED_BITS) - 1)
        self._changed[place >> 3] |= 1 << (place & 7)
