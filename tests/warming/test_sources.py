"""Files, functions and saved hot sets as sources: a bad record costs itself, a bad source is told in our words."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import load
from exporter.config.warming_checks import PYTHON_GROUP
from exporter.errors import ConfigError
from exporter.warming import hotset
from exporter.warming.feed import Feed
from exporter.warming.hotset import SavedKey
from exporter.warming.items import Copy, Fault, SourceError
from exporter.warming.sources.file import FileSource
from exporter.warming.sources.function import FunctionSource
from exporter.warming.sources.saved import SavedSource
from exporter.warming.sources.sql import fetched
from tests.warming.jobs import job_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def file_source(path: Path, **settings: Any) -> FileSource:
    """A source that reads this file."""
    return FileSource(job_of({"type": "file", "path": str(path)}, **settings))


def test_jsonl_costs_only_the_bad_lines(tmp_path: Path) -> None:
    """Garbage, other types and a line of 10 MB are faults; all others are read, in order, empty lines aside."""
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"id":1}\n\nnonsense\n[1]\n{"id":2}\n{"x":"' + b"y" * 10_000_000 + b'"}\n\xff\xfe\n{"id":3}')

    found = list(file_source(path).records(100, 0))

    assert found == [
        {"id": 1}, Fault.GARBAGE, Fault.GARBAGE, {"id": 2}, Fault.TOO_LARGE, Fault.GARBAGE, {"id": 3},
    ]  # fmt: skip
    assert list(file_source(path).records(2, 3)) == [{"id": 2}, Fault.TOO_LARGE]
    assert list(file_source(path).lookup([b"session:3", b"session:9"])) == [{"id": 3}]


def test_csv_costs_only_the_bad_lines(tmp_path: Path) -> None:
    """A row with too few or too many columns is a fault; quoted fields may hold commas and line ends."""
    path = tmp_path / "s.csv"
    path.write_text('\ufeffid,name\n1,Ann\n2\n3,"x, y\nz"\n4,a,b\n\n5,Bob\n')

    found = list(file_source(path).records(100, 0))

    assert found == [
        {"id": "1", "name": "Ann"}, Fault.GARBAGE, {"id": "3", "name": "x, y\nz"}, Fault.GARBAGE,
        {"id": "5", "name": "Bob"},
    ]  # fmt: skip


def test_csv_without_the_column_fails_at_once(tmp_path: Path) -> None:
    """A header that lacks a field is told before a single record."""
    path = tmp_path / "s.csv"
    path.write_text("uid,name\n1,x\n")

    with pytest.raises(SourceError, match="the file has no column id"):
        list(file_source(path).records(10, 0))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The reason is told without the path."""
    with pytest.raises(SourceError, match=r"^file: no such file or directory$"):
        list(file_source(tmp_path / "none.jsonl").records(10, 0))


def numbers(limit: int | None = None, keys: list[str] | None = None) -> Iterator[Any]:
    """A function as a user writes it."""
    if keys is not None:
        yield from ({"id": key.partition(":")[2]} for key in keys if key != "session:9")
    else:
        yield from ({"id": n} for n in range(limit or 0))
        yield "odd"


def failing(limit: int) -> Iterator[Any]:
    """A function that fails in the middle."""
    yield {"id": 1}
    raise RuntimeError("postgresql://u:secret@h/db")


def function_source(name: str) -> FunctionSource:
    """A source that calls a function of this module."""
    return FunctionSource(job_of({"type": "python", "call": f"{__name__}:{name}"}))


def test_a_function_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package may name its function; a name that no package has is refused with the configuration."""
    metadata = tmp_path / "shop-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{PYTHON_GROUP}]\nshop-sessions = {__name__}:numbers\n")
    path = tmp_path / "config.yaml"
    path.write_text(
        "targets: [{name: cache, url: redis://127.0.0.1:1}]\nwarming: {jobs: [{name: j, key: 's:{id}', "
        "source: {type: python, call: shop-sessions}}]}\n"
    )
    with pytest.raises(ConfigError, match=r"jobs\[0\]\.source\.call: must be .* an entry point"):
        load(path, environ={})
    monkeypatch.syspath_prepend(str(tmp_path))

    [job] = load(path, environ={}).warming.jobs

    assert list(FunctionSource(job).records(2, 0))[:2] == [{"id": 0}, {"id": 1}]


def test_functions() -> None:
    """A function gets a limit or keys by name; what it raises is told by its type only."""
    assert list(function_source("numbers").records(3, 1)) == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert list(function_source("numbers").lookup([b"session:7", b"session:9"])) == [{"id": "7"}]
    with pytest.raises(SourceError, match=r"^call: the function failed with RuntimeError$"):
        list(function_source("failing").records(3, 0))
    with pytest.raises(SourceError, match="cannot be imported: AttributeError"):
        list(function_source("absent").records(3, 0))


def test_hot_set_is_saved_whole_and_private(tmp_path: Path) -> None:
    """What was saved comes back, with binary keys; the file is the owner's; broken lines and files are no error."""
    path = hotset.path_of(tmp_path, "cache")
    keys = [SavedKey(0, b"\xff\x00k", 9.5, b"dump", None), SavedKey(3, b"b", 1.0), SavedKey(0, b"gone", 2.0, b"d", 1.0)]

    assert hotset.load(path) == []
    assert hotset.save(path, "cache", keys, 100.0) == 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert hotset.load(path) == keys
    assert list(SavedSource(str(path)).records(10, 0)) == [Copy(b"\xff\x00k", None, b"dump"), Fault.EXPIRED]

    path.write_bytes(path.read_bytes()[:-20] + b"\nnonsense\n")
    assert [one.key for one in hotset.load(path)] == [b"\xff\x00k", b"b"]
    path.write_text(json.dumps({"version": 99}) + "\n")
    assert hotset.load(path) == []
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_hanging_source_does_not_hang_the_run() -> None:
    """Silence for longer than the timeout ends the reading, although the source still hangs."""
    release = threading.Event()

    def hangs() -> Iterator[Any]:
        yield {"id": 1}
        release.wait(20)

    source = function_source("numbers")
    feed = Feed(hangs, 1, 0.2, threading.Event())
    began = time.monotonic()
    batches = feed.batches()
    assert next(batches) == [{"id": 1}]
    with pytest.raises(SourceError, match="the source gave nothing in time"):
        next(batches)
    feed.end(source)

    assert time.monotonic() - began < 10
    assert feed.busy
    release.set()


def test_nothing_is_read_while_a_batch_is_written() -> None:
    """A run needs one core, not two; and whoever takes over after a crash has to read little again."""
    writing = threading.Event()
    read: list[bool] = []

    def counted() -> Iterator[Any]:
        for n in range(1000):
            read.append(writing.is_set())
            yield {"id": n}

    feed = Feed(counted, 10, 5.0, threading.Event())
    for _ in feed.batches():
        writing.set()
        time.sleep(0.0001)
        writing.clear()

    assert read == [False] * 1000
    feed.end(function_source("numbers"))


def test_a_batch_from_a_near_database_takes_long_and_is_not_asked_for_again() -> None:
    """Nor does one answer that we had to wait a core for make it far."""
    now, sizes = 0.0, []
    late = {3: 0.02, 6: 0.005, 7: 0.005}

    def fetch(most: int) -> list[int]:
        nonlocal now
        sizes.append(most)
        now += late.get(len(sizes), most * 5e-6)
        return [0] * most if len(sizes) < 12 else []

    list(fetched(fetch, 50, 1000, lambda: now))
    assert sizes == [50] * 7 + [1000] + [50] * 4


@pytest.mark.parametrize(
    ("batch", "seconds", "asked"), [(200, 0.0004, {50}), (200, 0.025, {50, 200}), (10, 0.0004, {10}), (10, 0.025, {10})]
)
def test_a_near_database_is_asked_for_little_at_once_and_a_far_one_for_much(
    batch: int, seconds: float, asked: set[int]
) -> None:
    """Others on its machine wait for little, and there are few journeys to a far one; nothing is lost on the way."""
    now = 0.0
    left = list(range(1001))
    sizes = []

    def fetch(most: int) -> list[int]:
        nonlocal now
        now += seconds
        sizes.append(most)
        rows, left[:] = left[:most], left[most:]
        return rows

    assert list(fetched(fetch, 50, batch, lambda: now)) == list(range(1001))
    assert set(sizes) == asked
    assert sizes[-1] == max(asked)
