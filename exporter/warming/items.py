"""What flows from a source to the server, and how it can end: frozen values and closed sets of words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from exporter.errors import ExporterError

Record = Mapping[str, Any]
"""One record of a source: its fields by name."""


class Result(StrEnum):
    """What became of one key: the closed set of `redis_cache_warming_keys_total{result}`."""

    WRITTEN = "written"
    EXISTS = "exists"
    REFRESHED = "refreshed"
    UNDONE = "undone"
    MISSING = "missing_at_source"
    FAILED = "failed"
    SKIPPED = "skipped"


class Outcome(StrEnum):
    """How a run ended: the closed set of `redis_cache_warming_runs_total{outcome}`."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    ABORTED = "aborted"
    FAILED = "failed"
    NOT_LEADER = "not_leader"


class Reason(StrEnum):
    """Why a run did not simply complete; of the log, of `/api/v1/warming` and of `warm`."""

    MEMORY = "memory"
    EVICTIONS = "evictions"
    ROLE = "role"
    LOADING = "loading"
    SOURCE_ERRORS = "source_errors"
    STREAM = "stream"
    LEASE = "lease"
    DEADLINE = "deadline"
    STOPPED = "stopped"
    SOURCE = "source"
    NODE = "node"
    ITEMS = "items"
    BACKOFF = "backoff"
    BUSY = "busy"
    NOTHING_KNOWN = "nothing_known"


class Fault(StrEnum):
    """Why one key or record could not be warmed."""

    GARBAGE = "garbage"
    FIELD = "field"
    TOO_LARGE = "too_large"
    EXPIRED = "expired"
    DUPLICATE = "duplicate"
    SHARD = "shard"
    TYPE = "type"
    SOURCE = "source"
    SERVER = "server"
    MISSING = "missing"
    CHANGED = "changed"


RESULT_OF = {
    Fault.GARBAGE: Result.FAILED,
    Fault.FIELD: Result.FAILED,
    Fault.TYPE: Result.FAILED,
    Fault.SOURCE: Result.FAILED,
    Fault.SERVER: Result.FAILED,
    Fault.TOO_LARGE: Result.SKIPPED,
    Fault.EXPIRED: Result.SKIPPED,
    Fault.DUPLICATE: Result.SKIPPED,
    Fault.SHARD: Result.SKIPPED,
    Fault.MISSING: Result.MISSING,
    Fault.CHANGED: Result.SKIPPED,
}


class SourceReason(StrEnum):
    """Why a source cannot be used."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    DNS = "dns"
    TLS = "tls"
    AUTH = "auth"
    QUERY = "query"
    FIELD = "field"
    FILE = "file"
    STATUS = "status"
    GARBAGE = "garbage"
    TOO_LARGE = "too_large"
    CALL = "call"
    CLOSED = "closed"
    UNREACHABLE = "unreachable"


class Ended(Exception):
    """A guard ends the run."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail


class SourceError(ExporterError):
    """A source cannot be used; the text is ours, since a driver's may hold values and credentials."""

    def __init__(self, reason: SourceReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Copy:
    """A key of another Redis: its DUMP, or (where versions differ) its `kind` and its elements.

    `life_ms` is None for a key that never expires.
    """

    key: bytes
    life_ms: int | None
    payload: bytes | None
    kind: str = ""
    elements: tuple[bytes, ...] = ()


class Item(NamedTuple):
    """One key as it will be written.

    `kind` is `string` (one element), `dump` (one element), or the type of a collection with its elements in the order
    of its writing command. `life_ms` is None for a key without an end, which somebody asked for.
    """

    key: bytes
    kind: str
    elements: tuple[bytes, ...]
    life_ms: int | None
    size: int

    @classmethod
    def of(cls, key: bytes, kind: str, elements: tuple[bytes, ...], life_ms: int | None) -> Item:
        """An item with its size, the bytes of key and value."""
        size = len(elements[0]) if len(elements) == 1 else sum(map(len, elements))
        return cls(key, kind, elements, life_ms, len(key) + size)


Found = Record | Copy | Fault
"""What a source gives for one key: a record, a copy, or why there is neither."""
