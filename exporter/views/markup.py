"""HTML from values: text and attributes come in, escaped markup goes out. What is not `Html` is always escaped."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_VOID = frozenset({"meta", "link", "input", "rect", "line", "path"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(selector: str, *children: str | Html | None, at: Mapping[str, str] | None = None) -> Html:
    """Write one element; `selector` is its name and classes (`td.number.muted`), `at` its other attributes.

    Children that are None are left out; those that are not `Html` are text and get escaped.
    """
    name, *classes = selector.split(".")
    attributes = {"class": " ".join(classes)} if classes else {}
    attributes.update(at or {})
    written = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[str | Html | None]) -> Html:
    """Put several children side by side, escaped where they are text."""
    return Html("".join(one if isinstance(one, Html) else html.escape(one) for one in children if one is not None))
