"""The page at `/`: what is known and what was asked for come in, one complete HTML document goes out.

It works without JavaScript: filters are a form and links. The script only fetches the page again and changes what
differs. No style and no script is inline, so that the strictest content security policy holds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.views.markup import Html, tag
from exporter.views.native import native_table
from exporter.views.page.cost import cost_panel
from exporter.views.page.details import details_panel
from exporter.views.page.filters import Filter, form
from exporter.views.page.groups import group_panel
from exporter.views.page.jobs import job_panel
from exporter.views.page.keys import key_panel
from exporter.views.page.nodes import node_panel, shard_panel
from exporter.views.page.notices import alert_list, announcement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.views.page.known import Known

REFRESH_SECONDS = 5
"""How often the page loads itself again where there is no script."""
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='4' fill='%23d9480f'/%3E%3Cpath d='M4 12V8M8 12V4M12 12v-2' stroke='white' stroke-width='2.4' "
    "stroke-linecap='round'/%3E%3C/svg%3E"
)
_LINKS = (
    ("metrics", "metrics"),
    ("api/v1/hotkeys?limit=100", "hot keys as JSON"),
    ("api/v1/status", "status"),
    ("api/v1/warming", "warming"),
    ("health/redis", "health"),
    ("health/redis-alerts", "alerts"),
)
_NEXT_THEME = {"": "dark", "dark": "light", "light": ""}


def page(known: Known, wanted: Filter, version: str, assets: Mapping[str, str]) -> bytes:
    """Write the document; `assets` maps `page.css` and `page.js` to their relative URLs."""
    shown = known.only(wanted)
    head = tag(
        "head",
        tag("meta", at={"charset": "utf-8"}),
        tag("meta", at={"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", at={"name": "color-scheme", "content": wanted.theme or "light dark"}),
        tag("title", f"{_title(shown)} · hotkey-exporter"),
        tag("link", at={"rel": "icon", "href": _ICON}),
        tag("link", at={"rel": "stylesheet", "href": assets["page.css"]}),
        tag("script", at={"src": assets["page.js"], "type": "module"}),
        None if wanted.pause else _reload_without_script(),
    )
    body = tag(
        "body",
        tag("a.skip", "to the hot keys", at={"href": "#hotkeys"}),
        _top(known, wanted, version),
        announcement(shown),
        _main(known, shown, wanted),
        tag("footer", tag("nav", *[tag("a", text, at={"href": link}) for link, text in _LINKS],
                          at={"aria-label": "other views"})),
    )  # fmt: skip
    attributes = {"lang": "en", **({"data-theme": wanted.theme} if wanted.theme else {})}
    return b"<!doctype html>\n" + tag("html", head, body, at=attributes).encode("utf-8", "replace") + b"\n"


def _reload_without_script() -> Html:
    return tag("noscript", tag("meta", at={"http-equiv": "refresh", "content": str(REFRESH_SECONDS)}))


def _title(shown: Known) -> str:
    if down := sum(not reading.up for reading in shown.readings):
        return f"{down} down"
    return f"{len(shown.alerts)} alerts" if len(shown.alerts) > 1 else "hot keys"


def _top(known: Known, wanted: Filter, version: str) -> Html:
    clock = datetime.fromtimestamp(known.now.wall, UTC).strftime("%H:%M:%S UTC")
    pause = tag("a.button", "Resume" if wanted.pause else "Pause", at={
        "id": "pause", "href": wanted.link(pause=not wanted.pause),
    })  # fmt: skip
    theme = tag("a.button", f"Theme: {wanted.theme or 'auto'}", at={
        "id": "theme", "href": wanted.link(theme=_NEXT_THEME[wanted.theme]),
    })  # fmt: skip
    return tag(
        "header.top",
        tag("h1", tag("span.mark", at={"aria-hidden": "true"}), "hotkey-exporter", tag("small", version)),
        tag("p.live", tag("span.pulse", at={"aria-hidden": "true"}), tag("span", clock, at={"id": "clock"}),
            tag("span", "paused" if wanted.pause else "", at={"id": "state"})),
        tag("nav.tools", pause, theme, at={"aria-label": "view"}),
    )  # fmt: skip


def _main(known: Known, shown: Known, wanted: Filter) -> Html:
    return tag(
        "main",
        form(known, wanted),
        alert_list(shown.alerts),
        details_panel(shown, wanted),
        key_panel(shown, wanted),
        node_panel(shown, wanted),
        native_table(shown.readings, shown.names, wanted.takes_key),
        shard_panel(shown),
        tag("div.columns", group_panel(shown, wanted), cost_panel(shown), at={"id": "columns"}),
        job_panel(shown),
        at={"id": "main"},
    )
