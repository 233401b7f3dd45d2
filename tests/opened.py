"""What a program holds open, for tests of leaks.

In: the running exporter, the servers that it watches. Out: counts that can be compared with later ones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.program import Exporter
    from tests.servers import Server

LOOKS = 10


@dataclass(frozen=True, slots=True)
class Opened:
    """What the exporter's processes hold while nothing is on its way: the least of several looks each.

    `connections` is how many of its connections the servers see (CLIENT LIST).
    """

    threads: int
    sockets: int
    files: int
    connections: int

    @classmethod
    def of(cls, exporter: Exporter, servers: Sequence[Server]) -> Self:
        """Look for half a second."""
        looks = []
        for _ in range(LOOKS):
            tree = exporter.processes()
            looks.append(
                (
                    sum(one.num_threads() for one in tree),
                    sum(len(one.net_connections("all")) for one in tree),
                    sum(one.num_fds() for one in tree),
                    sum(map(connections, servers)),
                )
            )
            time.sleep(0.5 / LOOKS)
        return cls(*map(min, zip(*looks, strict=True)))

    def is_nearly(self, before: Opened, slack: int = 2) -> bool:
        """No more threads than before, and of the rest at most `slack` more, which come and go by themselves."""
        grown = (self.sockets - before.sockets, self.files - before.files, self.connections - before.connections)
        return self.threads <= before.threads and max(grown) <= slack


def connections(server: Server) -> int:
    """How many connections of exporters a server sees."""
    client = server.client()
    try:
        return sum(one["name"].startswith("hotkey-exporter") for one in client.client_list())
    finally:
        client.close()
