"""Refresh-ahead: hot keys that are about to expire are loaded again before they do, so that nobody misses them.

When: the XFetch rule of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention"
(VLDB 2015): refresh once `-delta * beta * ln(random)` reaches the rest of the key's life, `delta` being what loading
takes (measured here). A rest that will be over before the next look counts as nothing.

How: WATCH, load, MULTI SET XX EXEC. A key that its application changes, deletes or lets expire meanwhile makes EXEC
fail: nothing fresher is ever overwritten, and nothing that was invalidated comes back.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from exporter.errors import NodeError
from exporter.warming import writes
from exporter.warming.feed import Feed, looked_up
from exporter.warming.items import RESULT_OF, Fault, Item, Result, SourceError
from exporter.warming.pace import Bucket, Circuit
from exporter.warming.placement import Placement
from exporter.warming.policy import Policy
from exporter.warming.selection import takes
from exporter.warming.sources import source_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Sequence

    from exporter.config.warming import WarmingJob
    from exporter.topology import Topology
    from exporter.warming.goals import Goal
    from exporter.warming.selection import Ranked
    from exporter.warming.sources import Source

LOOK_SECONDS = 0.25
"""How often a refresher looks: keys that live for less than twice this cannot be refreshed in time."""
BETA = 1.0
LONGEST_UNSEEN = 5.0
"""How long the remaining life of a key is believed: its application may have given it another one."""
MOST_KEYS = 100
_SMOOTHING = 0.2


def due(remaining: float, delta: float, chance: float, look: float = LOOK_SECONDS, beta: float = BETA) -> bool:
    """Whether a key with so many seconds left is to be refreshed now; `chance` is random, above 0 and up to 1."""
    return remaining - 2 * look <= -delta * beta * math.log(chance)


class Refresher:
    """Refreshes the hot keys of one job. Belongs to one job of the scheduler, but for `interrupt`."""

    def __init__(self, job: WarmingJob, goal: Goal, topology: Topology, stop: threading.Event) -> None:
        self._job = job
        self._goal = goal
        self._topology = topology
        self._stop = stop
        self._policy = Policy.of(job)
        self._placement: Placement | None = None
        self._source: Source | None = None
        self._feed: Feed | None = None
        self._circuit = Circuit()
        self._bucket = Bucket(job.rate_limit, time.monotonic())
        self._expires: dict[bytes, tuple[float, float]] = {}
        self._delta = 0.0
        self.loaded = 0
        self.load_seconds = 0.0

    def run(self, hot: Iterable[Ranked]) -> dict[str, int]:
        """Look once, and refresh what is due; returns the results. Raises NodeError, SourceError."""
        keys = [key for db, key, _ in hot if db == self._goal.db and takes(self._job, key)][:MOST_KEYS]
        results: Counter[str] = Counter()
        if not keys or not self._circuit.allows(time.monotonic()) or (self._feed is not None and self._feed.busy):
            return {}
        try:
            placement = self._opened()
            wanted = self._due(keys, placement)
            if wanted and self._bucket.take(len(wanted), time.monotonic()) == 0:
                by_place: dict[str, list[bytes]] = {}
                for key in wanted:
                    by_place.setdefault(placement.place(key), []).append(key)
                for addr, there in by_place.items():
                    results += self._refresh(addr, there, placement)
        except NodeError:
            self.close()
            raise
        except SourceError:
            self._circuit = self._circuit.failed(time.monotonic())
            raise
        return dict(results)

    def interrupt(self) -> None:
        """Let a refresh that waits fail soon. For other threads."""
        source, placement = self._source, self._placement
        if source is not None:
            source.interrupt()
        if placement is not None:
            placement.interrupt()

    def close(self) -> None:
        """Close all connections."""
        if self._placement is not None:
            self._placement.close()
            self._placement = None
        if self._source is not None:
            self._source.close()
            self._source = None

    def _opened(self) -> Placement:
        if self._placement is None:
            self._placement = Placement(self._topology, self._goal.target, self._goal.db)
            self._placement.open()
        return self._placement

    def _due(self, keys: Sequence[bytes], placement: Placement) -> list[bytes]:
        """The keys that are to be refreshed now. A life that is not known, or was seen long ago, is asked for."""
        now = time.monotonic()
        self._expires = {key: self._expires[key] for key in keys if key in self._expires}
        self._ask([key for key in keys if key not in self._expires or now >= self._expires[key][1]], placement)
        return self._near_end(keys)

    def _near_end(self, keys: Iterable[bytes]) -> list[bytes]:
        now = time.monotonic()
        return [key for key in keys if due(self._expires[key][0] - now, self._delta, 1.0 - random.random())]

    def _ask(self, keys: Sequence[bytes], placement: Placement) -> None:
        """Ask for the rest of lives."""
        if not keys:
            return
        now = time.monotonic()
        lives = placement.send([(key, ("PTTL", key)) for key in keys])
        for key, life in zip(keys, lives, strict=True):
            there = isinstance(life, int) and life != -2
            placement.own(placement.place(key)).probed(int(there), int(not there))
            left = life / 1000 if there and life >= 0 else math.inf
            # Seen again when half of it is over, so that a life that grew or shrank is noticed in time.
            self._expires[key] = (now + left, now + min(LONGEST_UNSEEN, max(LOOK_SECONDS, left / 2)))

    def _refresh(self, addr: str, keys: list[bytes], placement: Placement) -> Counter[str]:
        """Load and write keys of one node together; where one changed meanwhile, those still near their end alone.

        What its application has written anew has a new life, and is left alone.
        """
        results = self._once(addr, keys, placement)
        if results is None:
            self._ask(keys, placement)
            left = self._near_end(keys)
            results = Counter({Result.SKIPPED.value: len(keys) - len(left)})
            for key in left:
                results += self._once(addr, [key], placement) or Counter({Result.SKIPPED.value: 1})
        for key in keys:
            self._expires.pop(key, None)
        return results

    def _once(self, addr: str, keys: Sequence[bytes], placement: Placement) -> Counter[str] | None:
        """Watch, load, write; None where one of the keys changed while it was loaded."""
        placement.exchange(addr, [("WATCH", *keys)], framed=False)
        began = time.monotonic()
        items, results = self._loaded(keys)
        took = time.monotonic() - began
        self._delta += (took - self._delta) * (_SMOOTHING if self._delta else 1.0)
        self.load_seconds += took
        self.loaded += len(items)
        if not items:
            placement.exchange(addr, [("UNWATCH",)], framed=False)
            return results
        # The word says on a unix socket, where all clients look alike, that this transaction is ours.
        opening: list[writes.Command] = [("MULTI",), ("PING", placement.own(addr).token)]
        commands = [*opening, *(writes.command(item, "xx") for item in items), ("EXEC",)]
        done: Any = placement.exchange(addr, commands, framed=False)[-1]
        if not isinstance(done, list):
            return None
        for reply in done[1:]:
            results[writes.result(reply, "xx").value] += 1
        return results

    def _loaded(self, keys: Sequence[bytes]) -> tuple[list[Item], Counter[str]]:
        """What the source has of these keys now. Raises SourceError, also where it is silent for too long."""
        source = self._source = self._source or source_of(self._job, self._goal.state)
        job, results, items = self._job, Counter[str](), list[Item]()
        self._feed = Feed(
            lambda: looked_up(source, keys, job.batch, job.concurrency), job.batch, job.source.timeout, self._stop
        )
        wanted = set(keys)
        try:
            for batch in self._feed.batches():
                for found in batch:
                    item = found if isinstance(found, Fault) else self._policy.item(found)
                    if isinstance(item, Fault):
                        results[RESULT_OF[item].value] += 1
                    elif item.key in wanted:
                        items.append(item)
        finally:
            self._feed.end(source)
        self._circuit = Circuit()
        return items, results
