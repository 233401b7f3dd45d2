"""Saves the hot set of one target, so that a start after FLUSHALL or a failover knows what was hot.

Only names are saved; for a job of type `snapshot` the values, too, as DUMP. Its DUMP and PTTL count as hits, which are
taken out of the published hit ratio.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.warming import hotset
from exporter.warming.hotset import SavedKey
from exporter.warming.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from exporter.topology import Topology
    from exporter.warming.selection import Ranked

BATCH = 50
LARGEST_VALUE = 1024 * 1024


class Saver:
    """Saves one target's hot set. Belongs to one job of the scheduler."""

    def __init__(self, topology: Topology, target: str, path: str, *, values: bool) -> None:
        self._topology = topology
        self._target = target
        self._path = Path(path)
        self._values = values

    def save(self, hot: Iterable[Ranked]) -> int:
        """Write what is hot now; an empty window leaves the file as it is. Raises OSError, NodeError."""
        ranked = sorted(hot, key=lambda one: -one[2])
        if not ranked:
            return 0
        keys = [SavedKey(db, key, rate) for db, key, rate in ranked]
        if self._values:
            keys = list(self._with_values(keys))
        return hotset.save(self._path, self._target, keys, time.time())

    def _with_values(self, keys: Sequence[SavedKey]) -> Iterator[SavedKey]:
        """Add values. A key that is gone (the cache was emptied, say) keeps the value that was saved before."""
        now = time.time()
        before = {(one.db, one.key): one for one in hotset.load(self._path) if one.payload is not None}
        for db in sorted({one.db for one in keys}):
            for one in self._dumped(db, [one for one in keys if one.db == db], now):
                old = before.get((one.db, one.key))
                if one.payload is None and old is not None and (old.expires_at is None or old.expires_at > now):
                    yield replace(one, payload=old.payload, expires_at=old.expires_at)
                else:
                    yield one

    def _dumped(self, db: int, keys: Sequence[SavedKey], now: float) -> Iterator[SavedKey]:
        placement = Placement(self._topology, self._target, db)
        try:
            placement.open()
            for start in range(0, len(keys), BATCH):
                batch = keys[start : start + BATCH]
                # Not counted by the server, and says whether the key is there: no probe of ours is a miss.
                sizes = placement.send([(one.key, ("MEMORY", "USAGE", one.key, "SAMPLES", 5)) for one in batch])
                small = [
                    one
                    for one, size in zip(batch, sizes, strict=True)
                    if isinstance(size, int) and size <= LARGEST_VALUE
                ]
                both = [(one.key, (name, one.key)) for one in small for name in ("DUMP", "PTTL")]
                replies = placement.send(both) if both else []
                for one in small:
                    placement.own(placement.place(one.key)).probed(2, 0)
                found = dict(
                    zip((one.key for one in small), zip(replies[::2], replies[1::2], strict=True), strict=True)
                )
                for one in batch:
                    payload, life = found.get(one.key, (None, -2))
                    if isinstance(payload, bytes) and isinstance(life, int) and life != -2:
                        expires_at = now + life / 1000 if life >= 0 else None
                        yield replace(one, payload=payload, expires_at=expires_at)
                    else:
                        yield one
        finally:
            placement.close()
