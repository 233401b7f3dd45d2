"""A Python function as a source: what it yields are the records."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from itertools import islice
from typing import TYPE_CHECKING, Any

from exporter.config.warming_checks import PYTHON_GROUP
from exporter.warming.items import Copy, Fault, Found, SourceError, SourceReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.config.warming import WarmingJob


class FunctionSource:
    """Calls `function(limit=N)` for a list, `function(keys=[…])` for certain keys; it returns or yields mappings."""

    ordered = False
    by_key = False

    def __init__(self, job: WarmingJob) -> None:
        assert job.source.call is not None
        self._call = job.source.call

    def records(self, limit: int, offset: int) -> Iterator[Found]:
        """What the function yields. Raises SourceError where it cannot be called or fails."""
        yield from islice(self._called(limit=limit + offset), offset, offset + limit)

    def lookup(self, keys: Sequence[bytes]) -> Iterator[Found]:
        """What the function yields for these keys. Raises SourceError."""
        yield from self._called(keys=[key.decode("utf-8", "surrogateescape") for key in keys])

    def plain(self, keys: Sequence[bytes]) -> list[Copy]:  # noqa: ARG002 - records are no copies
        """Nothing: records are no copies."""
        return []

    def interrupt(self) -> None:
        """Nobody can end a function from outside; the run goes on without it."""

    def close(self) -> None:
        """Nothing stays open."""

    def _called(self, **arguments: Any) -> Iterator[Found]:
        try:
            for record in self._function()(**arguments):
                yield record if isinstance(record, Mapping) else Fault.GARBAGE
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 - the border to code that is not ours
            raise SourceError(SourceReason.CALL, f"the function failed with {type(error).__name__}") from None

    def _function(self) -> Any:
        try:
            if ":" not in self._call:
                return next(iter(entry_points(group=PYTHON_GROUP, name=self._call))).load()
            module, _, name = self._call.partition(":")
            return getattr(import_module(module), name)
        except Exception as error:  # noqa: BLE001 - importing runs code that is not ours
            raise SourceError(SourceReason.CALL, f"cannot be imported: {type(error).__name__}") from None
