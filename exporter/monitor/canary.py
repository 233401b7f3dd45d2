"""The truth canary: a PING on a second connection must show up in what MONITOR shows us.

In: a second link to the node, and the slices that were read. Out: how long a canary took, and whether the stream is
`silent`: a node is asked, but what we read is not its traffic. Behind a load balancer two connections may end at two
nodes; some proxies show a client nothing but its own commands. All that looks like a quiet server and is a fault.

A canary goes out at the beginning of a slice, with a TIME behind it, and nobody waits for the replies. If TIME tells a
moment inside a slice, the canary must be among the lines that were read by the end of it; that is sure, however slow
the link is. One that ran between two slices proves nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from exporter.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.link import Link
    from exporter.monitor.session import Slice

CANARY_SECONDS = 5.0
SILENT_AFTER = 3
"""So many canaries in a row must be missing; after the first one each slice has its own."""
LOST_SECONDS = 3.0
"""One without an answer for so long is given up; the connection goes with it."""
MARGIN_SECONDS = 0.001
"""So close to the end of a slice a canary proves nothing: servers round their time."""
MOST_SLICES = 64


class Canary:
    """Watches over the stream of one node. Belongs to the thread that reads it."""

    def __init__(self, link: Link, token: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._token = token + b":canary"
        self._clock = clock
        self._number = 0
        self._word: bytes | None = None
        self._sent = 0.0
        self._next = 0.0
        self._missing = 0
        self._seen = False
        self._slices: list[tuple[float, float]] = []
        self.lag_seconds: float | None = None

    @property
    def silent(self) -> bool:
        """Whether the stream does not show what is known to have happened."""
        return self._missing >= SILENT_AFTER

    def prepare(self) -> None:
        """Connect, if a canary is due; to be called while no slice is open. Never raises."""
        if self._word is None and self._clock() >= self._next and not self._link.is_open:
            try:
                self._link.open()
            except NodeError:
                self._next = self._clock() + CANARY_SECONDS  # the prober tells what is wrong

    def send(self) -> None:
        """Send a canary if one is due; to be called when a slice begins. Never waits, never raises."""
        now = self._clock()
        if self._word is not None or now < self._next or not self._link.is_open:
            return
        self._number += 1
        self._word, self._sent, self._seen, self._slices = b"%s:%d" % (self._token, self._number), now, False, []
        try:
            self._link.post(("PING", self._word), ("TIME",))
        except NodeError:
            self._over()

    def look(self, piece: Slice) -> None:
        """Take in a slice that has ended. Never waits, never raises."""
        if self._word is None:
            return
        if not self._seen and self._word in piece.data:
            self._seen, self.lag_seconds = True, self._clock() - self._sent
        self._slices = [*self._slices[-MOST_SLICES:], (piece.start, piece.end)]
        try:
            replies = self._link.posted(2)
        except NodeError:
            self._over()
            return
        if replies is None:
            if self._clock() - self._sent > LOST_SECONDS:
                self._link.close()
                self._over()
            return
        # Where PING is refused (MISCONF) MONITOR does not show it.
        ran = None if isinstance(replies[0], Exception) else _seconds(replies[1])
        if self._seen:
            self._missing = 0
        elif ran is not None and any(start < ran < end - MARGIN_SECONDS for start, end in self._slices):
            self._missing += 1
        elif ran is not None and ran >= piece.end:
            return  # the next slice may show it
        self._over()

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    def _over(self) -> None:
        """Send the next one later, or at once where one was missing."""
        self._word = None
        self._next = self._sent + (0.0 if self._missing else CANARY_SECONDS)


def _seconds(reply: Any) -> float | None:
    """The server's time by the reply to TIME; None where it does not say."""
    try:
        return int(reply[0]) + int(reply[1]) / 1e6
    except (TypeError, ValueError, IndexError):
        return None
