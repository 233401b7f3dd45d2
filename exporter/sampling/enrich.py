"""Type, encoding, memory and remaining life of the published keys: (db, key) pairs in, `KeyFacts` out.

What each probe does to the server it asks:

    MEMORY USAGE       counted as neither hit nor miss, leaves LRU and LFU alone   always sent, and first
    PTTL               counted as a hit, leaves LRU and LFU alone                  only for keys that exist
    TYPE, ENCODING     counted as hits, leave LRU and LFU alone                    once per key and ten minutes

A key that MEMORY USAGE does not find is not asked about, so no probe of ours is ever a miss. Hits are counted in
`OwnTraffic`, and the hit ratio is published without them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import redis
from redis.crc import key_slot

from exporter.keynames import LongKey
from exporter.serverstats import ServerStats
from exporter.snapshot import Enrichment, HotKeys, KeyFacts, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.link import Link, OwnTraffic
    from exporter.snapshot import Board

DbKey = tuple[int, bytes]
TYPE_SECONDS = 600.0
BATCH = 20
MEMORY_SAMPLES = 5
"""Elements that MEMORY USAGE looks at: its cost on a big key is bounded, as is its error."""


class Enricher:
    """The facts of one node's published keys, on a link of its own. Belongs to one job."""

    def __init__(self, board: Board, link: Link, own: OwnTraffic, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._link = link
        self._own = own
        self._clock = clock
        self._facts: dict[DbKey, KeyFacts] = {}
        self._typed_at: dict[DbKey, float] = {}
        self._refused: set[str] = set()

    def run(self) -> None:
        """Probe the keys that are published now and publish what they are.

        Raises:
            NodeError: the node cannot be used; the facts known so far stay published.

        """
        node = self._link.node
        hot, status = self._board.latest(node, HotKeys), self._board.latest(node, NodeStatus)
        if hot is None or status is None or status.down is not None or status.loading:
            return
        wanted = sorted(key for key in hot.labelled if not isinstance(key[1], LongKey))
        found: dict[DbKey, KeyFacts] = {}
        for start in range(0, len(wanted), BATCH):
            found |= self._probe(wanted[start : start + BATCH])
        self._facts = found
        self._typed_at = {key: at for key, at in self._typed_at.items() if key in found}
        self._board.publish(node, Enrichment(found, self._clock()))

    def _in_cluster(self) -> bool:
        stats = self._board.latest(self._link.node, ServerStats)
        return stats is not None and stats.info.get("cluster_enabled") == "1"

    def interrupt(self) -> None:
        """Let a probe that waits for its reply fail at once; for other threads."""
        self._link.interrupt()

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    def _probe(self, keys: Sequence[DbKey]) -> dict[DbKey, KeyFacts]:
        sizes = self._ask([("MEMORY", "USAGE", key, "SAMPLES", MEMORY_SAMPLES) for _, key in keys], keys)
        # Where MEMORY USAGE is refused the size stays unknown and every key is taken to exist.
        present = [
            key for key, size in zip(keys, sizes, strict=True) if isinstance(size, int) or "MEMORY" in self._refused
        ]
        memory = {key: size for key, size in zip(keys, sizes, strict=True) if isinstance(size, int)}
        now = self._clock()
        stale = [key for key in present if now - self._typed_at.get(key, -TYPE_SECONDS) >= TYPE_SECONDS]
        lives = self._ask([("PTTL", key) for _, key in present], present)
        types = dict(zip(stale, self._ask([("TYPE", key) for _, key in stale], stale), strict=True))
        encodings = dict(zip(stale, self._ask([("OBJECT", "ENCODING", key) for _, key in stale], stale), strict=True))
        found: dict[DbKey, KeyFacts] = {}
        for key, life in zip(present, lives, strict=True):
            old = self._facts.get(key)
            kind = _text(types[key]) if key in types else old and old.type
            if kind == "none" or life == -2:
                continue
            found[key] = KeyFacts(
                type=kind or None,
                encoding=(_text(encodings[key]) if key in encodings else old and old.encoding) or None,
                slot=int(key_slot(key[1])) if self._in_cluster() else None,
                memory_bytes=memory.get(key),
                ttl_seconds=life / 1000 if isinstance(life, int) and life >= 0 else None,
                probed_at=now,
            )
            if key in types:
                self._typed_at[key] = now
        return found

    def _ask(self, commands: Sequence[tuple[str | bytes | int, ...]], keys: Sequence[DbKey]) -> list[Any]:
        """The replies to one command for each key, None where the server refuses it."""
        replies: dict[DbKey, Any] = dict.fromkeys(keys)
        for db in sorted({db for db, _ in keys}):
            batch = [(key, command) for key, command in zip(keys, commands, strict=True) if key[0] == db]
            act = str(batch[0][1][0])
            if act in self._refused:
                continue
            answers = self._batch(db, [command for _, command in batch])
            if answers is None or any(isinstance(answer, redis.exceptions.NoPermissionError) for answer in answers):
                self._refused.add(act)
                continue
            counted = 0 if act == "MEMORY" else sum(not isinstance(answer, Exception) for answer in answers)
            self._own.probed(counted, 0)
            for (key, _), answer in zip(batch, answers, strict=True):
                replies[key] = None if isinstance(answer, Exception) else answer
        return [replies[key] for key in keys]

    def _batch(self, db: int, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[Any] | None:
        """The replies in one database, None where the server refuses the way there.

        On a unix socket MONITOR shows all clients alike: there the commands go as one transaction that opens with our
        token, which tells them from the application's.
        """
        if not self._link.node.addr.startswith("unix:"):
            selected, *replies = self._link.pipeline([("SELECT", db), *commands])
            return None if isinstance(selected, Exception) and db else replies
        framed = [("SELECT", db), ("MULTI",), ("PING", self._own.token), *commands, ("EXEC",)]
        replies = self._link.pipeline(framed)
        refused = any(isinstance(reply, Exception) for reply in replies)
        return None if refused else list(replies[-1][1:])


def _text(reply: Any) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
