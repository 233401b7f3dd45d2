"""The keys of one node that are in focus: pieces of its stream come in, `FocusedKeys` on the Board go out.

Without a key in focus a piece costs one look whether there is any.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from exporter.focus import FocusedKeys
from exporter.monitor.lookout import NOTHING, look_out
from exporter.sampling.callers import CallerBook

if TYPE_CHECKING:
    from exporter.monitor.keys import CommandTable
    from exporter.monitor.lookout import DbKey
    from exporter.monitor.own import Own
    from exporter.snapshot import Board, Node

MOST_LINES = 256
"""Lines of a piece (a burst, or an eighth of a second of a joined stream) that are read for keys in focus."""


class Spell(NamedTuple):
    """When a piece was observed, in seconds on the server's clock, and how many seconds it stands for."""

    start: float
    end: float
    cycle: float


class Focusing:
    """Belongs to the sampler's thread."""

    def __init__(self, board: Board, node: Node, window_seconds: float) -> None:
        self._board = board
        self._node = node
        self._seconds = window_seconds
        self._books: dict[DbKey, CallerBook] = {}
        self._chance = random.Random()

    @property
    def keys(self) -> frozenset[DbKey]:
        """The keys in focus."""
        return frozenset(self._books)

    def see(self, data: bytes, spell: Spell, table: CommandTable, own: Own) -> None:
        """Take one piece: the lines that were counted for the window, too."""
        wanted = self._board.focus.wanted(self._node, time.monotonic())
        if wanted != self._books.keys():
            self._books = {key: self._books.get(key) or CallerBook(key, self._seconds) for key in wanted}
            if not wanted:
                self._board.withdraw(self._node, FocusedKeys)
        if not wanted:
            return
        found = look_out(data, wanted, table, own, MOST_LINES, self._chance)
        for key, book in self._books.items():
            book.add(*spell, found.get(key, NOTHING))

    def restart(self) -> None:
        """What was seen has no place in time any more, or is not about this node."""
        self._books.clear()
        self._board.withdraw(self._node, FocusedKeys)

    def publish(self, now: float) -> None:
        """Say what is known; `now` is of this process's clock."""
        if self._books:
            known = tuple(book.callers() for book in self._books.values())
            self._board.publish(self._node, FocusedKeys(known, now))
