"""Another Redis as a source: its keys by SCAN, their values as DUMP, or by type where the versions differ.

A key that is larger than the job takes is not dumped at all: dumping it would stall the source.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import redis

from exporter.config import Target
from exporter.errors import DownReason, NodeError
from exporter.link import Link, OwnTraffic
from exporter.snapshot import Node
from exporter.warming.items import Copy, Fault, Found, SourceError, SourceReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.config.warming import WarmingJob
    from exporter.warming.writes import Command

BATCH = 100
_READERS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "string": ("GET", ()),
    "hash": ("HGETALL", ()),
    "list": ("LRANGE", (0, -1)),
    "set": ("SMEMBERS", ()),
    "zset": ("ZRANGE", (0, -1, "WITHSCORES")),
}
_REASONS = {
    DownReason.REFUSED: SourceReason.REFUSED, DownReason.TIMEOUT: SourceReason.TIMEOUT,
    DownReason.DNS: SourceReason.DNS,
    DownReason.TLS: SourceReason.TLS, DownReason.AUTH: SourceReason.AUTH, DownReason.NOPERM: SourceReason.AUTH,
    DownReason.SECRET: SourceReason.AUTH, DownReason.CLOSED: SourceReason.CLOSED,
}  # fmt: skip


class RedisSource:
    """The keys of one other server."""

    # SCAN has no order that would hold until the next time.
    ordered = False
    by_key = False

    def __init__(self, job: WarmingJob) -> None:
        assert job.source.url is not None
        given: dict[str, Any] = {"name": "source", "url": job.source.url.get_secret_value()}
        if job.source.password_file is not None:
            given["password_file"] = job.source.password_file
        target = Target.model_validate(given)
        self._db = target.endpoint.db
        self._match = job.source.match
        self._timeout = job.source.timeout
        self._most = job.max_value_bytes
        self._link = Link(target, Node("source", target.endpoint.addr), OwnTraffic())

    def records(self, limit: int, offset: int) -> Iterator[Found]:
        """Copies of the keys that match. Raises SourceError."""
        keys = islice(self._scanned(), offset, offset + limit)
        while batch := list(islice(keys, BATCH)):
            yield from self._copies(batch)

    def lookup(self, keys: Sequence[bytes]) -> Iterator[Found]:
        """Copies of these keys. Raises SourceError."""
        for start in range(0, len(keys), BATCH):
            yield from self._copies(keys[start : start + BATCH])

    def plain(self, keys: Sequence[bytes]) -> list[Copy]:
        """These keys by type; one that is gone, or of a type without a way to write it, is left out."""
        kinds = [_text(reply) for reply in self._ask([("TYPE", key) for key in keys])]
        known = [(key, kind) for key, kind in zip(keys, kinds, strict=True) if kind in _READERS]
        commands: list[Command] = []
        for key, kind in known:
            name, rest = _READERS[kind]
            commands += [(name, key, *rest), ("PTTL", key)]
        replies = self._ask(commands) if commands else []
        copies: list[Copy] = []
        for (key, kind), value, life in zip(known, replies[::2], replies[1::2], strict=True):
            elements = tuple(value) if isinstance(value, list) else (value,)
            if kind == "zset":  # ZADD wants the score first
                elements = tuple(part for at in range(0, len(elements), 2) for part in (elements[at + 1], elements[at]))
            if elements and all(isinstance(element, bytes) for element in elements) and _alive(life):
                copies.append(Copy(key, _life(life), None, kind, elements))
        return copies

    def interrupt(self) -> None:
        """Cut the connection off."""
        self._link.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _scanned(self) -> Iterator[bytes]:
        cursor = b"0"
        while True:
            command: Command = ("SCAN", cursor, "COUNT", 1000)
            if self._match is not None:
                command = ("SCAN", cursor, "MATCH", self._match, "COUNT", 1000)
            (reply,) = self._ask([command])
            if not isinstance(reply, list):
                raise SourceError(SourceReason.AUTH, "SCAN is refused")
            cursor = reply[0]
            yield from reply[1]
            if cursor == b"0":
                return

    def _copies(self, keys: Sequence[bytes]) -> Iterator[Found]:
        sizes = self._ask([("MEMORY", "USAGE", key, "SAMPLES", 5) for key in keys])
        small = [key for key, size in zip(keys, sizes, strict=True) if not isinstance(size, int) or size <= self._most]
        yield from [Fault.TOO_LARGE] * (len(keys) - len(small))
        commands: list[Command] = [command for key in small for command in (("DUMP", key), ("PTTL", key))]
        replies = self._ask(commands) if commands else []
        for key, payload, life in zip(small, replies[::2], replies[1::2], strict=True):
            if isinstance(payload, redis.ResponseError):
                raise SourceError(SourceReason.AUTH, "DUMP is refused")
            yield Copy(key, _life(life), payload) if payload is not None and _alive(life) else Fault.MISSING

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        try:
            opened = self._link.is_open
            self._link.open()
            if not opened and self._db:
                self._link.call("SELECT", self._db)
            return self._link.pipeline(commands, self._timeout)
        except redis.ResponseError:
            raise SourceError(SourceReason.AUTH, "SELECT is refused") from None
        except NodeError as fault:
            raise SourceError(_REASONS.get(fault.reason, SourceReason.UNREACHABLE), fault.reason.value) from None


def _alive(life: Any) -> bool:
    """Whether PTTL says that the key is there: -2 says that it is not."""
    return isinstance(life, int) and life != -2


def _life(life: int) -> int | None:
    return None if life == -1 else max(1, life)


def _text(reply: Any) -> str:
    return reply.decode("ascii", "replace") if isinstance(reply, bytes) else ""
