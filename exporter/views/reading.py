"""What is known now: the Board, the configuration and the time come in, one `Reading` for each node goes out.

Here, once for all views, it is decided what is too old to be shown: a snapshot that is stale is withheld, not repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.errors import DownReason
from exporter.serverstats import ServerStats
from exporter.snapshot import (
    Enrichment,
    HotKeys,
    Keyspace,
    KeyspaceState,
    Membership,
    NativeKeys,
    NodeStatus,
    SamplingState,
    SamplingTotals,
    Source,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.config import Config, Target
    from exporter.snapshot import Board, Node

STALE_SECONDS = 5.0
"""How old a snapshot may be, beyond the interval at which its kind is taken."""
MISSED_READINGS = 3
"""What a server says of itself is shown until this many readings are missing."""
MISSED_ENRICHMENTS = 3
"""Facts about keys change slowly: they are shown until this many runs are missing."""
NATIVE_SECONDS = 20.0
"""How old what the server itself said may be: it is asked every five seconds."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on both clocks: `monotonic` for ages, `wall` (seconds since 1970) for what people read."""

    monotonic: float
    wall: float

    @property
    def iso(self) -> str:
        """The wall time in UTC as `2026-01-31T12:00:00.000Z`."""
        return iso(self.wall)


def iso(wall: float) -> str:
    """Write seconds since 1970 as `2026-01-31T12:00:00.000Z`."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Reading:
    """One node as the views may show it; a value is None before the first, and where it is `withheld`.

    `down` is None while the node is up. `withheld` maps `hotkeys`, `stats`, `enrichment`, `keyspace` or `native` to the
    age in seconds of the snapshot that is too old.
    """

    node: Node
    target: Target
    down: str | None
    detail: str
    status: NodeStatus | None
    hotkeys: HotKeys | None
    state: SamplingState | None
    totals: SamplingTotals | None
    enrichment: Enrichment | None
    stats: ServerStats | None
    keyspace: Keyspace | None
    keyspace_state: KeyspaceState | None
    native: NativeKeys | None
    stats_last_success: float | None
    withheld: Mapping[str, float]
    membership: Membership | None = None

    @property
    def up(self) -> bool:
        """Whether the node answered lately."""
        return self.down is None

    @property
    def source(self) -> str:
        """Where the hot-key figures come from, `none` before anything is known."""
        return (self._in_use.source if self._in_use else Source.NONE).value

    @property
    def _in_use(self) -> SamplingState | NativeKeys | None:
        """MONITOR's state, unless it is not in use and another source stands in for it."""
        idle = self.state is None or self.state.source is Source.NONE
        return self.native if idle and self.native and self.native.reason != "beside" else self.state

    @property
    def stands_in(self) -> bool:
        """Whether another source than MONITOR has fresh figures in its place."""
        return isinstance(self._in_use, NativeKeys) and self._in_use.source is not Source.NONE

    @property
    def reason(self) -> str:
        """Why the source is what it is; `starting` before the sampler has said anything."""
        return self._in_use.reason if self._in_use else "starting"


def read(board: Board, config: Config, now: Moment, target: str | None = None) -> tuple[Reading, ...]:
    """Read all nodes of the configured targets (or of one of them), in the order of the Board."""
    targets = {one.name: one for one in config.targets if target in {None, one.name}}
    enriched = MISSED_ENRICHMENTS * config.enrich.interval
    return tuple(
        _read(board, node, targets[node.target], now, enriched) for node in board.nodes if node.target in targets
    )


def _read(board: Board, node: Node, target: Target, now: Moment, enriched: float) -> Reading:
    withheld: dict[str, float] = {}

    def fresh(name: str, taken_at: float, limit: float) -> bool:
        age = now.monotonic - taken_at
        if age > limit:
            withheld[name] = round(age, 1)
        return age <= limit

    status = known = board.latest(node, NodeStatus)
    hotkeys, enrichment = board.latest(node, HotKeys), board.latest(node, Enrichment)
    if status and not fresh("stats", status.taken_at, STALE_SECONDS + max(status.interval, target.stats.interval)):
        status = None
    stats = board.latest(node, ServerStats)
    if stats and now.monotonic - stats.taken_at > MISSED_READINGS * stats.interval:
        stats = None
    if hotkeys and not fresh("hotkeys", hotkeys.taken_at, STALE_SECONDS):
        hotkeys = None
    if enrichment and not fresh("enrichment", enrichment.taken_at, STALE_SECONDS + enriched):
        enrichment = None
    down, detail = _down(known, status)
    if down not in {None, DownReason.LOADING}:
        # What it said before is history.
        stats = None
    native = board.latest(node, NativeKeys)
    if native and not fresh("native", native.taken_at, NATIVE_SECONDS):
        native = None
    keyspace = board.latest(node, Keyspace)
    if keyspace and not fresh("keyspace", keyspace.taken_at, keyspace.valid_until - keyspace.taken_at):
        keyspace = None
    return Reading(
        node=node,
        target=target,
        down=down,
        detail=detail,
        status=status,
        hotkeys=hotkeys,
        state=board.latest(node, SamplingState),
        totals=board.latest(node, SamplingTotals),
        enrichment=enrichment,
        stats=stats,
        # A node that comes back may come back empty.
        keyspace=keyspace if down is None else None,
        keyspace_state=board.latest(node, KeyspaceState),
        native=native if down is None else None,
        stats_last_success=known.last_success if known else None,
        withheld=withheld,
        membership=board.latest(node, Membership),
    )


def _down(known: NodeStatus | None, fresh: NodeStatus | None) -> tuple[str | None, str]:
    """Say why the node counts as down, and the readable detail; silence for too long is a timeout."""
    if known is None:
        return DownReason.STARTING.value, "not probed yet"
    if fresh is None:
        return DownReason.TIMEOUT.value, "no answer lately"
    return fresh.down, fresh.detail
