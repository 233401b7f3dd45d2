"""What sampling costs the nodes: totals since the start come in, a panel goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.views.markup import Html, tag
from exporter.views.page.panels import Facts, cell, counts, facts, panel, table, where
from exporter.views.words import quantity, share, size, span

if TYPE_CHECKING:
    from exporter.views.page.known import Known
    from exporter.views.reading import Reading

MOST_NODES = 12
_COLUMNS = ("node", "duty.number", "commands.number", "bytes.number", "ended early")


def cost_panel(known: Known) -> Html:
    """Write the facts of one node; of several a table, those that bore most first."""
    sampled = [reading for reading in known.readings if reading.totals]
    title = "Sampling cost"
    if not sampled:
        return panel("cost", title, None, tag("p.empty", "Nothing was sampled."))
    if len(sampled) == 1:
        return panel("cost", title, "since the start", facts(_facts(sampled[0])))
    sampled.sort(key=_bytes, reverse=True)
    note = "since the start" + (f", first {MOST_NODES} of {len(sampled)}" if len(sampled) > MOST_NODES else "")
    rows = [_row(reading) for reading in sampled[:MOST_NODES]]
    return panel("cost", title, note, table("nodes", "sampling cost of each node", _COLUMNS, rows))


def _bytes(reading: Reading) -> int:
    return reading.totals.bytes if reading.totals else 0


def _row(reading: Reading) -> Html:
    totals, window = reading.totals, reading.hotkeys
    assert totals is not None
    early = {name: count for name, count in totals.bursts.items() if name != "complete"}
    return tag(
        "tr",
        tag("th", where(reading.node), at={"scope": "row"}),
        cell("number", "duty", share(window.duty_ratio) if window else None),
        cell("number", "commands", quantity(totals.events)),
        cell("number", "bytes", size(totals.bytes)),
        cell("words", "ended early", counts(early)),
        at={"data-key": f"{reading.node.target} {reading.node.addr}"},
    )


def _facts(reading: Reading) -> Facts:
    totals, status, hotkeys = reading.totals, reading.status, reading.hotkeys
    if totals is None:
        return []
    found: Facts = [
        ("time observed", span(totals.observed_seconds)),
        ("commands shown", quantity(totals.events)),
        ("bytes sent", size(totals.bytes)),
        ("observations", counts(totals.bursts)),
        ("skipped", counts(totals.skips)),
    ]
    if hotkeys:
        found.append(("reading lag", span(hotkeys.lag_seconds)))
        found.append(("keys in the window", quantity(hotkeys.window_keys)))
    found.append(("labels suppressed", quantity(totals.labels_suppressed)))
    if status and reading.up:
        limit = size(status.server_limit_bytes) if status.server_limit_bytes else "none, or unreadable"
        found.append(("server's own limit", limit))
    return found
