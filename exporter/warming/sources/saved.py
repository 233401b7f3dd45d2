"""Our own saved hot set as a source: the keys that were hot, with the values that they had."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.warming import hotset
from exporter.warming.items import Copy, Fault, Found, SourceError, SourceReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class SavedSource:
    """The values of one target's saved hot set, hottest first. What has expired since is left out."""

    ordered = False
    by_key = False

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def records(self, limit: int, offset: int) -> Iterator[Found]:
        """Copies of all saved values. Raises SourceError."""
        try:
            saved = [one for one in hotset.load(self._path) if one.payload is not None]
        except OSError as error:
            raise SourceError(SourceReason.FILE, (error.strerror or "cannot be read").lower()) from None
        for one in islice(saved, offset, offset + limit):
            life = None if one.expires_at is None else int(1000 * (one.expires_at - time.time()))
            yield Fault.EXPIRED if life is not None and life <= 0 else Copy(one.key, life, one.payload)

    def lookup(self, keys: Sequence[bytes]) -> Iterator[Found]:
        """Copies of these keys. Raises SourceError."""
        wanted = set(keys)
        yield from (one for one in self.records(hotset.MOST_KEYS, 0) if isinstance(one, Copy) and one.key in wanted)

    def plain(self, keys: Sequence[bytes]) -> list[Copy]:  # noqa: ARG002 - only the DUMP was saved
        """Nothing: only the DUMP was saved."""
        return []

    def interrupt(self) -> None:
        """Nothing to cut off."""

    def close(self) -> None:
        """Nothing stays open."""
