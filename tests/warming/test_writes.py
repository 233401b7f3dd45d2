"""Items become commands: never a write whose life comes in another command."""

from __future__ import annotations

import pytest
import redis

from exporter.warming import writes
from exporter.warming.items import Item, Result


@pytest.mark.parametrize("policy", ["nx", "xx", "always"])
@pytest.mark.parametrize("kind", sorted(writes.KINDS))
def test_the_life_is_in_the_same_command(kind: str, policy: str) -> None:
    """One command writes the value and its life, for every type under every policy."""
    item = Item.of(b"k", kind, (b"a", b"b"), 5000)

    command = writes.command(item, policy)

    assert 5000 in command
    assert command[0] in {"SET", "RESTORE", "EVAL"}


@pytest.mark.parametrize(
    ("reply", "policy", "result"),
    [
        (b"OK", "nx", Result.WRITTEN),
        (None, "nx", Result.EXISTS),
        (1, "nx", Result.WRITTEN),
        (0, "nx", Result.EXISTS),
        (b"OK", "xx", Result.REFRESHED),
        (None, "xx", Result.SKIPPED),
        (b"OK", "always", Result.WRITTEN),
        (redis.ResponseError("BUSYKEY Target key name already exists."), "nx", Result.EXISTS),
        (redis.ResponseError("WRONGTYPE"), "nx", Result.FAILED),
    ],
)
def test_replies(reply: object, policy: str, result: Result) -> None:
    """Already there is not warmed, and an error is not a success."""
    assert writes.result(reply, policy) is result


def test_refusals_of_the_whole_server() -> None:
    """A full server and a replica are told from a fault of one key."""
    assert writes.refusals([b"OK", redis.exceptions.OutOfMemoryError("command not allowed")]) == "memory"
    assert writes.refusals([redis.exceptions.ReadOnlyError("You can't write against a read only replica.")]) == "role"
    assert writes.refusals([redis.ResponseError("WRONGTYPE"), None]) is None
