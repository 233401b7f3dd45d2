"""Renders a moment before the next scrape is due, so that the scrape finds its text written.

In: when each kind of scrape came. Out: calls of what would be rendered for it, in the event loop, between two scrapes.
Readings are taken a moment before the scrapes as well, so without this every scrape would be the first to see one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

LEAD_SECONDS = 0.1
"""After the readings, which begin some 0.2 s before a scrape, and before the scrape."""
LEAST_SECONDS, MOST_SECONDS = 1.0, 120.0
"""Intervals between scrapes for which it is worth it: below them hardly anything changes in between."""
_MOST_KINDS = 256


class Ahead:
    """Remembers kinds of scrapes. Belongs to the event loop's thread."""

    def __init__(self, least: float = LEAST_SECONDS, lead: float = LEAD_SECONDS) -> None:
        self._least = least
        self._lead = lead
        self._last: dict[Hashable, float] = {}
        self._due: dict[Hashable, asyncio.TimerHandle] = {}

    def scraped(self, kind: Hashable, now: float, render: Callable[[], object]) -> None:
        """A scrape of this kind came at `now` (monotonic seconds); the next is expected after the same interval."""
        if (due := self._due.pop(kind, None)) is not None:
            due.cancel()
        if kind not in self._last and len(self._last) >= _MOST_KINDS:
            self._last.clear()
        interval = now - self._last.get(kind, now)
        self._last[kind] = now
        if self._least <= interval <= MOST_SECONDS:
            loop = asyncio.get_running_loop()
            self._due[kind] = loop.call_later(interval - self._lead, self._render, kind, render)

    def _render(self, kind: Hashable, render: Callable[[], object]) -> None:
        del self._due[kind]
        render()
