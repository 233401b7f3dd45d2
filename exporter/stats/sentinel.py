"""What a Sentinel knows of its masters: INFO's lines and the SENTINEL commands in, one value for each master out.

Whether a quorum can be reached is worked out here, as `SENTINEL CKQUORUM` does it (sentinel.c,
sentinelIsQuorumReachable), instead of asking: its negative answer is an error reply, which would count as one there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.serverstats import SentinelDetails, SentinelMaster
from exporter.stats.info import first, number, pairs, word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.stats.info import Info
    from exporter.stats.reply import Reply

MOST_MASTERS = 128
SETTINGS = (
    "quorum", "failover-timeout", "parallel-syncs", "down-after-milliseconds", "config-epoch", "last-ok-ping-reply",
)  # fmt: skip


def masters(info: Info) -> tuple[SentinelMaster, ...]:
    """The masters that INFO lists: `master0:name=main,status=ok,address=…,slaves=1,sentinels=3`."""
    found: dict[str, SentinelMaster] = {}
    for _, value in first(info.table("master"), MOST_MASTERS):
        parts = pairs(value)
        replicas, sentinels = number(parts, "slaves"), number(parts, "sentinels")
        if replicas is not None and sentinels is not None:
            name, address, status = (word(parts.get(one, "")) for one in ("name", "address", "status"))
            found[name] = SentinelMaster(name, address, status, replicas, sentinels)
    return tuple(found.values())


def commands(info: Info) -> tuple[tuple[str, ...], ...]:
    """MASTERS, then SENTINELS and REPLICAS of each master that INFO lists."""
    each = [("SENTINEL", about, name) for name in _names(info) for about in ("SENTINELS", "REPLICAS")]
    return (("SENTINEL", "MASTERS"), *each)


def details(info: Info, replies: Sequence[Reply]) -> tuple[SentinelDetails, ...]:
    """Read the replies to `commands`."""
    listed = [_flat(entry) for entry in _list(replies[0])]
    known = {fields["name"]: fields for fields in listed if {"name", "ip", "port"} <= fields.keys()}
    peers = zip(_names(info), replies[1::2], replies[2::2], strict=True)
    return tuple(
        _details(known[name], _list(sentinels), _list(replicas)) for name, sentinels, replicas in peers if name in known
    )


def _names(info: Info) -> list[str]:
    names = [pairs(value).get("name", "") for _, value in first(info.table("master"), MOST_MASTERS)]
    return [name for name in dict.fromkeys(names) if name]


def _details(fields: dict[str, str], sentinels: Sequence[Reply], replicas: Sequence[Reply]) -> SentinelDetails:
    settings = {name: value for name in SETTINGS if (value := number(fields, name)) is not None}
    usable, voters = 1 + _healthy(sentinels), 1 + len(sentinels)
    quorum = usable >= settings.get("quorum", 0)
    majority = usable >= voters // 2 + 1
    return SentinelDetails(
        name=word(fields["name"]),
        address=word(f"{fields['ip']}:{fields['port']}"),
        quorum=quorum and majority,
        message=_message(usable, quorum=quorum, majority=majority),
        settings=settings,
        ok_sentinels=usable,
        ok_replicas=_healthy(replicas),
    )


def _message(usable: int, *, quorum: bool, majority: bool) -> str:
    """CKQUORUM's own words."""
    if quorum and majority:
        return f"OK {usable} usable Sentinels. Quorum and failover authorization can be reached"
    missing = "Not enough available Sentinels to reach the"
    reasons = [] if quorum else [f"{missing} specified quorum for this master"]
    reasons += [] if majority else [f"{missing} majority and authorize a failover"]
    return f"NOQUORUM {usable} usable Sentinels. {'. '.join(reasons)}"


def _list(reply: Reply) -> list[Reply]:
    return reply if isinstance(reply, list) else []


def _flat(entry: Reply) -> dict[str, str]:
    """A flat list of names and values as a mapping."""
    texts = [one.decode("utf-8", "replace") if isinstance(one, bytes) else "" for one in _list(entry)]
    return dict(zip(texts[::2], texts[1::2], strict=False))


def _healthy(peers: Sequence[Reply]) -> int:
    flags = [_flat(peer).get("flags", "s_down") for peer in peers]
    return sum("s_down" not in one and "o_down" not in one for one in flags)
