"""What `top` shows: the document of `/api/v1/hotkeys` and a view in, lines for a terminal of any width out (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    # Target, address, database, written name.
    Place = tuple[str | None, str | None, int | None, str]

SORTS = ("rate", "reads", "writes", "size", "ttl", "key")
HELP = "↑ ↓ Enter details  q quit  p pause  s sort  r reverse  / filter  + - rows"
_NARROW, _WIDE = 100, 130
_LEAST_NAME = 10
GAP = 2
"""Blanks between two columns."""
_COLUMN = {"rate": "accesses_per_second", "reads": "reads_per_second", "writes": "writes_per_second",
           "size": "memory_bytes", "ttl": "ttl_seconds", "key": "key"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """What the person at the terminal wants to see. `typing`: the filter is being typed.

    `marked` is the row that is pointed at, `opened` the key whose details are shown.
    """

    sort: str = "rate"
    reverse: bool = False
    filter: str = ""
    paused: bool = False
    typing: bool = False
    rows: int = 20
    marked: Place | None = None
    opened: Place | None = None

    def after(self, key: str, rows: Sequence[dict[str, Any]] = ()) -> View:
        """The view after one key was pressed, with these rows on the screen; what means nothing changes nothing."""
        if self.typing:
            return self._typed(key)
        if self.opened is not None and key not in {"p", " "}:
            return replace(self, opened=None) if key in {"\x1b", "\x7f", "\r", "\n"} else self
        changes: dict[str, dict[str, Any]] = {
            "p": {"paused": not self.paused},
            " ": {"paused": not self.paused},
            "s": {"sort": SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]},
            "r": {"reverse": not self.reverse},
            "/": {"typing": True},
            "+": {"rows": min(100, self.rows + 5)},
            "-": {"rows": max(5, self.rows - 5)},
            "\x1b": {"marked": None},
        }
        if key in {"up", "down", "home", "end", "j", "k", "\r", "\n"}:
            return self._moved(key, [place(row) for row in rows])
        return replace(self, **changes.get(key, {}))

    def _moved(self, key: str, places: Sequence[Place]) -> View:
        """Point at another row, or open the one that is pointed at; the first if none is."""
        if not places:
            return self
        at = places.index(self.marked) if self.marked in places else None
        if key in {"\r", "\n"}:
            return replace(self, marked=places[at or 0], opened=places[at or 0])
        last = len(places) - 1
        if at is None:
            return replace(self, marked=places[last if key == "end" else 0])
        to = {"up": at - 1, "k": at - 1, "down": at + 1, "j": at + 1, "home": 0, "end": last}[key]
        return replace(self, marked=places[min(last, max(0, to))])

    def _typed(self, key: str) -> View:
        if key in {"\r", "\n"}:
            return replace(self, typing=False)
        if key == "\x1b":
            return replace(self, typing=False, filter="")
        if key in {"\x7f", "\b"}:
            return replace(self, filter=self.filter[:-1])
        return replace(self, filter=self.filter + key) if len(key) == 1 and key.isprintable() else self


def place(row: dict[str, Any]) -> Place:
    """What tells one row from all others."""
    return row.get("target"), row.get("addr"), row.get("db"), str(row.get("key"))


def chosen(document: dict[str, Any], view: View) -> list[dict[str, Any]]:
    """The rows that the view shows, in its order; what is unknown comes last."""
    column = _COLUMN[view.sort]
    rows = [row for row in document["hotkeys"] if view.filter.lower() in str(row.get("key", "")).lower()]
    known = [row for row in rows if row.get(column) is not None]
    # Names ascend and figures descend, unless turned round.
    known.sort(key=lambda row: row[column], reverse=(view.sort != "key") != view.reverse)
    return [*known, *(row for row in rows if row.get(column) is None)][: view.rows]


def headline(document: dict[str, Any], name: str, problem: str, view: View) -> Text:
    """Where the figures come from, how much was observed, and what is wrong if anything is."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("hot keys  ", "bold")
    text.append(name)
    if view.paused:
        text.append("  PAUSED", "bold yellow")
    if problem:
        text.append(f"  {problem}", "bold red")
    for target in document.get("targets", [])[:1] if len(document.get("targets", [])) == 1 else ():
        if target.get("commands_per_second") is not None:
            text.append(f"  {number(target['commands_per_second'])} commands/s", "cyan")
        if target.get("duty_ratio") is not None:
            text.append(f"  watched {target['duty_ratio']:.1%} of {target.get('observed_seconds') or 0:.0f} s seen")
        text.append(f"  source {target.get('source')}")
    return text


def table(document: dict[str, Any], view: View, width: int) -> Table:
    """The hot keys; narrow terminals get the columns that matter most."""
    several = len({(row.get("target"), row.get("addr")) for row in document["hotkeys"]}) > 1
    columns: list[tuple[str, str, Callable[[dict[str, Any]], str]]] = [
        ("#", "right", lambda row: str(row.get("rank", ""))),
        ("accesses/s", "right", lambda row: number(row.get("accesses_per_second"))),
        ("±", "right", deviation),
        ("share", "right", lambda row: share(row.get("share_ratio"))),
    ]
    if width >= _NARROW:
        columns += [
            ("reads/s", "right", lambda row: number(row.get("reads_per_second"))),
            ("writes/s", "right", lambda row: number(row.get("writes_per_second"))),
        ]
    columns += [
        ("size", "right", lambda row: size(row.get("memory_bytes"))),
        ("ttl", "right", lambda row: life(row.get("ttl_seconds"))),
    ]
    if width >= _WIDE:
        columns.append(("type", "left", lambda row: str(row.get("type") or "")))
    if several:
        columns.append(("node", "left", lambda row: f"{row.get('target')} {row.get('addr')}"))
    columns += [("db", "right", lambda row: str(row.get("db", ""))), ("key", "left", lambda row: str(row.get("key")))]
    return _grid(columns, chosen(document, view), view, width)


def _grid(columns: Iterable[Any], rows: list[dict[str, Any]], view: View, width: int) -> Table:
    grid = Table(box=None, padding=(0, GAP, 0, 0), header_style="bold", show_edge=False, expand=False)
    columns = list(columns)
    lines = [[value(row) for _, _, value in columns] for row in rows]
    for title, justify, _ in columns:
        style = "bold underline" if title.partition("/")[0] in {view.sort, _TITLES.get(view.sort)} else "bold"
        overflow = "ellipsis" if title == "key" else "fold"
        grid.add_column(Text(title, style), justify=justify, no_wrap=True, overflow=overflow)  # type: ignore[arg-type]
    grid.columns[-1].max_width = room([title for title, _, _ in columns], lines, width)
    for row, line in zip(rows, lines, strict=True):
        marked = "reverse" if view.marked is not None and place(row) == view.marked else None
        grid.add_row(*map(Text, line), style=marked)
    return grid


def room(titles: Sequence[str], lines: Iterable[Sequence[str]], width: int) -> int:
    """How wide the last column may be, so that those before it keep theirs."""
    *others, _ = zip(titles, *lines, strict=True)
    return max(_LEAST_NAME, width - sum(max(map(cell_len, column)) + GAP for column in others))


_TITLES = {"rate": "accesses"}


def number(value: float | None) -> str:
    """A rate for people: three digits, thousands separated; a dash for what is unknown."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def deviation(row: dict[str, Any]) -> str:
    """The wider half of the interval as a share of the rate; `exact` where everything was observed."""
    rate, low, high = (row.get(name) for name in ("accesses_per_second", "low", "high"))
    if not rate or low is None or high is None:
        return "-"
    wider = max(high - rate, rate - low) / rate
    return "exact" if wider == 0 else f"{wider:.0%}" if wider >= 0.01 else "<1%"


def share(value: float | None) -> str:
    """A share in percent."""
    return "-" if value is None else f"{value:.1%}"


def size(value: float | None) -> str:
    """Bytes in binary units."""
    if value is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def life(value: float | None) -> str:
    """A remaining life in the two largest units; a dash for none or unknown."""
    if value is None:
        return "-"
    seconds = int(value)
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{seconds % 60}s" if minutes else f"{value:.0f}s"
