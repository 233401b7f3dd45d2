"""The slow log and Valkey's command log: lengths, and when something slow happened last.

The log's entries hold arguments, which may be anybody's secrets: identifier and duration are kept, the rest is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.serverstats import Slowlog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.stats.info import Info
    from exporter.stats.reply import Reply

COMMANDS = (("SLOWLOG", "LEN"), ("SLOWLOG", "GET", "1"))
KINDS = ("slow", "large-request", "large-reply")
COMMANDLOG_COMMANDS = tuple(("COMMANDLOG", "LEN", kind) for kind in KINDS)


def read(_info: Info, replies: Sequence[Reply]) -> Slowlog | None:
    """Read `SLOWLOG LEN` and `SLOWLOG GET 1`."""
    length, entries = replies
    if not isinstance(length, int):
        return None
    match entries:
        case [[int(last_id), int(_), int(usec), *_], *_]:
            return Slowlog(float(length), float(last_id), usec / 1e6)
    return Slowlog(float(length))


def read_commandlog(_info: Info, replies: Sequence[Reply]) -> dict[str, float]:
    """The length of each log, by its kind."""
    return {kind: float(reply) for kind, reply in zip(KINDS, replies, strict=True) if isinstance(reply, int)}
