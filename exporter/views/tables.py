"""The parts of the page: readings and alerts come in, cards and tables go out as markup."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from exporter.views.alerts import HOT_KEY
from exporter.views.markup import Html, tag
from exporter.views.words import quantity, reason, share, size, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.snapshot import HotKeys, NodeStatus
    from exporter.views.alerts import Alert
    from exporter.views.hotkeys import ShownKey
    from exporter.views.reading import Reading

_UNKNOWN = "\N{EN DASH}"
MOST_ALERTS = 8
MOST_GROUPS = 12
Facts = list[tuple[str, "str | Html"]]


def node_card(reading: Reading) -> Html:
    """Write one node: who it is, whether it is up, and what is known of it."""
    status = reading.status
    server = f"{status.server.capitalize()} {status.version}".strip() if status and status.version else None
    title = tag(
        "h2",
        tag("span.dot.up" if reading.up else "span.dot.down", at={"aria-hidden": "true"}),
        tag("span", reading.node.target),
        tag("span.chip", "up" if reading.up else "down") if reading.up else tag("span.chip.critical", "down"),
    )
    who = [reading.node.addr, status.role if status and reading.up else None, server]
    parts: list[Html | None] = [title, tag("p.who", " · ".join(one for one in who if one))]
    if reading.down:
        said = f" ({reading.detail})" if reading.detail else ""
        parts.append(tag("p.why", tag("b", reading.down), f": {reason(reading.down)}{said}"))
    parts.append(_facts(_load(reading.hotkeys) + (_memory(status) if status and reading.up else [])))
    parts.append(_source(reading))
    return tag("article.card", *parts)


def _facts(facts: Facts) -> Html | None:
    if not facts:
        return None
    return tag("dl.facts", *[tag("div", tag("dt", name), tag("dd", value)) for name, value in facts])


def _of(value: str, most: str) -> Html:
    return tag("span", f"{value} ", tag("small", f"of {most}"))


def _load(hotkeys: HotKeys | None) -> Facts:
    if hotkeys is None:
        return []
    return [
        ("commands/s", quantity(hotkeys.commands_per_second)),
        ("key accesses/s", quantity(hotkeys.accesses_per_second)),
        ("observed", _of(f"{hotkeys.observed_seconds:.1f} s", f"{hotkeys.window_seconds:.0f} s")),
        ("duty", share(hotkeys.duty_ratio)),
    ]


def _memory(status: NodeStatus) -> Facts:
    facts: Facts = []
    if status.used_memory_bytes is not None:
        used, most = size(status.used_memory_bytes), status.maxmemory_bytes
        facts.append(("memory", _of(used, size(most)) if most else used))
    if (ratio := status.hit_ratio.get("1m")) is not None:
        facts.append(("hit ratio, 1 min", share(ratio)))
    if status.latency_seconds is not None:
        facts.append(("PING", span(status.latency_seconds)))
    if status.connected_clients is not None:
        facts.append(("clients", quantity(status.connected_clients)))
    return facts


def _source(reading: Reading) -> Html:
    shown = reading.hotkeys is not None or reading.stands_in
    why = reading.reason if shown or reading.source == "none" else "stale"
    return tag(
        "p.source" if shown else "p.source.warn",
        tag("b", f"source {reading.source if shown else 'none'}"),
        f" · {why}: {reason(why)}",
    )


def alert_list(alerts: Sequence[Alert]) -> Html | None:
    """Write the alerts, nothing where there are none; hot keys are counted, since their table follows."""
    others = [one for one in alerts if one.name != HOT_KEY]
    hot = Counter(one.severity for one in alerts if one.name == HOT_KEY)
    items = [_alert(one.severity, one.name, f"{one.target} {one.addr}", one.summary) for one in others[:MOST_ALERTS]]
    if len(others) > MOST_ALERTS:
        items.append(_alert("info", f"{len(others) - MOST_ALERTS} more", None, "are listed in the alerts below."))
    if hot["warning"]:
        text = "above the threshold and with a large share of the accesses of their node."
        items.append(_alert("warning", HOT_KEY, None, f"{_keys(hot['warning'])} {text}"))
    if hot["info"]:
        items.append(_alert("info", HOT_KEY, None, f"{_keys(hot['info'])} above the threshold."))
    return tag("ul.alerts", *items, at={"aria-label": "active alerts"}) if items else None


def _alert(severity: str, name: str, where: str | None, text: str) -> Html:
    about = tag("span.where", where) if where else None
    return tag("li", tag(f"span.chip.{severity}", severity), tag("b", name), about, tag("span", text))


def _keys(count: int) -> str:
    return f"{count} {'key is' if count == 1 else 'keys are'}"


def key_table(readings: Sequence[Reading], rows: Sequence[tuple[Reading, ShownKey]], several: bool) -> Iterator[Html]:
    """Write the hot keys; bars are scaled to the largest share, their whisker is the 95 % interval."""
    fresh = [reading.hotkeys for reading in readings if reading.hotkeys]
    note = f"{sum(one.over_threshold for one in fresh):,} above the threshold" if fresh else None
    yield _heading("Hot keys", note)
    if not rows:
        why = "No key was accessed in the window." if fresh else "No window is fresh enough to be shown."
        yield tag("p.empty", why)
        return
    largest = max(key.share for _, key in rows) or 1.0
    names = ("#", "key", "accesses/s", "±", "share", "reads/s", "writes/s", "type", "size", "TTL")
    head = tag(
        "tr", *[tag("th" if name in {"#", "key", "±", "share", "type"} else "th.number", name) for name in names]
    )
    body = [tag("tr", *_key_cells(rank, reading, key, largest, several)) for rank, (reading, key) in enumerate(rows, 1)]
    yield tag("table.keys", tag("thead", head), tag("tbody", *body))


def _key_cells(rank: int, reading: Reading, key: ShownKey, largest: float, several: bool) -> list[Html]:
    facts = key.facts
    settings = reading.target.sampling
    hot = key.low > settings.threshold
    dominant = hot and key.share > settings.threshold_share
    where = f"{reading.node.target} {reading.node.addr}" if several else None
    error = "exact" if key.low == key.high else f"± {quantity((key.high - key.low) / 2)}"
    interval = f"95 % interval: {key.low:,.2f} to {key.high:,.2f} accesses per second"
    factor = key.share / key.rate / largest if key.rate else 0.0
    return [
        tag("td.rank.hot" if hot else "td.rank", str(rank)),
        tag(
            "td.key",
            tag("code", key.key),
            tag("span.chip.warning", "dominant") if dominant else None,
            tag("span.chip", f"db {key.db}") if key.db else None,
            tag("small", where) if where else None,
        ),
        tag("td.rate.number", quantity(key.rate), at={"data-label": "accesses/s"}),
        tag("td.error.number.muted", error, at={"data-label": "±", "title": interval}),
        tag(
            "td.share",
            _bar(key.rate * factor, (key.low * factor, key.high * factor)),
            tag("span", share(key.share)),
        ),
        _cell("number", "reads/s", quantity(key.reads)),
        _cell("number", "writes/s", quantity(key.writes)),
        _cell("", "type", facts.type if facts else None),
        _cell("number", "size", size(facts.memory_bytes) if facts and facts.memory_bytes is not None else None),
        _cell("number", "TTL", _life(key)),
    ]


def _life(key: ShownKey) -> str | None:
    if key.ttl_seconds is not None:
        return span(key.ttl_seconds)
    return "none" if key.facts and key.facts.type is not None else None


def _cell(kind: str, name: str, value: str | None) -> Html:
    selector = ".".join(one for one in ("td.more", kind, "" if value else "unknown") if one)
    return tag(selector, value or _UNKNOWN, at={"data-label": name})


def _bar(ratio: float, interval: tuple[float, float] | None = None) -> Html:
    """Draw a bar of 0 to 1 of the width, and the interval as a line with its own length."""

    def place(value: float) -> str:
        return f"{100 * min(1.0, max(0.0, value)):.2f}"

    parts = [
        tag("rect.track", at={"width": "100", "height": "10"}),
        tag("rect.fill", at={"width": place(ratio), "height": "10"}),
    ]
    if interval and interval[1] > interval[0]:
        low, high = map(place, interval)
        parts.append(tag("line.whisker", at={"x1": low, "x2": high, "y1": "5", "y2": "5"}))
    return tag("svg.bar", *parts, at={"viewBox": "0 0 100 10", "preserveAspectRatio": "none", "aria-hidden": "true"})


def group_table(readings: Sequence[Reading], several: bool) -> Iterator[Html]:
    """Write the key groups of all nodes, most accessed first."""
    found = [(reading, group) for reading in readings if reading.hotkeys for group in reading.hotkeys.groups]
    found.sort(key=lambda pair: pair[1].rate, reverse=True)
    yield _heading("Key groups", f"first {MOST_GROUPS} of {len(found)}" if len(found) > MOST_GROUPS else None)
    if not found:
        yield tag("p.empty", "No groups are known.")
        return
    largest = max(group.rate for _, group in found) or 1.0
    rows = [
        tag(
            "tr",
            tag(
                "td.key",
                tag("code", group.group),
                tag("span.chip", f"db {group.db}") if group.db else None,
                tag("small", f"{reading.node.target} {reading.node.addr}") if several else None,
            ),
            tag("td.number", quantity(group.rate)),
            tag("td.share", _bar(group.rate / largest)),
        )
        for reading, group in found[:MOST_GROUPS]
    ]
    head = tag("tr", tag("th", "group"), tag("th.number", "accesses/s"), tag("th"))
    yield tag("table.groups", tag("thead", head), tag("tbody", *rows))


def cost_table(readings: Sequence[Reading]) -> Iterator[Html]:
    """Write what sampling has cost each node since the start."""
    yield _heading("Sampling cost", "since the start")
    for reading in readings:
        if len(readings) > 1:
            yield tag("h3", f"{reading.node.target} {reading.node.addr}")
        facts = _cost(reading)
        yield _facts(facts) or tag("p.empty", "Nothing was sampled.")


def _cost(reading: Reading) -> Facts:
    totals, status, hotkeys = reading.totals, reading.status, reading.hotkeys
    if totals is None:
        return []
    facts: Facts = [
        ("time observed", span(totals.observed_seconds)),
        ("commands shown", quantity(totals.events)),
        ("bytes sent", size(totals.bytes)),
        ("observations", _counts(totals.bursts)),
        ("skipped", _counts(totals.skips)),
    ]
    if hotkeys:
        facts.append(("reading lag", span(hotkeys.lag_seconds)))
        facts.append(("keys in the window", quantity(hotkeys.window_keys)))
    facts.append(("labels suppressed", quantity(totals.labels_suppressed)))
    if status and reading.up:
        limit = size(status.server_limit_bytes) if status.server_limit_bytes else "none, or unreadable"
        facts.append(("server's own limit", limit))
    return facts


def _counts(counts: Mapping[str, int]) -> str:
    some = sorted(((count, name) for name, count in counts.items() if count), reverse=True)
    return ", ".join(f"{count:,} {name}" for count, name in some) or "none"


def _heading(text: str, note: str | None) -> Html:
    return tag("h2", text, tag("small", note) if note else None)
