"""What all panels have in common: a heading, tables with a caption, facts, and cells for what is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.views.markup import Html, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.snapshot import Node

UNKNOWN = "\N{EN DASH}"
Facts = list[tuple[str, "str | Html"]]


def panel(name: str, title: str, note: str | None, *content: Html | None) -> Html:
    """Write a section with a heading that names it."""
    heading = tag("h2", tag("span", title, at={"id": f"{name}-title"}), tag("small", note) if note else None)
    return tag("section.panel", heading, *content, at={"id": name, "aria-labelledby": f"{name}-title"})


def table(kind: str, caption: str, columns: Sequence[str], rows: Iterable[Html]) -> Html:
    """Write a table; a column is its title and after a `.` its class (`rate.number`)."""
    heads = []
    for column in columns:
        title, _, kinds = column.partition(".")
        heads.append(tag("th" + (f".{kinds}" if kinds else ""), title, at={"scope": "col"}))
    content = tag(
        f"table.{kind}",
        tag("caption.unseen", caption),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
    )
    # What does not fit is scrolled in here, and not with the whole page; so it has to be reachable by keyboard.
    return tag("div.scroll", content, at={"tabindex": "0", "role": "region", "aria-label": caption})


def cell(kind: str, name: str, value: str | Html | None) -> Html:
    """Write a cell that may be unknown; `name` is its column's title, which narrow screens show beside it."""
    selector = ".".join(one for one in ("td", *kind.split("."), "" if value else "unknown") if one)
    return tag(selector, value or UNKNOWN, at={"data-label": name})


def facts(found: Facts) -> Html | None:
    """Write names and values; nothing where there are none."""
    if not found:
        return None
    return tag("dl.facts", *[tag("div", tag("dt", name), tag("dd", value)) for name, value in found])


def of(value: str, most: str) -> Html:
    """Write a value and, smaller, what it is a part of."""
    return tag("span", f"{value} ", tag("small", f"of {most}"))


def where(node: Node) -> str:
    """Say which node; a guest's target is its address."""
    return node.addr if node.target == node.addr else f"{node.target} {node.addr}"


def counts(found: Mapping[str, int]) -> str:
    """Write counts by name, the largest first."""
    some = sorted(((count, name) for name, count in found.items() if count), reverse=True)
    return ", ".join(f"{count:,} {name}" for count, name in some) or "none"
