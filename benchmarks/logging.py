"""What a log line costs: JSON to a file, beside loguru's own JSON and the standard library's.

In: nothing. Out: one line of JSON. Microseconds per record at the median of many rounds: `json_us` is ours, with six
attributes, a correlation id and redaction; the others write the same record to the same kind of file in the same run.
`loguru_floor_us` is a record that loguru makes and nobody writes: what is left of ours without everything that is ours.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from exporter.log import correlation, log, setup
from exporter.redaction import forget_secrets, register_secret

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 60
RECORDS = 200
ABOUT = {"target": "cache", "addr": "10.0.0.5:6379", "reason": "timeout", "seconds": 0.25, "keys": 100, "ok": True}


def per_record(write: Callable[[], object]) -> float:
    """Microseconds per call, the median of all rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(RECORDS):
            write()
        found.append(1e6 * (time.perf_counter() - began) / RECORDS)
    return statistics.median(found)


def ours(file: Path) -> float:
    """The daemon's own log."""
    for number in range(10):
        register_secret(f"some-secret-{number}")
    before, sys.stderr = sys.stderr, file.open("w", buffering=1)
    undo = setup("info", "json", lambda _: None)
    try:
        with correlation():
            return per_record(lambda: log.info("node.down", "the node cannot be used", **ABOUT))
    finally:
        undo()
        sys.stderr.close()
        sys.stderr = before
        forget_secrets()


def loguru_json(file: Path) -> float:
    """Loguru's own `serialize=True`."""
    number = logger.add(file, serialize=True, backtrace=False, diagnose=False)
    try:
        return per_record(lambda: logger.bind(**ABOUT).info("the node cannot be used"))
    finally:
        logger.remove(number)


def loguru_floor() -> float:
    """Loguru without anything that formats or writes."""
    number = logger.add(
        lambda _: None, format=lambda _: "", colorize=False, backtrace=False, diagnose=False, catch=False
    )
    try:
        return per_record(lambda: logger.bind(attributes=ABOUT).info("the node cannot be used"))
    finally:
        logger.remove(number)


def standard(file: Path) -> float:
    """The standard library's plain text."""
    other = logging.getLogger("benchmark")
    other.propagate = False
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    other.addHandler(handler)
    other.setLevel(logging.INFO)
    try:
        return per_record(lambda: other.info("the node cannot be used %s", ABOUT))
    finally:
        other.removeHandler(handler)
        handler.close()


def measure() -> dict[str, float]:
    """All figures."""
    with tempfile.TemporaryDirectory(prefix="logging-") as place:
        files = [Path(place) / name for name in ("ours", "loguru", "standard")]
        found = {"json_us": ours(files[0]), "loguru_json_us": loguru_json(files[1]), "standard_us": standard(files[2])}
        found["loguru_floor_us"] = loguru_floor()
        lines = files[0].read_text().splitlines()
    assert len(lines) == ROUNDS * RECORDS
    assert json.loads(lines[0])["addr"] == ABOUT["addr"]
    return {**found, "to_loguru": found["json_us"] / found["loguru_json_us"]}


if __name__ == "__main__":
    figures = {name: round(value, 2) for name, value in measure().items()}
    print(json.dumps({"benchmark": "logging", "cpus": os.cpu_count(), **figures}))
