"""The nodes: cards where there are few of them, a table where there are many, and how shards share the load."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from exporter.views.markup import Html, tag
from exporter.views.page.drawing import bar, sparkline
from exporter.views.page.panels import UNKNOWN, Facts, cell, facts, of, panel, table
from exporter.views.words import quantity, reason, share, size, span

if TYPE_CHECKING:
    from exporter.snapshot import HotKeys, NodeStatus
    from exporter.views.page.filters import Filter
    from exporter.views.page.known import Known
    from exporter.views.reading import Reading

MOST_CARDS = 4
MOST_ROWS = 100
MOST_SHARDS = 50
_COLUMNS = (
    "node", "state", "role", "commands/s.number", "accesses/s, last hour", "duty.number", "memory.number",
    "hits.number", "PING.number", "source",
)  # fmt: skip


def node_panel(known: Known, wanted: Filter) -> Html:
    """Write all nodes, those that are down first where there are many."""
    readings = known.readings
    if len(readings) <= MOST_CARDS:
        cards = [_card(reading, known) for reading in readings]
        return tag("section.cards", *cards, at={"id": "nodes", "aria-label": "nodes"})
    down = sum(not reading.up for reading in readings)
    note = f"{len(readings)} nodes, {down} down" if down else f"{len(readings)} nodes"
    ordered = sorted(readings, key=lambda reading: reading.up)[:MOST_ROWS]
    rows = [_row(reading, known, wanted) for reading in ordered]
    return panel("nodes", "Nodes", note, table("nodes", "nodes, those that are down first", _COLUMNS, rows))


def _row(reading: Reading, known: Known, wanted: Filter) -> Html:
    status, window, node = reading.status if reading.up else None, reading.hotkeys, reading.node
    state = tag("span.chip", "up") if reading.up else tag("span.chip.critical", reading.down or "down")
    ratio = status.hit_ratio.get("1m") if status else None
    shard = reading.membership.shard if reading.membership else ""
    role = " · ".join(one for one in (status.role if status else "", shard) if one)
    return tag(
        "tr",
        tag(
            "th.key",
            tag("a", node.target, at={"href": wanted.link(target=node.target, node=node.addr, pause=False)}),
            tag("small", node.addr),
            at={"scope": "row"},
        ),
        tag("td", state),
        cell("", "role", role),
        cell("number", "commands/s", quantity(window.commands_per_second) if window else None),
        tag("td.curve", sparkline(known.curve(node, None)) or UNKNOWN),
        cell("number", "duty", share(window.duty_ratio) if window else None),
        cell("number", "memory", _used(status)),
        cell("number", "hits", None if ratio is None else share(ratio)),
        cell("number", "PING", span(status.latency_seconds) if status and status.latency_seconds is not None else None),
        tag("td.source", _short_source(reading)),
        at={"data-key": f"{node.target} {node.addr}"},
    )


def _used(status: NodeStatus | None) -> str | None:
    if status is None or status.used_memory_bytes is None:
        return None
    if status.maxmemory_bytes:
        return share(status.used_memory_bytes / status.maxmemory_bytes)
    return size(status.used_memory_bytes)


def _card(reading: Reading, known: Known) -> Html:
    status = reading.status
    server = f"{status.server.capitalize()} {status.version}".strip() if status and status.version else None
    title = tag(
        "h2",
        tag("span.dot.up" if reading.up else "span.dot.down", at={"aria-hidden": "true"}),
        tag("span", reading.node.target),
        tag("span.chip", "up") if reading.up else tag("span.chip.critical", "down"),
        tag("span.curve", sparkline(known.curve(reading.node, None))),
    )
    shard = reading.membership.shard if reading.membership else ""
    who = [reading.node.addr, status.role if status and reading.up else None, shard, server]
    parts: list[Html | None] = [title, tag("p.who", " · ".join(one for one in who if one))]
    if reading.down:
        said = f" ({reading.detail})" if reading.detail else ""
        parts.append(tag("p.why", tag("b", reading.down), f": {reason(reading.down)}{said}"))
    parts.append(facts(_load(reading.hotkeys) + (_memory(status) if status and reading.up else [])))
    parts.append(_source(reading))
    return tag("article.card", *parts, at={"data-key": f"{reading.node.target} {reading.node.addr}"})


def _load(hotkeys: HotKeys | None) -> Facts:
    if hotkeys is None:
        return []
    return [
        ("commands/s", quantity(hotkeys.commands_per_second)),
        ("key accesses/s", quantity(hotkeys.accesses_per_second)),
        ("observed", of(f"{hotkeys.observed_seconds:.1f} s", f"{hotkeys.window_seconds:.0f} s")),
        ("duty", share(hotkeys.duty_ratio)),
    ]


def _memory(status: NodeStatus) -> Facts:
    found: Facts = []
    if status.used_memory_bytes is not None:
        used, most = size(status.used_memory_bytes), status.maxmemory_bytes
        found.append(("memory", of(used, size(most)) if most else used))
    if (ratio := status.hit_ratio.get("1m")) is not None:
        found.append(("hit ratio, 1 min", share(ratio)))
    if status.latency_seconds is not None:
        found.append(("PING", span(status.latency_seconds)))
    if status.connected_clients is not None:
        found.append(("clients", quantity(status.connected_clients)))
    return found


def _short_source(reading: Reading) -> str:
    shown = reading.hotkeys is not None or reading.stands_in
    return f"{reading.source}: {reading.reason}" if shown or reading.source == "none" else "none: stale"


def _source(reading: Reading) -> Html:
    shown = reading.hotkeys is not None or reading.stands_in
    why = reading.reason if shown or reading.source == "none" else "stale"
    return tag(
        "p.source" if shown else "p.source.warn",
        tag("b", f"source {reading.source if shown else 'none'}"),
        f" · {why}: {reason(why)}",
    )


def shard_panel(known: Known) -> Html:
    """Write how the shards of each target share its accesses; an empty section where no target has several."""
    loads: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for reading in known.readings:
        if reading.membership and reading.membership.shard and reading.hotkeys:
            loads[reading.node.target][reading.membership.shard] += reading.hotkeys.accesses_per_second
    rows = [
        tag(
            "tr",
            tag("th", tag("code", shard), tag("small", target), at={"scope": "row"}),
            cell("number", "accesses/s", quantity(rate)),
            tag("td.share", tag("div", bar(rate / total), tag("span", share(rate / total)))),
            at={"data-key": f"{target} {shard}"},
        )
        for target, shards in loads.items()
        if len(shards) > 1 and (total := sum(shards.values()) or 1.0)
        for shard, rate in sorted(shards.items(), key=lambda pair: -pair[1])
    ][:MOST_SHARDS]
    if not rows:
        return tag("section", at={"id": "shards"})
    columns = ("shard", "accesses/s.number", "share of the target")
    return panel("shards", "Shards", None, table("shards", "load of each shard, the highest first", columns, rows))
