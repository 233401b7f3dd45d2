"""The table of key groups: how often they are accessed, how many keys they have and what these take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.views.markup import Html, tag
from exporter.views.page.drawing import bar, sparkline
from exporter.views.page.panels import UNKNOWN, cell, panel, table, where
from exporter.views.words import quantity, size

if TYPE_CHECKING:
    from exporter.snapshot import GroupRate, KeyGroup
    from exporter.views.page.filters import Filter
    from exporter.views.page.known import Known
    from exporter.views.reading import Reading

MOST_GROUPS = 12
OTHER = "other"
_COLUMNS = ("group", "accesses/s.number", "share", "last hour", "keys.number", "memory.number")


def group_panel(known: Known, wanted: Filter) -> Html:
    """Write the key groups of all nodes, most accessed first; a group's name leads to its keys."""
    found = [
        (reading, group)
        for reading in known.readings
        if reading.hotkeys
        for group in reading.hotkeys.groups
        if wanted.db in {None, group.db} and wanted.group in {"", group.group}
    ]
    found.sort(key=lambda pair: pair[1].rate, reverse=True)
    note = f"first {MOST_GROUPS} of {len(found)}" if len(found) > MOST_GROUPS else None
    if not found:
        return panel("groups", "Key groups", None, tag("p.empty", "No groups are known."))
    most = found[0][1].rate or 1.0
    rows = [_row(reading, group, most, known, wanted) for reading, group in found[:MOST_GROUPS]]
    return panel("groups", "Key groups", note, table("groups", "key groups, the most accessed first", _COLUMNS, rows))


def _row(reading: Reading, group: GroupRate, most: float, known: Known, wanted: Filter) -> Html:
    held = _held(reading, group)
    name = tag("code", group.group or "(empty)")
    link = wanted.link(group=group.group, pause=False)
    return tag(
        "tr",
        tag(
            "th.key",
            name if group.group in {"", OTHER} else tag("a", name, at={"href": link}),
            tag("span.chip", f"db {group.db}") if group.db else None,
            tag("small", where(reading.node)) if known.several else None,
            at={"scope": "row"},
        ),
        cell("number", "accesses/s", quantity(group.rate)),
        tag("td.share", bar(group.rate / most)),
        tag("td.curve", sparkline(known.curve(reading.node, (group.db, group.group))) or UNKNOWN),
        cell("number", "keys", quantity(held.keys) if held else None),
        cell("number", "memory", size(held.memory) if held and held.memory is not None else None),
        at={"data-key": f"{reading.node.target} {reading.node.addr} {group.db} {group.group}"},
    )


def _held(reading: Reading, group: GroupRate) -> KeyGroup | None:
    """What the look over the keyspace has found of this group."""
    groups = reading.keyspace.groups if reading.keyspace else ()
    return next((one for one in groups if (one.db, one.group) == (group.db, group.group)), None)
