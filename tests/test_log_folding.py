"""Repetitions fold into a count, and whatever ends a thread or the process is logged like everything else."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from exporter.log.sink import FOLD_SECONDS, MAX_FOLDED, Folding
from tests.servers import ROOT

PROGRAM = """
import sys, threading, warnings
from exporter.log import log, setup
setup("info", "json", lambda _: None)
class Loud:
    def __del__(self): raise RuntimeError("destructor")
threading.Thread(target=lambda: 1 / 0, name="lost").start()
Loud()
warnings.warn("old")
raise ValueError("redis://u:c4n4ry@h")
"""


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def line(event: str = "job.failed", severity: str = "ERROR", **more: Any) -> dict[str, Any]:
    """A line as the sink has it."""
    return {"timestamp": "t", "severity": severity, "event": event, "correlation_id": str(len(more)), **more}


def test_repetitions_are_counted_and_told_a_minute_later() -> None:
    """The first is written, the others are not; the first line after a minute comes behind their count."""
    clock = Clock()
    folding = Folding(clock)
    assert folding.lines(line(), fold=True) == [line()]
    for number in range(59):
        assert folding.lines(line() | {"correlation_id": str(number)}, fold=True) == []
    clock.now = FOLD_SECONDS
    later = line("a.b", "INFO", timestamp="later")
    assert folding.lines(later, fold=True) == [{**line(), "timestamp": "later", "repeated": 59}, later]
    assert folding.lines(line(), fold=True) == [line()]


def test_what_differs_or_is_no_error_is_written() -> None:
    """Another target, another error, a state that is told by itself, and information are not repetitions."""
    folding = Folding(Clock())
    for one in (line(target="a"), line(target="b"), line("other.failed"), line(severity="INFO"), line(severity="INFO")):
        assert folding.lines(one, fold=True) == [one]
    for _ in range(3):
        assert folding.lines(line("node.down", "WARNING"), fold=False) == [line("node.down", "WARNING")]


def test_what_passes_inside_of_a_text_is_no_difference() -> None:
    """A library that says how long it will wait, or where its object lies, repeats itself; another address is new."""
    folding = Folding(Clock())
    said = "<Connection at 0x{}> to {} failed, retrying in {}s."
    first = line(message=said.format("7f01", "10.0.0.5:4318", "0.93"))
    other = line(message=said.format("7f01", "10.0.0.6:4318", "0.93"))
    assert folding.lines(first, fold=True) == [first]
    assert folding.lines(line(message=said.format("7f02", "10.0.0.5:4318", "1.81")), fold=True) == []
    assert folding.lines(other, fold=True) == [other]


def test_what_is_remembered_is_bounded() -> None:
    """A flood of different errors does not fill the memory; what is forgotten early is told early."""
    folding = Folding(Clock())
    folding.lines(line(number=-1), fold=True)
    folding.lines(line(number=-1), fold=True)
    written = [one for number in range(2 * MAX_FOLDED) for one in folding.lines(line(number=number), fold=True)]
    assert len(written) == 2 * MAX_FOLDED + 1
    assert sum(one.get("repeated", 0) for one in written) == 1


def test_whatever_ends_something_is_a_line() -> None:
    """An uncaught error of a thread, of a destructor and of the process, and a warning: one redacted line each."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, cwd=ROOT, check=False, timeout=60)
    found = {one["event"]: one for one in map(json.loads, done.stderr.decode().splitlines())}
    assert found.keys() == {"thread.failed", "process.unraisable", "library.py.warnings", "process.failed"}
    assert found["thread.failed"]["exception.type"] == "ZeroDivisionError"
    assert "redis://***@h" in found["process.failed"]["exception.message"]
    assert b"c4n4ry" not in done.stderr
    assert done.returncode == 1
