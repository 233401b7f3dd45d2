"""Where values come from: one module for each type of source, and what all of them can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.config.warming import WarmingJob, WarmingSource
    from exporter.warming.items import Copy, Found


class Source(Protocol):
    """A place that values come from. Belongs to one thread, but for `interrupt`.

    Every method that reads raises SourceError where the source as a whole cannot be used; a single bad record is a
    Fault among the others.
    """

    ordered: bool
    """Whether a second reading gives the same order, so that a run can go on where another one ended."""
    by_key: bool
    """Whether it is asked key by key, so that several may be asked at once from several threads."""

    def records(self, limit: int, offset: int) -> Iterator[Found]:
        """Everything that the source lists, in its order, at most `limit`, after the first `offset`."""
        ...

    def lookup(self, keys: Sequence[bytes]) -> Iterator[Found]:
        """What the source has of these keys, in any order."""
        ...

    def plain(self, keys: Sequence[bytes]) -> list[Copy]:
        """These keys by type instead of as DUMP; only copies can do that."""
        ...

    def interrupt(self) -> None:
        """Make whoever waits for the source fail soon. For other threads."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


def source_of(job: WarmingJob, state: str) -> Source:
    """The source of a job; `state` is the path of the saved hot set of its target. Imports only what it needs."""
    settings: WarmingSource = job.source
    match settings.type:
        case "sql":
            from exporter.warming.sources.sql import SqlSource  # noqa: PLC0415 - SQLAlchemy is optional, and large

            return SqlSource(job)
        case "http":
            from exporter.warming.sources.http import HttpSource  # noqa: PLC0415 - httpx is optional

            return HttpSource(job)
        case "redis":
            from exporter.warming.sources.other_redis import RedisSource  # noqa: PLC0415

            return RedisSource(job)
        case "file":
            from exporter.warming.sources.file import FileSource  # noqa: PLC0415

            return FileSource(job)
        case "python":
            from exporter.warming.sources.function import FunctionSource  # noqa: PLC0415

            return FunctionSource(job)
        case _:
            from exporter.warming.sources.saved import SavedSource  # noqa: PLC0415

            return SavedSource(state)
