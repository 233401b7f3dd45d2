"""Functions that jobs of tests call as sources: slow, hanging, failing, and full of bad records."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = "x" * 10_000_000
hang = threading.Event()
"""Set at the end of a test, so that whoever hangs may go."""


def many(limit: int) -> Iterator[dict[str, Any]]:
    """As many good records as are wanted."""
    for number in range(limit):
        yield {"id": number, "v": "x" * 200}


def hangs_in_the_middle(limit: int) -> Iterator[dict[str, Any]]:
    """500 records, and then nothing any more."""
    yield from many(min(limit, 500))
    hang.wait(60)


def fails_in_the_middle(limit: int) -> Iterator[dict[str, Any]]:
    """500 records, and then an error with a secret in its text."""
    yield from many(min(limit, 500))
    raise RuntimeError("could not reach postgresql://u:s3cr3t@db/shop")


def mixed(limit: int) -> Iterator[Any]:
    """Good records with everything in between that a source should not give."""
    for record in many(limit):
        yield record
        if record["id"] % 100 == 0:
            yield {**record, "id": record["id"] + 1_000_000, "v": LARGE}
        match record["id"] % 10:
            case 1:
                yield record
            case 2:
                yield {"other": 1}
            case 3:
                yield "garbage"
            case 4:
                yield None
            case 5:
                yield {"id": None, "v": 1}


def meanwhile() -> None:
    """What happens while somebody looks keys up; for tests to replace."""


def by_key(keys: list[str]) -> Iterator[dict[str, Any]]:
    """A record for every key that is asked for."""
    meanwhile()
    for key in keys:
        yield {"id": key.rpartition(":")[2], "v": "new"}
