"""The page at `/`: readings and alerts come in, one complete HTML document goes out.

It works without JavaScript; the script only fetches the page again and swaps the sections, which are found by their id.
No style and no script is inline, so that the strictest content security policy holds; bars are SVG for that reason.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.views.hotkeys import listed
from exporter.views.markup import Html, tag
from exporter.views.native import native_table
from exporter.views.tables import alert_list, cost_table, group_table, key_table, node_card

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.keynames import KeyNames
    from exporter.views.alerts import Alert
    from exporter.views.reading import Moment, Reading

TOP = 20
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='4' fill='%23d9480f'/%3E%3Cpath d='M4 12V8M8 12V4M12 12v-2' stroke='white' stroke-width='2.4' "
    "stroke-linecap='round'/%3E%3C/svg%3E"
)
_LINKS = (
    ("metrics", "metrics"),
    ("api/v1/hotkeys?limit=100", "hot keys as JSON"),
    ("api/v1/status", "status"),
    ("health/redis", "health"),
    ("health/redis-alerts", "alerts"),
)


def page(
    readings: tuple[Reading, ...],
    alerts: Sequence[Alert],
    names: KeyNames,
    now: Moment,
    version: str,
    assets: Mapping[str, str],
) -> bytes:
    """Write the document; `assets` maps `page.css` and `page.js` to their relative URLs."""
    down = sum(not reading.up for reading in readings)
    title = f"{down} down" if down else (f"{len(alerts)} alerts" if len(alerts) > 1 else "hot keys")
    head = tag(
        "head",
        tag("meta", at={"charset": "utf-8"}),
        tag("meta", at={"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", at={"name": "color-scheme", "content": "light dark"}),
        tag("title", f"{title} · hotkey-exporter"),
        tag("link", at={"rel": "icon", "href": _ICON}),
        tag("link", at={"rel": "stylesheet", "href": assets["page.css"]}),
        tag("script", at={"src": assets["page.js"], "defer": ""}),
        tag("noscript", tag("meta", at={"http-equiv": "refresh", "content": "5"})),
    )
    body = tag("body", _top(now, version), _main(readings, alerts, names), _foot())
    return b"<!doctype html>\n" + tag("html", head, body, at={"lang": "en"}).encode("utf-8", "replace") + b"\n"


def _top(now: Moment, version: str) -> Html:
    clock = datetime.fromtimestamp(now.wall, UTC).strftime("%H:%M:%S UTC")
    return tag(
        "header.top",
        tag("h1", tag("span.mark", at={"aria-hidden": "true"}), "hotkey-exporter", tag("small", version)),
        tag("p.live", tag("span.pulse", at={"aria-hidden": "true"}), tag("span", clock, at={"id": "clock"})),
    )


def _main(readings: tuple[Reading, ...], alerts: Sequence[Alert], names: KeyNames) -> Html:
    rows = listed(readings, names, TOP)
    several = len(readings) > 1
    return tag(
        "main",
        tag("section.cards", *[node_card(reading) for reading in readings], at={"id": "nodes"}),
        tag("section", alert_list(alerts), at={"id": "alerts"}),
        tag("section.panel", *key_table(readings, rows, several), at={"id": "hotkeys"}),
        native_table(readings, names),
        tag(
            "div.columns",
            tag("section.panel", *group_table(readings, several), at={"id": "groups"}),
            tag("section.panel", *cost_table(readings), at={"id": "cost"}),
        ),
        at={"id": "main"},
    )


def _foot() -> Html:
    return tag("footer", tag("nav", *[tag("a", text, at={"href": link}) for link, text in _LINKS]))
