"""Writes the items of one run: in pieces that others at the server hardly notice, with guards, behind a fence if asked.

In: batches of items. Out: counts in the run's Progress; `Ended` where going on would do harm.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import redis

from exporter import tracing
from exporter.warming import guards, writes
from exporter.warming.fence import StreamLost
from exporter.warming.items import Ended, Fault, Item, Reason, Result
from exporter.warming.pace import NEAR_PIECE, Bucket, Tempo

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from exporter.config.warming import WarmingJob
    from exporter.lease import Lease
    from exporter.warming.fence import Fence
    from exporter.warming.placement import Placement
    from exporter.warming.policy import Policy
    from exporter.warming.progress import Progress
    from exporter.warming.sources import Source

LOOK_SECONDS = 0.25
LIMITED_SECONDS = 0.05
"""How old what is known of the servers' state may be, where their memory has a limit: INFO delays others, too."""
OTHERS_PER_SECOND = 10
"""Commands of others; fewer are health checks, Sentinels and replicas, and nobody who waits."""
ROOM_SHARE = 0.25
"""What may be written before the next look, of the memory that was left at the last one: however fast we are."""
KEY_BYTES = 128
"""What a key takes beside its name and value: its entries among keys and lives, and the allocator's rounding up."""
PING_SECONDS = 0.05
SHORT_SECONDS = 0.001
"""Waits that are shorter come later: sleeping takes longer than that."""
COPIES_GROWTH = 100.0
"""What a server's memory may grow by for each byte of a DUMP, which is compressed."""
_THERE_NOW = frozenset({Result.WRITTEN, Result.REFRESHED})


class Writer:
    """The writing half of one run. Belongs to its thread."""

    def __init__(
        self, job: WarmingJob, policy: Policy, progress: Progress, stop: threading.Event,
        clock: Callable[[], float], written: Callable[[list[Item]], None] | None,
    ) -> None:  # fmt: skip
        self._job = job
        self._policy = policy
        self._progress = progress
        self._stop = stop
        self._clock = clock
        self._written = written
        now = clock()
        self._until = now + job.timeout
        self._keys_bucket = Bucket(job.rate_limit, now)
        self._bytes_bucket = Bucket(job.bytes_per_second, now)
        # Behind a fence the server prints every byte as well, which takes it longer than the rest together.
        self._tempo = Tempo(job.batch, 1 if job.policy == "fenced" else NEAR_PIECE)
        self._looked = self._pinged = float("-inf")
        self._unseen_bytes = 0
        self._spare = 0.0
        """How many bytes may be written before the next look."""
        self._growth = COPIES_GROWTH if job.source.type in {"redis", "snapshot"} else 1.0
        self._before: dict[str, guards.Vitals] = {}
        self._fence: Fence | None = None

    def open(self, placement: Placement, lease: Lease | None, fence: Fence | None) -> None:
        """Where to write, as long as `lease` is held. Raises Ended, NodeError."""
        self._placement, self._lease, self._fence = placement, lease, fence
        self._before = dict(placement.vitals)
        self._seen(self._clock())
        self._guard()
        try:
            if fence is not None:
                fence.begin()
        except StreamLost as lost:
            raise Ended(Reason.STREAM, str(lost)) from None

    @property
    def at_once(self) -> int:
        """How many keys will be sent at once, as it looks now."""
        return self._tempo.size if self._fence is None else min(self._tempo.size, self._fence.at_once())

    def in_time(self) -> None:
        """Raise Ended where the run has taken too long."""
        if self._clock() > self._until:
            raise Ended(Reason.DEADLINE)

    def count(self, items: Sequence[Item]) -> None:
        """Keep to the limits as if these were written."""
        self._within_bytes(items)
        self._wait(items)
        self._progress.add([Result.WRITTEN] * len(items), sum(item.size for item in items))

    def write(self, items: Sequence[Item], source: Source) -> None:
        """Write a batch. Raises Ended, NodeError, SourceError."""
        self._within_bytes(items)
        try:
            for piece in self._pieces(items):
                self._guard()
                self._write(piece, source)
                self._wait(piece)
            if self._fence is not None:
                self._settle(self._fence, everything=False)
        except StreamLost as lost:
            raise Ended(Reason.STREAM, str(lost)) from None

    def finish(self) -> None:
        """All has been written. Raises Ended, NodeError."""
        try:
            if self._fence is not None:
                self._settle(self._fence, everything=True)
        except StreamLost as lost:
            raise Ended(Reason.STREAM, str(lost)) from None

    def close(self) -> str:
        """Take back what nobody has proved, and give everything back; what could not be taken back, in words."""
        fence, self._fence = self._fence, None
        if fence is None:
            return ""
        undone, left = fence.abandon(self._stop)
        fence.close()
        self._progress.take_back(undone)
        return f"{left} unproved keys could not be taken back" if left else ""

    def _pieces(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """Cut a batch into what is sent at once."""
        at = 0
        while at < len(items):
            self._feel()
            piece, size = [items[at]], items[at].size
            most = min(self._tempo.bytes, self._spare)
            for item in items[at + 1 : at + self.at_once]:
                size += item.size
                if size > most:
                    break
                piece.append(item)
            at += len(piece)
            yield piece

    def _feel(self) -> None:
        """Find out, now and then, how long the server lets others wait."""
        now = self._clock()
        if now - self._pinged >= PING_SECONDS:
            self._tempo.idle(self._placement.ping())
            self._pinged = self._clock()

    def _write(self, items: list[Item], source: Source) -> None:
        if self._fence is not None:
            items = self._kept(items, self._fence)
        if not items:
            return
        replies = self._sent(items)
        refused = [reply for reply in replies if isinstance(reply, redis.ResponseError)]
        if any(map(writes.is_other_version, refused)):
            items, replies = self._by_type(items, replies, source)
        results = [writes.result(reply, self._job.policy) for reply in replies]
        new = [item for item, result in zip(items, results, strict=True) if result in _THERE_NOW]
        self._progress.add(results, sum(item.size for item in new))
        if self._written is not None and self._fence is None:
            self._written(new)
        reason = writes.refusals(refused)
        if reason is not None:
            raise Ended(Reason(reason))

    def _by_type(
        self, items: Sequence[Item], replies: Sequence[object], source: Source
    ) -> tuple[list[Item], list[object]]:
        """The other server's DUMP is of another version: those keys once more, by type."""
        others = [item for item, reply in zip(items, replies, strict=True) if writes.is_other_version(reply)]
        kept = [(item, reply) for item, reply in zip(items, replies, strict=True) if item not in others]
        copies = [self._policy.item(copy) for copy in source.plain([item.key for item in others])]
        plain = [item for item in copies if isinstance(item, Item)]
        for _ in range(len(others) - len(plain)):
            self._progress.fault(Fault.TYPE)
        again = self._sent(plain) if plain else []
        return [*(item for item, _ in kept), *plain], [*(reply for _, reply in kept), *again]

    def _kept(self, items: Sequence[Item], fence: Fence) -> list[Item]:
        """Those that nobody has changed since the source was read, and that the stream can bear."""
        kept = []
        for item in items:
            if fence.changed(item):
                self._progress.fault(Fault.CHANGED)
            elif fence.too_large(item):
                self._progress.fault(Fault.TOO_LARGE)
            else:
                kept.append(item)
        return kept

    def _sent(self, items: Sequence[Item]) -> list[object]:
        about = {**writes.ON_REDIS, "db.operation.name": "PIPELINE", "db.operation.batch.size": len(items)}
        with tracing.span("warming.write", about, kind="CLIENT"):
            if self._fence is not None:
                replies = self._fence.send(items)
            else:
                replies = self._placement.send([(item.key, writes.command(item, self._job.policy)) for item in items])
        self._tempo.took(len(items), self._placement.waited)
        self._unseen_bytes += sum(item.size + KEY_BYTES for item in items)
        return replies

    def _settle(self, fence: Fence, *, everything: bool) -> None:
        right, wrong = fence.settle(everything=everything)
        self._progress.take_back(len(wrong))
        if self._written is not None:
            self._written(right)

    def _within_bytes(self, items: Sequence[Item]) -> None:
        if self._progress.bytes + sum(item.size for item in items) > self._job.max_bytes:
            raise Ended(Reason.MEMORY, "max_bytes is reached")

    def _wait(self, items: Sequence[Item]) -> None:
        """Keep to the rates, and to the time of the run."""
        now = self._clock()
        pause = max(
            self._keys_bucket.take(len(items), now),
            self._bytes_bucket.take(sum(item.size for item in items), now),
            self._fence.pause(items, now) if self._fence is not None else 0.0,
        )
        pause = max(pause if pause >= SHORT_SECONDS else 0.0, self._tempo.rest)
        if now + pause > self._until:
            raise Ended(Reason.DEADLINE)
        if pause and self._stop.wait(pause):
            raise Ended(Reason.STOPPED)

    def _seen(self, now: float) -> None:
        """What follows from a look at the servers."""
        self._looked, self._unseen_bytes = now, 0
        room = min(guards.room(vitals, self._job) for vitals in self._placement.vitals.values())
        self._spare = ROOM_SHARE * room / self._growth
        self._tempo.alone = self._placement.others < OTHERS_PER_SECOND

    def _guard(self) -> None:
        """End the run where going on would do harm."""
        if self._stop.is_set():
            raise Ended(Reason.STOPPED)
        if self._lease is not None and not self._lease.held:
            raise Ended(Reason.LEASE, "the lease was lost")
        self.in_time()
        now = self._clock()
        age = LOOK_SECONDS if self._spare == inf else LIMITED_SECONDS
        if now - self._looked >= age or self._unseen_bytes > self._spare:
            self._placement.look()
            self._seen(now)
        for addr, vitals in self._placement.vitals.items():
            reason = guards.refusal(vitals, self._before[addr], self._job)
            if reason is not None:
                raise Ended(reason, addr)
