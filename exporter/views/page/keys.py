"""The table of hot keys: what is known comes in, the panel goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.history import SLOT_SECONDS
from exporter.views.hotkeys import ShownKey, shown
from exporter.views.markup import Html, tag
from exporter.views.page.drawing import bar, sparkline
from exporter.views.page.panels import UNKNOWN, cell, panel, table, where
from exporter.views.words import quantity, share, size, span

if TYPE_CHECKING:
    from exporter.views.page.filters import Filter
    from exporter.views.page.known import Known
    from exporter.views.reading import Reading

_COLUMNS = (
    "#.rank", "key", "accesses/s.number", "±", "share", "last hour", "reads/s.number", "writes/s.number", "type",
    "size.number", "TTL.number",
)  # fmt: skip
Row = tuple["Reading", "ShownKey"]


def key_panel(known: Known, wanted: Filter) -> Html:
    """Write the hot keys; bars are scaled to the hottest, their whisker is the 95 % interval."""
    fresh = [reading.hotkeys for reading in known.readings if reading.hotkeys]
    over = sum(one.over_threshold for one in fresh)
    rows = _rows(known, wanted)
    note = f"{over:,} above the threshold" if fresh else None
    if not rows:
        return panel("hotkeys", "Hot keys", note, tag("p.empty", _why_empty(bool(fresh), wanted)))
    most = max(key.high for _, key in rows) or 1.0
    seconds = known.history.span(known.now.monotonic) * SLOT_SECONDS
    columns = [f"last {span(seconds)}" if one == "last hour" else one for one in _COLUMNS]
    body = [_row(rank, row, most, known, wanted) for rank, row in enumerate(rows, 1)]
    return panel("hotkeys", "Hot keys", note, table("keys", "hot keys, the most accessed first", columns, body))


def _why_empty(any_window: bool, wanted: Filter) -> str:
    if not any_window:
        return "No window is fresh enough to be shown. The nodes below say why."
    if wanted.narrows_keys:
        return "None of the hot keys is like that."
    return "No key was accessed in the window."


def _rows(known: Known, wanted: Filter) -> list[Row]:
    found = [
        (reading, key)
        for reading in known.readings
        if reading.hotkeys
        for key in shown(
            reading.hotkeys,
            reading.enrichment,
            known.names,
            wanted.keys(reading.hotkeys.keys, known.names),
            reading.target.sampling,
        )[: wanted.limit]
    ]
    return sorted(found, key=lambda row: row[1].rate, reverse=True)[: wanted.limit]


def _row(rank: int, row: Row, most: float, known: Known, wanted: Filter) -> Html:
    reading, key = row
    place = at(reading, key)
    name = tag("code", key.key or "(empty)")
    facts = key.facts
    hot = (key.low_to_threshold or 0.0) > 1.0
    dominant = hot and key.share > reading.target.sampling.threshold_share
    error = "exact" if key.low == key.high else f"± {quantity((key.high - key.low) / 2)}"
    interval = f"95 % interval: {key.low:,.2f} to {key.high:,.2f} accesses per second"
    curve = known.curve(reading.node, *((key.db, one) for one in key.raw))
    return tag(
        "tr",
        tag(
            "td.rank.hot" if hot else "td.rank", str(rank), tag("span.unseen", " above the threshold") if hot else None
        ),
        tag(
            "th.key",
            tag("a", name, at={"href": wanted.link(key=key.key, at=place)}) if key.key else name,
            tag("span.chip.warning", "dominant") if dominant else None,
            tag("span.chip", f"db {key.db}") if key.db else None,
            tag("small", where(reading.node)) if known.several else None,
            at={"scope": "row"},
        ),
        tag("td.rate.number", quantity(key.rate), at={"data-label": "accesses/s"}),
        tag("td.error.muted", error, at={"data-label": "±", "title": interval}),
        tag(
            "td.share",
            tag("div", bar(key.rate / most, (key.low / most, key.high / most)), tag("span", share(key.share))),
        ),
        tag("td.curve", sparkline(curve) or UNKNOWN),
        cell("more.number", "reads/s", quantity(key.reads)),
        cell("more.number", "writes/s", quantity(key.writes)),
        cell("more", "type", facts.type if facts else None),
        cell("more.number", "size", size(facts.memory_bytes) if facts and facts.memory_bytes is not None else None),
        cell("more.number", "TTL", _life(key)),
        at={"data-key": f"{place} {key.key}"},
    )


def at(reading: Reading, key: ShownKey) -> str:
    """Where a key is: target, address and database, as a link says it."""
    return f"{reading.node.target} {reading.node.addr} {key.db}"


def _life(key: ShownKey) -> str | None:
    if key.ttl_seconds is not None:
        return span(key.ttl_seconds)
    return "none" if key.facts and key.facts.type is not None else None
