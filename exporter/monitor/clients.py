"""The names of connections, for people who look at the callers of a key: CLIENT LIST, asked while somebody does.

In: the link that INFO is asked on. Out: name and user of each connection by its address, told to the Board's focus.
Where CLIENT LIST may not be asked, or is long, connections stay addresses.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import redis

from exporter.errors import NodeError
from exporter.focus import Client
from exporter.monitor.presence import COST_FACTOR, LOOK_SECONDS, MOST_CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.link import Link
    from exporter.snapshot import Board, NodeStatus

LONGEST_NAME = 64
_FIELD = re.compile(rb"(?:^| )(addr|name|user)=(\S*)")


class Introductions:
    """Keeps the names of one node's clients while a key of it is in focus. Belongs to the thread of the link."""

    def __init__(self, board: Board, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._link = link
        self._clock = clock
        self._next = 0.0
        self._refused = False

    def look(self, status: NodeStatus) -> NodeStatus:
        """Ask, if it is time to and somebody wants to know; the status goes on to who looks next. Never raises."""
        node, began = self._link.node, self._clock()
        if self._refused or began < self._next or not self._board.focus.wanted(node, began):
            return status
        if status.down is not None or not self._link.is_open or (status.connected_clients or 0) > MOST_CLIENTS:
            return status
        try:
            self._board.focus.introduce(node, clients(self._link.call("CLIENT", "LIST")))
        except redis.ResponseError:
            self._refused = True
        except NodeError:
            return status  # the next probe tells
        self._next = self._clock() + max(LOOK_SECONDS, COST_FACTOR * (self._clock() - began))
        return status


def clients(reply: object) -> dict[bytes, Client]:
    """Name and user of every connection that has a name, or a user of its own, from the reply to CLIENT LIST."""
    found: dict[bytes, Client] = {}
    for line in reply.splitlines() if isinstance(reply, bytes) else ():
        fields = dict(_FIELD.findall(line))
        name, user = (fields.get(one, b"").decode("utf-8", "replace")[:LONGEST_NAME] for one in (b"name", b"user"))
        if name or user not in {"", "default"}:
            found[fields.get(b"addr", b"")] = Client(name, user)
    return found
