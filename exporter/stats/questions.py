"""What is asked beside INFO, as a table: which commands, on which servers, and how the replies are read.

A question is only asked where the server knows its command, since an unknown command would count as an error there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.stats import latency, limits, sentinel, slowlog
from exporter.stats.info import integer, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.stats.info import Info
    from exporter.stats.reply import Reply
    from exporter.stats.slots import BusiestSlots

Command = tuple[str, ...]
SLOT_STATS = "CLUSTER SLOT-STATS"


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know.

    `name` is the right that it takes, as `check` shows it; `field` the one of `ServerStats` that `read` fills from the
    replies to `commands`; `meaning` says what is missing without it. Commands are sent at once, unless each takes the
    server so long that it should do something else in between: `one_by_one`.
    """

    name: str
    field: str
    meaning: str
    commands: Callable[[Info], Sequence[Command]]
    read: Callable[[Info, Sequence[Reply]], object]
    applies: Callable[[Info], bool]
    one_by_one: bool = False


def version(info: Info) -> tuple[int, int]:
    """The Redis version that the server is, or is compatible with."""
    return _two(info.fields.get("redis_version", ""))


def valkey(info: Info) -> tuple[int, int]:
    """The Valkey version, (0, 0) elsewhere."""
    return _two(info.fields.get("valkey_version", ""))


def _two(text: str) -> tuple[int, int]:
    parts = (*text.split("."), "", "")
    major, minor = (int(part) if part.isascii() and part.isdigit() and len(part) < 6 else 0 for part in parts[:2])
    return major, minor


def is_sentinel(info: Info) -> bool:
    """Whether this is a Sentinel, which knows few commands."""
    return "sentinel" in {info.fields.get("redis_mode"), info.fields.get("server_mode")}


def is_cluster(info: Info) -> bool:
    """Whether the server is a node of a cluster."""
    return integer(info.fields, "cluster_enabled") == 1


def _is_data(info: Info) -> bool:
    return not is_sentinel(info)


def _always(*commands: Command) -> Callable[[Info], Sequence[Command]]:
    return lambda _info: commands


def _counts_slots(info: Info) -> bool:
    return is_cluster(info) and (valkey(info) >= (8, 0) or (valkey(info) == (0, 0) and version(info) >= (8, 2)))


def of_slots(slots: BusiestSlots) -> Question:
    """What a node's slots are asked, which depends on what they have answered."""
    meaning = "the busiest slots of a cluster node"
    return Question(SLOT_STATS, "slots", meaning, slots.commands, slots.read, _counts_slots, one_by_one=True)


def _cluster(_info: Info, replies: Sequence[Reply]) -> dict[str, str]:
    [reply] = replies
    return dict(parse(reply).fields) if isinstance(reply, bytes) else {}


QUESTIONS = (
    Question(
        "CONFIG GET",
        "limits",
        "configured limits, and whether the server ends a stalled reader",
        lambda info: limits.commands(version(info)),
        limits.read,
        _is_data,
    ),
    Question("SLOWLOG", "slowlog", "the slow log", _always(*slowlog.COMMANDS), slowlog.read, _is_data),
    Question(
        "LATENCY LATEST",
        "spikes",
        "latency spikes",
        _always(("LATENCY", "LATEST")),
        latency.spikes,
        _is_data,
    ),
    Question(
        "LATENCY HISTOGRAM",
        "histograms",
        "latency histograms per command",
        _always(("LATENCY", "HISTOGRAM")),
        latency.histograms,
        lambda info: _is_data(info) and version(info) >= (7, 0),
    ),
    Question(
        "COMMANDLOG LEN",
        "commandlog",
        "Valkey's command log",
        _always(*slowlog.COMMANDLOG_COMMANDS),
        slowlog.read_commandlog,
        lambda info: _is_data(info) and valkey(info) >= (8, 1),
    ),
    Question("CLUSTER INFO", "cluster", "the state of the cluster", _always(("CLUSTER", "INFO")), _cluster, is_cluster),
    Question(
        "SENTINEL",
        "sentinel_details",
        "details of the masters that a Sentinel watches",
        sentinel.commands,
        sentinel.details,
        is_sentinel,
    ),
)
