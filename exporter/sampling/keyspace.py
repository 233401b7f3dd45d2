"""What the keyspace of one node is made of: a scanner in, `Keyspace` and `KeyspaceState` on the Board out.

A *look* visits all keys of all databases, or `keyspace.max_keys` of them where there are more, and the next look goes
on where it stopped. The first look is published while it grows, extrapolated and with its error; after that the last
finished look stands until the next one is finished.

What each probe does to the server it asks:

    SCAN, MEMORY USAGE   counted as neither hit nor miss, leave LRU and LFU alone   every key
    PTTL                 counted as a hit, leaves LRU and LFU alone                 `ttl_samples` keys a group and look
    TYPE                 counted as a hit, leaves LRU and LFU alone                 each of the largest keys, once

Hits are counted in `OwnTraffic`, and the hit ratio is published without them.
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, Any

import redis

from exporter.errors import NodeError, ScanRefused
from exporter.keynames import LongKey
from exporter.log import log
from exporter.sampling.groups import Largest, Look
from exporter.snapshot import BigKey, Keyspace, KeyspaceState, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from exporter.config import Keyspace as Settings
    from exporter.config import Target
    from exporter.keynames import KeyNames
    from exporter.sampling.scan import Command, Scanner
    from exporter.snapshot import Board

if TYPE_CHECKING:
    Steps = Generator[float, None, None]
    """Seconds to wait before the next step."""

PUBLISH_SECONDS = 3.0
WAIT_SECONDS = 1.0
RETRY_SECONDS = 5.0
DENIED_SECONDS = 3600.0
"""How long to wait after a refusal: each refused command adds to the server's errorstats."""
LATE_LOOKS = 3
FEWEST_COMMANDS, MOST_COMMANDS = 200.0, 2000.0
"""Commands a second of ours. MONITOR shows them all, and hot keys come first."""
ROOM = 0.8
UNKNOWN = "unknown"


class KeyspaceSampler:
    """Looks at one node again and again. `steps` is a generator: one step at a time, then the seconds to wait."""

    def __init__(
        self,
        board: Board,
        scanner: Scanner,
        target: Target,
        settings: Settings,
        names: KeyNames,
        measured: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._board = board
        self._node = scanner.node
        self._scanner = scanner
        self._target = target
        self._settings = settings
        self._names = names
        self._measured = measured
        self._cursors: dict[int, bytes] = {}
        self._largest = Largest(settings.top)
        self._types: dict[tuple[int, bytes], str] = {}
        self._tried: set[str] = set()
        self._refused: set[str] = set()
        self._looks = 0
        self._finished = False  # whether a look of this connection is published
        self._published_at = 0.0
        self._rate, self._rated_at, self._rated = 0.0, time.monotonic(), 0

    def steps(self) -> Steps:
        """Look, wait until `keyspace.interval` has passed, look again; yields seconds to wait before the next step."""
        try:
            while True:
                if (reason := self._obstacle()) is not None:
                    self._state(reason, 0.0)
                    yield WAIT_SECONDS
                    continue
                began = time.monotonic()
                try:
                    with self._measured():
                        yield from self._look(began)
                except ScanRefused as refusal:
                    self._lost(refusal.why)
                    yield DENIED_SECONDS
                except NodeError as fault:
                    self._lost(fault.reason.value)
                    yield RETRY_SECONDS
                else:
                    yield max(WAIT_SECONDS, began + self._settings.interval - time.monotonic())
        finally:
            self._scanner.close()

    def _obstacle(self) -> str | None:
        """Why there is no look now, or None."""
        status = self._board.latest(self._node, NodeStatus)
        if status is None:
            return "starting"
        if status.down is not None:
            return status.down
        if status.loading or status.failover:
            return "loading" if status.loading else "failover"
        return "replica" if self._target.nodes == "primaries" and status.role == "slave" else None

    def _look(self, began: float) -> Steps:
        wall, settings = time.time(), self._settings
        totals = self._scanner.sizes()
        whole = sum(totals.values()) <= settings.max_keys
        if whole:
            self._cursors = {}
        share = min(1.0, settings.max_keys / max(1, sum(totals.values())))
        wanted = {db: max(1, int(keys * share)) for db, keys in totals.items()}
        look = Look(self._names.group, settings.max_groups, settings.ttl_samples)
        passes = dict.fromkeys(totals, 0)
        left = set(totals)
        self._published_at = began
        while left:
            # The database that is furthest behind: all are sampled alike from the beginning on.
            db = min(left, key=lambda one: (look.seen(one) / wanted[one], one))
            self._scanner.resume()
            cursor, keys = self._scanner.scan(db, self._cursors.get(db, b"0"))
            yield self._pause()
            for batch in self._scanner.batches(keys):
                self._scanner.resume()
                self._probe(db, batch, look)
                yield self._pause()
            self._cursors[db] = cursor
            passes[db] += cursor == b"0"
            # A database may have lost keys since they were counted: twice around is enough.
            if passes[db] if whole else passes[db] > 1 or look.seen(db) >= wanted[db]:
                left.remove(db)
            if left:
                yield from self._progress(look, totals, wanted, began, wall)
        self._looks += 1
        yield from self._publish(look, self._scanner.sizes(), began, wall, whole=whole, ended=True)
        self._finished = True
        self._state("complete" if whole else "sampled", 1.0)

    def _progress(
        self, look: Look, totals: Mapping[int, int], wanted: Mapping[int, int], began: float, wall: float
    ) -> Steps:
        """Now and then: how far the look is, and what the first one has seen so far."""
        now = time.monotonic()
        if now - self._published_at < PUBLISH_SECONDS:
            return
        self._published_at = now
        if not self._finished and look.keys:
            yield from self._publish(look, totals, began, wall, whole=False, ended=False)
        self._state("looking", min(1.0, look.keys / max(1, sum(wanted.values()))))

    def _pause(self) -> float:
        """Seconds until the next step. While MONITOR can show everything, our commands must not be what is too much."""
        now, commands = time.monotonic(), self._scanner.commands
        if now - self._rated_at >= 1.0:
            self._rate = (commands - self._rated) / (now - self._rated_at)
            self._rated_at, self._rated = now, commands
        if self._target.sampling.source not in {"auto", "monitor"}:
            return self._scanner.pause(inf)
        status = self._board.latest(self._node, NodeStatus)
        others = max(0.0, status.ops_per_second - self._rate) if status else 0.0
        events = self._target.sampling.events_per_second
        limit = MOST_COMMANDS if others > events else ROOM * events - others
        return self._scanner.pause(min(MOST_COMMANDS, max(FEWEST_COMMANDS, limit)))

    def _probe(self, db: int, keys: Sequence[bytes], look: Look) -> None:
        """Sizes of some keys, and the remaining life of those whose groups lack it."""
        sizes = self._sizes(db, keys)
        if sizes is not None:
            self._largest.add(db, keys, sizes)
        look.add(db, keys, sizes)
        present = [key for key, size in zip(keys, sizes or [0] * len(keys), strict=True) if size is not None]
        some = look.without_life(db, present)
        for key, reply in zip(some, self._counted(db, "PTTL", some), strict=True):
            if isinstance(reply, int) and reply != -2:
                look.add_life(db, key, None if reply < 0 else reply / 1000)

    def _sizes(self, db: int, keys: Sequence[bytes]) -> list[int | None] | None:
        """The bytes of each key, None for one that is gone; None altogether where MEMORY USAGE is refused."""
        if "MEMORY" in self._refused:
            return None
        replies = self._ask(db, [("MEMORY", "USAGE", key) for key in keys])
        if any(isinstance(reply, redis.ResponseError) for reply in replies):
            self._refused.add("MEMORY")
            return None
        return [reply if isinstance(reply, int) else None for reply in replies]

    def _ask(self, db: int, commands: Sequence[Command]) -> list[Any]:
        """The replies. A command that was never tried goes alone: each refusal is an entry in the errorstats."""
        act = str(commands[0][0])
        if act in self._tried:
            return self._scanner.ask(db, commands)
        self._tried.add(act)
        first = self._scanner.ask(db, commands[:1])
        if isinstance(first[0], redis.ResponseError) or len(commands) == 1:
            return first * len(commands)
        return first + self._scanner.ask(db, commands[1:])

    def _counted(self, db: int, act: str, keys: Sequence[bytes]) -> list[Any]:
        """Replies to probes that the server counts as hits or misses, so that we take them out again."""
        if not keys or act in self._refused:
            return [None] * len(keys)
        replies = self._ask(db, [(act, key) for key in keys])
        if any(isinstance(reply, redis.ResponseError) for reply in replies):
            self._refused.add(act)
        answers = [None if isinstance(reply, redis.ResponseError) else reply for reply in replies]
        missed = sum(reply in {-2, b"none"} for reply in answers)
        self._scanner.own.probed(sum(reply is not None for reply in answers) - missed, missed)
        return answers

    def _bigkeys(self, *, ended: bool) -> Steps:
        """Measure the largest keys again, and learn the types of those that are new among them."""
        for db, keys in self._largest.askable().items():
            for batch in self._scanner.batches(keys):
                if (sizes := self._sizes(db, batch)) is not None:
                    self._largest.renew(db, batch, sizes)
                yield self._pause()
                self._scanner.resume()
        ranked = [key for key, _ in self._largest.ranked()]
        self._types = {key: self._types[key] for key in ranked if key in self._types}
        if not ended:  # what leads for a moment only is not worth a hit
            ranked = ranked[: self._settings.top]
        new = [(db, key) for db, key in ranked if (db, key) not in self._types and not isinstance(key, LongKey)]
        for db in sorted({db for db, _ in new}):
            for batch in self._scanner.batches([key for one, key in new if one == db]):
                for key, reply in zip(batch, self._counted(db, "TYPE", batch), strict=True):
                    kind = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else UNKNOWN
                    self._types[db, key] = kind
                yield self._pause()
                self._scanner.resume()

    def _publish(
        self, look: Look, totals: Mapping[int, int], began: float, wall: float, *, whole: bool, ended: bool
    ) -> Steps:
        """The look so far, extrapolated to `totals` unless it is whole."""
        yield from self._bigkeys(ended=ended)
        now, seen, settings = time.monotonic(), look.keys, self._settings
        rank: dict[str, int] = {}
        bigkeys = []
        for (db, key), size in self._largest.ranked():
            if (kind := self._types.get((db, key))) is None:
                if not (ended or isinstance(key, LongKey)):
                    continue
                kind = UNKNOWN
            rank[kind] = rank.get(kind, 0) + 1
            if kind != "none" and rank[kind] <= settings.top:
                bigkeys.append(BigKey(db, key, kind, size))
        total = seen if whole else max(seen, sum(totals.values()))
        self._board.publish(
            self._node,
            Keyspace(
                groups=look.groups(totals, whole=whole),
                bigkeys=tuple(bigkeys),
                keys_seen=seen,
                sampled_ratio=seen / total if total else 1.0,
                began=wall,
                # Until the next look should long have been finished.
                valid_until=now + LATE_LOOKS * max(settings.interval, now - began + RETRY_SECONDS),
                taken_at=now,
                seconds=now - began if ended else 0.0,
            ),
        )

    def _lost(self, reason: str) -> None:
        """What was published may be about another data set by the time the node is back: start anew."""
        self._scanner.close()
        self._finished = False
        self._refused.clear()
        self._tried.clear()
        self._state(reason, 0.0)

    def _state(self, reason: str, progress: float) -> None:
        old = self._board.latest(self._node, KeyspaceState)
        self._board.publish(
            self._node, KeyspaceState(reason, progress, self._looks, self._scanner.server_seconds, time.monotonic())
        )
        if (old is None or old.reason != reason) and reason in {"denied", "unsupported"}:
            log.warning("keyspace.stopped", "the keyspace cannot be looked at",
                        target=self._node.target, addr=self._node.addr, reason=reason)  # fmt: skip
