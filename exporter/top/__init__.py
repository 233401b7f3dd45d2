"""A live table of hot keys for a terminal: a source in, a screen or lines out.

On a terminal it is redrawn every second and listens to keys; into a pipe, or with `once`, it prints one table or one
JSON object and ends.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from exporter.errors import CommandFailed
from exporter.top.details import key_screen
from exporter.top.keyboard import keys
from exporter.top.table import HELP, View, chosen, headline, table

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
    console, seen = Console(highlight=False), Seen(View(rows=limit))
    with keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            if not seen.view.paused:
                seen = seen.renewed(source)
            until = time.monotonic() + REDRAW_SECONDS
            while (left := until - time.monotonic()) > 0:
                live.update(seen.drawn(source.name, console.width, console.height), refresh=True)
                for key in pressed(left):
                    if key == "q" and not seen.view.typing:
                        return
                    seen = seen.after(key, source, console.height)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is on the screen: a view of the latest figures, the details of a key if one is opened, and what is wrong."""

    view: View
    document: dict[str, Any] = field(default_factory=lambda: _NOTHING)
    details: dict[str, Any] | None = None
    problem: str = ""

    def renewed(self, source: Source) -> Seen:
        """The same with the source's latest figures; where it fails the last ones stay."""
        try:
            document = source.read(_MOST_KEYS)
            problem = source.problem() if not document["hotkeys"] else ""
        except CommandFailed as failure:
            return replace(self, problem=str(failure))
        return replace(self, document=document, problem=problem).looking(source)

    def looking(self, source: Source) -> Seen:
        """With the latest details of the key that is opened."""
        if self.view.opened is None:
            return replace(self, details=None)
        try:
            return replace(self, details=source.details(self.view.opened))
        except CommandFailed as failure:
            return replace(self, problem=str(failure))

    def after(self, key: str, source: Source, height: int) -> Seen:
        """After one key was pressed."""
        view = self.view.after(key, chosen(self.document, fitting(self.view, height)))
        seen = replace(self, view=view)
        return seen if view.opened == self.view.opened else replace(seen, details=None, problem="").looking(source)

    def drawn(self, name: str, width: int, height: int) -> Group:
        """The screen."""
        if self.view.opened is None:
            return screen(self.document, name, self.problem, self.view, width, height)
        known = self.details or dict(zip(("target", "addr", "db", "key"), self.view.opened, strict=True))
        return key_screen(known, self.problem, width, height, paused=self.view.paused)


def fitting(view: View, height: int) -> View:
    """The view with no more rows than fit."""
    return replace(view, rows=min(view.rows, max(1, height - 4)))


def screen(document: dict[str, Any], name: str, problem: str, view: View, width: int, height: int) -> Group:
    """One screen: the headline, the table cut to the height, and the keys that can be pressed."""
    foot = f"filter: {view.filter}▏ Enter keeps it, Esc clears it" if view.typing else HELP
    if view.filter and not view.typing:
        foot += f"  (filter: {view.filter})"
    return Group(
        headline(document, name, problem, view),
        Text(),
        table(document, fitting(view, height), width),
        Text(foot, "dim", no_wrap=True, overflow="ellipsis"),
    )
