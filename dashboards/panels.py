"""Short ways to write panels, one for each look. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboards.model import Bars, Heat, Lines, Number, Panel, Query, States, Table, Threshold
from dashboards.queries import NODE_LEGEND

if TYPE_CHECKING:
    from dashboards.model import Column

GREEN, YELLOW, ORANGE, RED, GREY, BLUE = "green", "yellow", "orange", "red", "text", "blue"
YES_NO = {"0": ("no", GREY), "1": ("yes", GREEN)}
UP_DOWN = {"0": ("down", RED), "1": ("up", GREEN)}
OK_FAILED = {"0": ("failed", RED), "1": ("ok", GREEN)}


def lines(title: str, unit: str, description: str, *queries: Query | str, **more: Any) -> Panel:
    """Values over time; a bare string is a query by node. `stack`, `dashed` and `limit` are of the look."""
    look = Lines(**{name: more.pop(name) for name in ("stack", "dashed", "limit") if name in more})
    return Panel(title, description, look, _queries(queries), unit, **{"minimum": 0, **more})


def number(title: str, unit: str, description: str, expr: str, **more: Any) -> Panel:
    """One large figure."""
    colored = bool(more.get("thresholds") or more.get("texts"))
    look = Number(more.pop("area", True), colored)
    return Panel(title, description, look, (Query(expr, title),), unit, **{"width": 4, "height": 4, **more})


def table(title: str, description: str, columns: tuple[Column, ...], *queries: str, sort: str, **more: Any) -> Panel:
    """A table; queries fill the columns without a label, in their order."""
    named = iter([column.title for column in columns if not column.label])
    filled = tuple(Query(expr, next(named)) for expr in queries)
    look = Table(columns, sort, more.pop("descending", True))
    return Panel(title, description, look, filled, "short", **{"width": 24, **more})


def bars(title: str, unit: str, description: str, *queries: Query | str, **more: Any) -> Panel:
    """Last values side by side."""
    return Panel(title, description, Bars(), _queries(queries), unit, **{"minimum": 0, **more})


def heat(title: str, unit: str, description: str, expr: str, **more: Any) -> Panel:
    """Buckets over time."""
    return Panel(title, description, Heat(), (Query(expr, "{{le}}"),), unit, **more)


def states(title: str, description: str, *queries: Query | str, **more: Any) -> Panel:
    """States over time."""
    return Panel(title, description, States(), _queries(queries), "none", **more)


def levels(*pairs: tuple[float, str]) -> tuple[Threshold, ...]:
    """Thresholds from pairs of value and colour, lowest first."""
    return tuple(Threshold(value, color) for value, color in pairs)


def _queries(given: tuple[Query | str, ...]) -> tuple[Query, ...]:
    return tuple(one if isinstance(one, Query) else Query(one, NODE_LEGEND) for one in given)
