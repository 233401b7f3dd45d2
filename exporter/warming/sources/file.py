"""A file as a source: JSONL or CSV, read line by line in constant memory; a bad line costs itself and nothing else."""

from __future__ import annotations

import csv
import json
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from exporter.config.warming_checks import file_format
from exporter.warming.items import Copy, Fault, Found, SourceError, SourceReason
from exporter.warming.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.config.warming import WarmingJob

OVERHEAD = 64 * 1024
"""What a line may have beyond the largest value: the names of its fields, and what is not written."""


class FileSource:
    """The records of one file, opened anew for every reading."""

    ordered = True
    by_key = False

    def __init__(self, job: WarmingJob) -> None:
        assert job.source.path is not None
        self._path = job.source.path
        self._format = file_format(job.source)
        self._most = 2 * job.max_value_bytes + OVERHEAD
        self._policy = Policy.of(job)

    def records(self, limit: int, offset: int) -> Iterator[Found]:
        """The records in the order of the file. Raises SourceError."""
        read = self._csv if self._format == "csv" else self._jsonl
        try:
            with self._path.open("rb") as file:
                yield from islice(read(file), offset, offset + limit)
        except OSError as error:
            raise SourceError(SourceReason.FILE, (error.strerror or "cannot be read").lower()) from None

    def lookup(self, keys: Sequence[bytes]) -> Iterator[Found]:
        """The records whose key is among `keys`: the whole file is read. Raises SourceError."""
        wanted = set(keys)
        for found in self.records(2**62, 0):
            if isinstance(found, dict) and self._policy.key(found) in wanted:
                yield found

    def plain(self, keys: Sequence[bytes]) -> list[Copy]:  # noqa: ARG002 - records are no copies
        """Nothing: records are no copies."""
        return []

    def interrupt(self) -> None:
        """Nothing to cut off: a file answers or fails."""

    def close(self) -> None:
        """Nothing stays open."""

    def _lines(self, file: IO[bytes]) -> Iterator[bytes | None]:
        """The lines of a file, None for one that is too long; the rest of such a line is passed over in pieces."""
        while line := file.readline(self._most):
            if len(line) < self._most or line.endswith(b"\n"):
                yield line
                continue
            while (rest := file.readline(self._most)) and not rest.endswith(b"\n"):
                pass
            yield None

    def _jsonl(self, file: IO[bytes]) -> Iterator[Found]:
        for line in self._lines(file):
            if line is None:
                yield Fault.TOO_LARGE
            elif line.strip():
                try:
                    record: Any = json.loads(line)
                except (ValueError, RecursionError):
                    record = None
                yield record if isinstance(record, dict) else Fault.GARBAGE

    def _csv(self, file: IO[bytes]) -> Iterator[Found]:
        too_long = False

        def text() -> Iterator[str]:
            nonlocal too_long
            for line in self._lines(file):
                too_long = too_long or line is None
                yield "\n" if line is None else line.decode("utf-8-sig", "surrogateescape")

        csv.field_size_limit(max(csv.field_size_limit(), self._most))
        reader = csv.reader(text(), strict=True)
        header: list[str] | None = None
        while True:
            too_long = False
            try:
                row = next(reader, None)
            except csv.Error:
                yield Fault.GARBAGE
                continue
            if row is None:
                return
            if too_long:
                yield Fault.TOO_LARGE
            elif header is None:
                header = self._header(row)
            elif row:
                yield dict(zip(header, row, strict=True)) if len(row) == len(header) else Fault.GARBAGE

    def _header(self, row: list[str]) -> list[str]:
        """The first line of a CSV file. Raises SourceError where it lacks a field that the job needs."""
        for name in self._policy.needed:
            if name not in row:
                raise SourceError(SourceReason.FIELD, f"the file has no column {name}")
        return row
