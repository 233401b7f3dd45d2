"""A live table of hot keys for a terminal: a source in, a screen or lines out.

On a terminal it is redrawn every second and listens to keys; into a pipe, or with `once`, it prints one table or one
JSON object and ends.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from exporter.errors import CommandFailed
from exporter.top.keyboard import keys
from exporter.top.table import HELP, View, headline, table

if TYPE_CHECKING:
    from exporter.top.sources import Source

REDRAW_SECONDS = 1.0
_MOST_KEYS = 100
_PIPE_WIDTH = 300  # no terminal: nothing needs to fit, and key names stay whole
_NOTHING: dict[str, Any] = {"targets": [], "hotkeys": []}


def once(source: Source, limit: int, *, as_json: bool) -> tuple[str, str]:
    """The figures of now as text or JSON, and what is wrong if there are none because something is."""
    document = source.read(limit)
    problem = source.problem() if not document["hotkeys"] else ""
    if as_json:
        return json.dumps(document | {"hotkeys": document["hotkeys"][:limit]}), problem
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
    view = View(rows=limit)
    with console.capture() as captured:
        console.print(headline(document, source.name, problem, view))
        console.print(table(document, view, console.width))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()), problem


def watch(source: Source, limit: int) -> None:
    """Show the figures until `q` or Ctrl-C. A source that fails is asked again; the last figures stay, and why."""
    console, view, document, problem = Console(highlight=False), View(rows=limit), _NOTHING, ""
    with keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            if not view.paused:
                try:
                    document = source.read(_MOST_KEYS)
                    problem = source.problem() if not document["hotkeys"] else ""
                except CommandFailed as failure:
                    problem = str(failure)
            until = time.monotonic() + REDRAW_SECONDS
            while (left := until - time.monotonic()) > 0:
                live.update(screen(document, source.name, problem, view, console.width, console.height), refresh=True)
                typed = pressed(left)
                if not view.typing and "q" in typed:
                    return
                for key in typed:
                    view = view.after(key)


def screen(document: dict[str, Any], name: str, problem: str, view: View, width: int, height: int) -> Group:
    """One screen: the headline, the table cut to the height, and the keys that can be pressed."""
    fitting = View(view.sort, view.reverse, view.filter, view.paused, view.typing, min(view.rows, max(1, height - 4)))
    foot = f"filter: {view.filter}▏ Enter keeps it, Esc clears it" if view.typing else HELP
    if view.filter and not view.typing:
        foot += f"  (filter: {view.filter})"
    return Group(
        headline(document, name, problem, view),
        Text(),
        table(document, fitting, width),
        Text(foot, "dim", no_wrap=True, overflow="ellipsis"),
    )
