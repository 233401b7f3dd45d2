"""The active alerts, and what is read out when they change."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from exporter.views.alerts import HOT_KEY
from exporter.views.markup import Html, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.views.alerts import Alert
    from exporter.views.page.known import Known

MOST_ALERTS = 8


def alert_list(alerts: Sequence[Alert]) -> Html:
    """Write the alerts, nothing where there are none; hot keys are counted, since their table follows."""
    others = [one for one in alerts if one.name != HOT_KEY]
    hot = Counter(one.severity for one in alerts if one.name == HOT_KEY)
    items = [_alert(one.severity, one.name, f"{one.target} {one.addr}", one.summary) for one in others[:MOST_ALERTS]]
    if len(others) > MOST_ALERTS:
        more = tag("span", "see ", tag("a", "health/redis-alerts", at={"href": "health/redis-alerts"}))
        items.append(_alert("info", f"{len(others) - MOST_ALERTS} more", None, more))
    if hot["warning"]:
        text = "above the threshold and with a large share of the accesses of their node."
        items.append(_alert("warning", HOT_KEY, None, f"{_keys(hot['warning'])} {text}"))
    if hot["info"]:
        items.append(_alert("info", HOT_KEY, None, f"{_keys(hot['info'])} above the threshold."))
    shown = tag("ul.alerts", *items, at={"aria-label": "active alerts"}) if items else None
    return tag("section", shown, at={"id": "alerts", "aria-label": "alerts"})


def _alert(severity: str, name: str, where: str | None, text: str | Html) -> Html:
    about = tag("span.where", where) if where else None
    return tag("li", tag(f"span.chip.{severity}", severity), tag("b", name), about, tag("span", text))


def _keys(count: int) -> str:
    return f"{count} {'key is' if count == 1 else 'keys are'}"


def announcement(known: Known) -> Html:
    """Say what a screen reader should read out when it changes, and nothing that changes every second."""
    down = sum(not reading.up for reading in known.readings)
    others = sum(alert.name not in {HOT_KEY, "RedisDown"} for alert in known.alerts)
    text = f"{_count(down, 'node')} down, {_count(others, 'other alert')}" if down or others else "no alerts"
    return tag("p.unseen", text, at={"id": "announcement", "role": "status"})


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
