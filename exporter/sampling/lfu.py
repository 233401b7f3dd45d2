"""The keys with the highest LFU counters: a scanner in, (database, key, counter) out, by SCAN and OBJECT FREQ.

The counter is a rank and no rate: it grows with the logarithm of the accesses, is the same above about a million, and
decays by the minute. Only an lfu policy of maxmemory keeps it. OBJECT FREQ leaves it alone, but counts as a hit; these
are counted in `OwnTraffic`, and there are at most `KEYS_PER_SECOND` of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis

from exporter.errors import ScanRefused
from exporter.keynames import LongKey, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.sampling.scan import Scanner

    DbKey = tuple[int, bytes]

KEYS_PER_SECOND = 1000.0
CANDIDATES = 200


class LfuScan:
    """Goes round and round through the keys of a node, and remembers those with the highest counters."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._cursors: dict[int, bytes] = {}
        self._left: list[tuple[int, list[bytes]]] = []
        self._found: dict[DbKey, int] = {}
        self._least = -1

    @property
    def ranked(self) -> list[tuple[DbKey, int]]:
        """Keys and counters, highest first."""
        return sorted(self._found.items(), key=lambda item: (-item[1], item[0]))

    def step(self) -> float:
        """One step; returns the seconds to wait before the next one.

        Raises:
            ScanRefused: SCAN or OBJECT FREQ is not allowed, or the policy is no longer an lfu one.
            NodeError: the node cannot be used.

        """
        self._scanner.resume()
        if self._left:
            self._ask(*self._left.pop())
            return self._scanner.pause(KEYS_PER_SECOND)
        if not self._cursors:
            self._cursors = dict.fromkeys(self._scanner.sizes(), b"0")
            if not self._cursors:
                return 1.0
        db, cursor = next(iter(self._cursors.items()))
        cursor, keys = self._scanner.scan(db, cursor)
        del self._cursors[db]
        if cursor != b"0":
            self._cursors[db] = cursor  # behind the others: the databases take turns
        self._left = [(db, batch) for batch in self._scanner.batches(keys)]
        return self._scanner.pause(KEYS_PER_SECOND)

    def refresh(self) -> None:
        """Ask for the counters of what is remembered again, in steps that the next scan makes."""
        databases: dict[int, list[bytes]] = {}
        for db, key in self._found:
            if not isinstance(key, LongKey):
                databases.setdefault(db, []).append(key)
        self._left += [(db, batch) for db, keys in databases.items() for batch in self._scanner.batches(keys)]

    def _ask(self, db: int, keys: Sequence[bytes]) -> None:
        replies = self._scanner.ask(db, [("OBJECT", "FREQ", key) for key in keys])
        refusals = [reply for reply in replies if isinstance(reply, redis.ResponseError)]
        if refusals:
            denied = isinstance(refusals[0], redis.exceptions.NoPermissionError)
            raise ScanRefused(self._scanner.node.addr, "OBJECT FREQ", "denied" if denied else "unsupported")
        hits = sum(isinstance(reply, int) for reply in replies)
        self._scanner.own.probed(hits, len(replies) - hits)
        for key, count in zip(keys, replies, strict=True):
            place = db, stored(key)
            if not isinstance(count, int):
                self._found.pop(place, None)
            elif count > self._least or place in self._found:
                self._found[place] = count
        if len(self._found) > 2 * CANDIDATES:
            self._found = dict(self.ranked[:CANDIDATES])
            self._least = min(self._found.values())
        elif len(self._found) < CANDIDATES:
            self._least = -1
