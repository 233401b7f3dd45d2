"""One key of `top`, closely: the document of `/api/v1/hotkeys/KEY` in, lines for a terminal of any size out (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from exporter.top.table import GAP, deviation, life, number, room, share, size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

HELP = "Esc back  q quit  p pause"
_BLOCKS = "▁▂▃▄▅▆▇█"
_MOST_COMMANDS = 6
_LONGEST_CURVE = 60
_LEAST = 10
_LINES = 12  # without the key's name, commands and clients


def key_screen(details: dict[str, Any], problem: str, width: int, height: int, *, paused: bool = False) -> Group:
    """What is known of the key: figures, the last hour, and as many commands and clients as there is room for."""
    focus = details.get("focus")
    name = Text(str(details.get("key")) or "(empty)", "bold", overflow="fold")
    parts: list[RenderableType] = [name, _line(_where(details)), _line(_rates(details)), _line(_curve(details, width))]
    room = height - _LINES - max(1, -(-cell_len(name.plain) // width)) - bool(problem)
    if problem:
        parts.append(_line(problem, "bold red"))
    gap = [Text()] if room > 1 else []
    parts += [*gap, _line(_observed(details, focus))]
    if focus and focus["commands"]:
        commands = focus["commands"][: max(1, min(_MOST_COMMANDS, room // 2))]
        parts += [*gap, _parts("command", commands, width), *gap]
        parts.append(_clients(focus["clients"][: max(1, room - len(commands))], width))
    foot = HELP + ("  PAUSED" if paused else "")
    return Group(*parts, *gap, _line(foot, "dim"))


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _where(details: dict[str, Any]) -> str:
    kind = " ".join(str(details[name]) for name in ("type", "encoding") if details.get(name))
    db = f"db {details['db']}" if details.get("db") is not None else ""
    facts = [f"{details.get('target')} {details.get('addr')}", db, kind]
    if details.get("memory_bytes") is not None:
        facts.append(size(details["memory_bytes"]))
    facts.append(f"ttl {life(details.get('ttl_seconds'))}")
    if details.get("slot") is not None:
        facts.append(f"slot {details['slot']}")
    if (details.get("keys") or 1) > 1:
        facts.append(f"{details['keys']} keys of this name")
    return "  ".join(filter(None, facts))


def _rates(details: dict[str, Any]) -> str:
    said = [f"{number(details.get('accesses_per_second'))} accesses/s"]
    error = deviation(details)
    if error == "exact":
        said.append(error)
    elif error != "-":
        said.append(f"±{error} ({number(details['low'])} to {number(details['high'])})")
    said.append(f"share {share(details.get('share_ratio'))}")
    said += [f"{word} {number(details.get(f'{word}_per_second'))}" for word in ("reads", "writes")]
    return "  ".join(said)


def _curve(details: dict[str, Any], width: int) -> str:
    """The last hour as blocks, each the highest value of its stretch; a gap is a blank."""
    history = details.get("history") or {}
    values, step = history.get("accesses_per_second") or [], history.get("step_seconds") or 10
    known = [value for value in values if value is not None]
    if not known:
        return "no history yet"
    room, most = max(1, min(_LONGEST_CURVE, width - 32)), max(known)
    stretch = -(-len(values) // room)
    blocks = ""
    for start in range(0, len(values), stretch):
        highest = max((value for value in values[start : start + stretch] if value is not None), default=None)
        blocks += " " if highest is None else _BLOCKS[round((len(_BLOCKS) - 1) * highest / most) if most else 0]
    return f"last {life(len(values) * step)}  {blocks}  up to {number(most)}/s"


def _observed(details: dict[str, Any], focus: dict[str, Any] | None) -> str:
    if focus is None:
        source = details.get("source")
        return f"callers are known from MONITOR only; the source here is {source}" if source else ""
    since = str(focus["since"])[11:19]
    if not focus["commands"]:
        return f"callers: looking since {since} UTC"
    seen = (
        f"{focus['observed_seconds']:.1f} s of {focus['seconds']:.1f} s observed, {focus['accesses_seen']:,} accesses"
    )
    return f"callers, looking since {since} UTC: {seen}"


def _parts(title: str, parts: Iterable[dict[str, Any]], width: int) -> Table:
    return _grid(("accesses/s", "share", "95 %", title), [[*_figures(part), part[title]] for part in parts], width)


def _clients(clients: Iterable[dict[str, Any]], width: int) -> Table:
    longest, shorter = max(_LEAST, width // 3), max(_LEAST, width // 5)
    lines = []
    for one in clients:
        name = one.get("name") or one.get("user") or ""
        used = ", ".join(f"{part['command']} {share(part['share_ratio'])}" for part in one["commands"])
        lines.append([*_figures(one), _short(one["client"], longest), _short(name, shorter), used])
    return _grid(("accesses/s", "share", "95 %", "client", "name", "commands"), lines, width)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _figures(part: dict[str, Any]) -> tuple[str, str, str]:
    low, high = part["share_low"], part["share_high"]
    interval = "exact" if low == high else f"{low:.0%} to {high:.0%}"
    return number(part["accesses_per_second"]), share(part["share_ratio"]), interval


def _grid(titles: tuple[str, ...], lines: list[list[str]], width: int) -> Table:
    grid = Table(box=None, padding=(0, GAP, 0, 0), header_style="bold", show_edge=False, expand=False)
    for place, title in enumerate(titles):
        grid.add_column(title, justify="right" if place < 3 else "left", no_wrap=True, overflow="ellipsis")
    grid.columns[-1].max_width = room(titles, lines, width)
    for line in lines:
        grid.add_row(*map(Text, line))
    return grid
