"""From a record to a key: name, value and life. Pure: a record in, an Item or a Fault out.

A life is always shortened by the same share for the same key, so that keys which are written together do not expire
together, and a second run does not move them.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any
from uuid import UUID

from exporter.warming.items import Copy, Fault, Item, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.config.templates import Template
    from exporter.config.warming import WarmingJob, WarmingValue

LONGEST_MS = 10 * 365 * 86_400_000


@dataclass(frozen=True)
class Policy:
    """How one job names, builds and dates its keys."""

    template: Template | None
    value: WarmingValue
    life: float | None
    life_field: str | None
    jitter: float
    most_bytes: int

    @classmethod
    def of(cls, job: WarmingJob) -> Policy:
        """The policy of a job."""
        return cls(job.key, job.value, job.ttl, job.ttl_field, job.jitter, job.max_value_bytes)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """The fields that every record must have."""
        fields = [*(self.template.fields if self.template else ()), *self.value.fields]
        fields += [name for name in (self.value.field, self.life_field) if name is not None]
        return tuple(dict.fromkeys(fields))

    def key(self, record: Record) -> bytes | None:
        """The name of the key of a record, or None where a field is missing or empty."""
        assert self.template is not None
        fields = {}
        for name in self.template.fields:
            text = text_of(record.get(name))
            if not text:
                return None
            fields[name] = text
        return self.template.render(fields).encode("utf-8", "surrogateescape")

    def item(self, found: Record | Copy) -> Item | Fault:
        """What will be written for a record, or why nothing can be."""
        if isinstance(found, Copy):
            return self._copied(found)
        key = self.key(found)
        if key is None or not all(map(found.__contains__, self.needed)):
            return Fault.FIELD
        life = self.life if self.life_field is None else _seconds(found[self.life_field])
        if self.life_field is not None and (life is None or life <= 0):
            return Fault.FIELD if life is None else Fault.EXPIRED
        try:
            kind, elements = _value(self.value, found)
        except (TypeError, ValueError, RecursionError):
            return Fault.TYPE
        return self._sized(Item.of(key, kind, elements, life_ms(key, life, self.jitter)))

    def _copied(self, copy: Copy) -> Item | Fault:
        """A copy keeps the rest of its life; one without an end gets the job's, since nobody asked for eternity."""
        life = life_ms(copy.key, self.life, self.jitter) if copy.life_ms is None else copy.life_ms
        if life is not None and life <= 0:
            return Fault.EXPIRED
        if copy.payload is not None:
            return self._sized(Item.of(copy.key, "dump", (copy.payload,), life))
        return self._sized(Item.of(copy.key, copy.kind, copy.elements, life))

    def _sized(self, item: Item) -> Item | Fault:
        if not item.elements:
            return Fault.GARBAGE
        return item if item.size <= self.most_bytes else Fault.TOO_LARGE


def life_ms(key: bytes, seconds: float | None, jitter: float) -> int | None:
    """The life of a key in milliseconds, shortened by its own share of `jitter`; None stays None."""
    if seconds is None:
        return None
    share = zlib.crc32(key) / 0x1_0000_0000
    return max(1, min(LONGEST_MS, int(1000 * seconds * (1 - jitter * share))))


def text_of(value: Any) -> str:
    """A field as text; the empty string for nothing at all. Raises nothing: odd types have a text, too."""
    if value is None or type(value) in {str, int}:
        return "" if value is None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "surrogateescape")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def bytes_of(value: Any) -> bytes:
    """A field as the bytes of a value: bytes as they are, everything else as its text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return text_of(value).encode("utf-8", "surrogateescape")


def _value(settings: WarmingValue, record: Record) -> tuple[str, tuple[bytes, ...]]:
    """The kind and the elements of a record's value. Raises TypeError or ValueError where it cannot be written."""
    if settings.type == "string":
        value = record[settings.field or ""]
        if value is None:
            raise ValueError("nothing to write")
        return "string", (bytes_of(value),)
    fields: Mapping[str, Any] = {name: record[name] for name in settings.fields} if settings.fields else record
    if settings.type == "hash":
        pairs = [(name.encode(), bytes_of(value)) for name, value in fields.items() if value is not None]
        return "hash", tuple(element for pair in pairs for element in pair)
    text = _encode(record[settings.field]) if settings.field is not None else _object(fields)
    return "string", (text.encode("utf-8"),)


def _object(fields: Mapping[str, Any]) -> str:
    """A JSON object, as the encoder writes it; short cuts for what most fields are, since that takes half the time."""
    parts = []
    for name, value in fields.items():
        kind = type(value)
        if type(name) is not str:
            return _encode(dict(fields))  # a function's records may be anything
        if kind is str:
            text = encode_basestring(value)
        elif kind is int:
            text = str(value)
        else:
            text = "null" if value is None else _encode(value)
        parts.append(f"{encode_basestring(name)}:{text}")
    return f"{{{','.join(parts)}}}"


def _plain(value: Any) -> Any:
    """What JSON has no word for, as text or a number. Raises TypeError for what has neither."""
    match value:
        case Decimal():
            if not value.is_finite():
                raise ValueError("not a number")
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8")
        case set() | frozenset():
            return sorted(value)
    raise TypeError("no JSON for this type")


def _seconds(value: Any) -> float | None:
    """Read the rest of a life in seconds, or None where it is no number."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    try:
        seconds = float(text_of(value))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


_encode = json.JSONEncoder(default=_plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
