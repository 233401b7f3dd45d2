"""One sampler for each node: several exporters that watch the same node agree on who of them samples it.

In: the link that INFO is asked on, and whether we want to sample. Out: whether it is somebody else's turn. Who wants to
sample says so by the name of its connection; of those that CLIENT LIST shows the oldest connection (the smallest id)
samples and the others stand by. The server gives the ids, so there is never a doubt, and a connection ends with its
process. One that has not said anything for some time hangs, and does not count. Where CLIENT LIST may not be asked,
everybody samples.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import redis

from exporter.errors import NodeError
from exporter.link import CLIENT_NAME
from exporter.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.link import Link
    from exporter.snapshot import NodeStatus

SAMPLER_NAME = f"{CLIENT_NAME}:sampler"
LOOK_SECONDS = 5.0
STANDBY_LOOK_SECONDS = 2.0
"""Who stands by looks more often, to take over soon."""
COST_FACTOR = 200.0
"""CLIENT LIST takes the server time for each client: looks are as rare as makes that half a percent at most."""
HANGING_SECONDS = 15
"""INFO is asked every second; where that takes long, at least three times in this time."""
MOST_CLIENTS = 10_000
"""Beyond so many clients the list is too long to be asked for."""
_DATA = frozenset({"master", "slave"})
"""A Sentinel has no traffic to look at, and no role."""
_FIELD = re.compile(rb"(?:^| )(id|name|idle)=(\S*)")


class Presence:
    """Whose turn it is on one node. Belongs to the thread of the link."""

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._clock = clock
        self._named: int | None = None
        self._next = 0.0
        self._refused = False
        self.stands_by = False

    def look(self, status: NodeStatus, *, wanted: bool) -> bool:
        """Whether somebody else samples the node, given that we want to, or not. Never raises."""
        if self._refused or status.down is not None or status.role not in _DATA or not self._link.is_open:
            return self.stands_by
        try:
            self._name(wanted=wanted)
            if not wanted:
                self._turn(stands_by=False)
            elif self._clock() >= self._next:
                self._ask(status)
        except redis.ResponseError:
            self._refused = True
            self._turn(stands_by=False)
        except NodeError:
            pass  # the next probe tells
        return self.stands_by

    def _name(self, *, wanted: bool) -> None:
        """Say by the name of the connection whether we want to sample; a new connection has to be named anew."""
        named = self._named is not None and self._named == self._link.client_id
        if wanted != named:
            self._link.call("CLIENT", "SETNAME", SAMPLER_NAME if wanted else CLIENT_NAME)
            self._named = self._link.client_id if wanted else None
            self._next = 0.0

    def _ask(self, status: NodeStatus) -> None:
        if (status.connected_clients or 0) > MOST_CLIENTS:
            self._turn(stands_by=False)
            return
        began = self._clock()
        reply = self._link.call("CLIENT", "LIST")
        mine = self._link.client_id
        self._turn(stands_by=mine is not None and any(other < mine for other in samplers(reply)))
        often = STANDBY_LOOK_SECONDS if self.stands_by else LOOK_SECONDS
        self._next = self._clock() + max(often, COST_FACTOR * (self._clock() - began))

    def _turn(self, *, stands_by: bool) -> None:
        if stands_by == self.stands_by:
            return
        self.stands_by = stands_by
        what = "another exporter samples this node" if stands_by else "this exporter samples the node again"
        log.info("sampling.standby" if stands_by else "sampling.turn", what, target=self._link.node.target,
                 addr=self._link.node.addr)  # fmt: skip


def samplers(clients: object) -> Iterator[int]:
    """The ids of the connections whose exporters want to sample and do not hang, from the reply to CLIENT LIST."""
    for line in clients.splitlines() if isinstance(clients, bytes) else ():
        if SAMPLER_NAME.encode() not in line:
            continue
        fields = dict(_FIELD.findall(line))
        idle, client = fields.get(b"idle", b""), fields.get(b"id", b"")
        hangs = idle.isdigit() and int(idle) > HANGING_SECONDS
        if fields.get(b"name") == SAMPLER_NAME.encode() and client.isdigit() and not hangs:
            yield int(client)
