"""Ends MONITOR clients that stalled, ours or another exporter's, before the server holds too much for them.

In: a node's status and a link to it. Out: CLIENT KILL for the MONITOR clients that bear our name and for which the
server holds over 8 MiB. CLIENT LIST is only asked for when INFO says that there is any client with such a buffer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import redis

from exporter.errors import NodeError
from exporter.link import CLIENT_NAME
from exporter.log import log
from exporter.monitor.governor import HELD_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.link import Link, OwnTraffic
    from exporter.snapshot import NodeStatus

_FIELD = re.compile(rb"(id|name|flags|omem)=(\S*)")


class Reaper:
    """Looks after one node. Belongs to the thread of the link, the one that also asks for INFO."""

    def __init__(self, link: Link, own: OwnTraffic) -> None:
        self._link = link
        self._own = own
        self._refused = False

    def look(self, status: NodeStatus) -> int:
        """End what has stalled; returns how many clients that were. Never raises."""
        if status.down is not None or status.largest_output_buffer_bytes <= HELD_LIMIT_BYTES or self._refused:
            return 0
        ended = 0
        try:
            for client, held in stalled(self._link.call("CLIENT", "LIST")):
                self._own.reaped |= {client}
                ended += bool(self._link.call("CLIENT", "KILL", "ID", client))
                log.warning("reaper.ended", "a stalled MONITOR client was ended", target=self._link.node.target,
                            addr=self._link.node.addr, client_id=client, held_bytes=held)  # fmt: skip
        except redis.ResponseError:
            self._refused = True
            log.warning("reaper.refused", "this user may not look for stalled MONITOR clients, or not end them",
                        target=self._link.node.target, addr=self._link.node.addr)  # fmt: skip
        except NodeError:
            return ended  # the next probe tells
        return ended


def stalled(clients: object) -> Iterator[tuple[int, int]]:
    """The ids of MONITOR clients with our name that hold too much, and how much, from the reply to CLIENT LIST."""
    for line in clients.splitlines() if isinstance(clients, bytes) else ():
        fields = dict(_FIELD.findall(line))
        held = int(fields.get(b"omem", b"0") or 0)
        monitors = b"O" in fields.get(b"flags", b"") and fields.get(b"name") == CLIENT_NAME.encode()
        if monitors and held > HELD_LIMIT_BYTES:
            yield int(fields[b"id"]), held
