"""One key, closely: what is known of it comes in, a panel with its callers goes out; empty where none is opened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.views.details import Wanted, look_closely, matches, text
from exporter.views.markup import Html, tag
from exporter.views.page.drawing import bar, sparkline
from exporter.views.page.panels import Facts, facts, panel, table
from exporter.views.words import quantity, share, size, span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.focus import Part
    from exporter.keynames import KeyNames
    from exporter.snapshot import Board
    from exporter.views.details import Caller, Close, Details
    from exporter.views.page.filters import Filter
    from exporter.views.page.known import Known
    from exporter.views.reading import Moment, Reading

MOST_COMMANDS, MOST_CLIENTS = 8, 15
_FIGURES = ("accesses/s.number", "share", "95 %.number")


def opened_key(
    board: Board, readings: tuple[Reading, ...], names: KeyNames, wanted: Filter, now: Moment
) -> Details | None:
    """Look closely at the key that the URL names; None where it names none, or one that no window knows."""
    found = matches(readings, names, Wanted(wanted.key)) if wanted.key else []
    there = [
        one
        for one in found
        if wanted.at in {"", f"{one.reading.node.target} {one.reading.node.addr} {one.figures['db']}"}
    ]
    return look_closely(board, there[0], now) if there else None


def details_panel(known: Known, wanted: Filter) -> Html:
    """Write the key that the URL names."""
    if not wanted.key:
        return tag("section", at={"id": "details"})
    close = tag("a.button", "Close", at={"id": "close", "href": wanted.link(key="", at="")})
    opened = known.opened
    if opened is None:
        return panel("details", wanted.key, None, close, tag("p.empty", "It is not among the hot keys now."))
    callers = _callers(opened.close) if opened.close else [tag("p.empty", "Callers are known from MONITOR only.")]
    return panel(
        "details",
        str(opened.figures["key"]) or "(empty)",
        f"{opened.reading.node.target} {opened.reading.node.addr}",
        close,
        facts(_facts(opened)),
        tag("div.curve", sparkline(opened.curve)),
        *callers,
    )


def _facts(opened: Details) -> Facts:
    db, key = opened.figures["db"], opened.key
    found: Facts = [] if db is None else [("database", str(db))]
    if key is None:
        return found
    interval = "exact" if key.low == key.high else f"{quantity(key.low)} to {quantity(key.high)}"
    found += [
        ("accesses/s", quantity(key.rate)),
        ("95 % interval", interval),
        ("share", share(key.share)),
        ("reads/s", quantity(key.reads)),
        ("writes/s", quantity(key.writes)),
    ]
    if key.facts:
        kind = " ".join(filter(None, (key.facts.type, key.facts.encoding)))
        found += [("type", kind)] if kind else []
        found += [("size", size(key.facts.memory_bytes))] if key.facts.memory_bytes is not None else []
        found += [("slot", str(key.facts.slot))] if key.facts.slot is not None else []
    found += [("TTL", span(key.ttl_seconds))] if key.ttl_seconds is not None else []
    found += [("keys of this name", str(len(key.raw)))] if len(key.raw) > 1 else []
    return found


def _callers(close: Close) -> Iterable[Html]:
    since = datetime.fromtimestamp(close.since, UTC).strftime("%H:%M:%S UTC")
    callers = close.callers
    if callers is None or not callers.seen:
        return [tag("p.source", f"Callers are looked for since {since}; none has been seen yet.")]
    seen = f"{span(callers.observed)} of {span(callers.span)} observed, {callers.seen:,} accesses read"
    which = "" if close.of_one else " Of several keys that share this name, one is looked at."
    commands = [_row(one, tag("code", text(one.command))) for one in callers.commands[:MOST_COMMANDS]]
    clients = [_client(one) for one in close.clients[:MOST_CLIENTS]]
    return [
        tag("p.source", f"Callers are looked for since {since}: {seen}.{which}"),
        table("commands", "commands that call this key", ("command", *_FIGURES), commands),
        table("clients", "clients that call this key", ("client", *_FIGURES, "name", "commands"), clients),
    ]


def _client(caller: Caller) -> Html:
    who = caller.client
    name = (who.name or who.user) if who else ""
    used = ", ".join(f"{text(one.command)} {share(one.share)}" for one in caller.commands[:MOST_COMMANDS])
    return _row(caller.part, tag("code", text(caller.part.client)), name, used)


def _row(part: Part, title: Html, *more: str) -> Html:
    interval = "exact" if part.low == part.high else f"{share(part.low)} to {share(part.high)}"
    return tag(
        "tr",
        tag("th", title, at={"scope": "row"}),
        tag("td.number", quantity(part.rate)),
        tag("td.share", tag("div", bar(part.share, (part.low, part.high)), tag("span", share(part.share)))),
        tag("td.number", interval),
        *[tag("td", one) for one in more],
    )
