"""When a run has to end before it does harm: what INFO says in, a reason or None out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from exporter.warming.items import Reason

if TYPE_CHECKING:
    from exporter.config.warming import WarmingJob


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a run must know of a node; `used` and `most` are bytes, `most` is 0 without a limit."""

    role: str
    run_id: str
    loading: bool
    used: int
    most: int
    evicted: int
    hits: int
    misses: int
    commands: int
    cluster: bool

    @classmethod
    def parse(cls, info: object) -> Vitals:
        """Read the reply to INFO; what a server does not say counts as harmless."""
        text = info.decode("utf-8", "replace") if isinstance(info, bytes) else ""
        fields = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)

        def number(name: str) -> int:
            value = fields.get(name, "")
            return int(value) if value.isdecimal() else 0

        return cls(
            role=fields.get("role", "master"),
            run_id=fields.get("run_id", ""),
            loading=number("loading") != 0,
            used=number("used_memory"),
            most=number("maxmemory"),
            evicted=number("evicted_keys"),
            hits=number("keyspace_hits"),
            misses=number("keyspace_misses"),
            commands=number("total_commands_processed"),
            cluster=number("cluster_enabled") != 0,
        )


def room(now: Vitals, job: WarmingJob) -> float:
    """Bytes that the node's memory may still grow by before `refusal` says `memory`; infinite without a limit."""
    return max(0.0, job.max_memory * now.most - now.used) if now.most else inf


def refusal(now: Vitals, before: Vitals, job: WarmingJob) -> Reason | None:
    """Why a run must not go on; `before` is how the node was when it began."""
    if now.loading:
        return Reason.LOADING
    # Another run id is another data set: what was counted belongs to the old one.
    if now.role != "master" or now.run_id != before.run_id:
        return Reason.ROLE
    if now.evicted - before.evicted > job.max_evictions:
        return Reason.EVICTIONS
    if now.most and now.used > job.max_memory * now.most:
        return Reason.MEMORY
    return None
