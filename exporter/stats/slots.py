"""CLUSTER SLOT-STATS (Redis 8.2, Valkey 8.0 and newer): which slots of a cluster node are the busiest.

Replies in, each slot's numbers out. The server sorts all of its slots for every question, which takes up to a
millisecond of its time: so the orders are asked for one by one, and only those of numbers that it really counts. Keys
are always counted, the rest where `cluster-slot-stats-enabled` says so; a question about the rest would be an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.stats.info import Info
    from exporter.stats.reply import Reply

KEYS = "key-count"
NUMBERS = (KEYS, "cpu-usec", "network-bytes-in", "network-bytes-out", "memory-bytes")
"""What a slot has, by the server's names."""
LEADERS = 10
"""How many slots are shown for each number."""
SLOTS = 16384


class BusiestSlots:
    """The slots that lead by each number, for one node. Belongs to one thread.

    A slot that leads stays shown until it is not even among the first `2 * LEADERS`: where slots are much alike, ranks
    change all the time, and each new slot would be a new series.
    """

    def __init__(self) -> None:
        self._orders: tuple[str, ...] = (KEYS,)
        self._leaders: dict[str, list[str]] = {}

    @property
    def questions(self) -> int:
        """How many commands there are to ask."""
        return len(self._orders)

    def commands(self, _info: Info) -> list[tuple[str, ...]]:
        """One for each number that the server was last seen to count."""
        return [
            ("CLUSTER", "SLOT-STATS", "ORDERBY", order.upper(), "LIMIT", str(2 * LEADERS), "DESC")
            for order in self._orders
        ]

    def read(self, _info: Info, replies: Sequence[Reply]) -> dict[str, Mapping[str, float]]:
        """The numbers of each leading slot; slots without anything are left out."""
        found: dict[str, Mapping[str, float]] = {}
        leaders: dict[str, list[str]] = {}
        for order, reply in zip(self._orders, replies, strict=True):
            slots = {slot: numbers for slot, numbers in _slots(reply).items() if numbers.get(order)}
            kept = [slot for slot in self._leaders.get(order, ()) if slot in slots]
            leaders[order] = sorted([*kept, *(slot for slot in slots if slot not in kept)][:LEADERS])
            found |= {slot: slots[slot] for slot in leaders[order]}
        self._leaders = leaders
        counted = next(iter(_slots(replies[0]).values()), {})
        self._orders = (KEYS, *(name for name in NUMBERS[1:] if name in counted))
        return found


def _slots(reply: Reply) -> dict[str, Mapping[str, float]]:
    """Read `[[slot, [name, number, …]], …]`, best first; whatever looks otherwise is left out."""
    found: dict[str, Mapping[str, float]] = {}
    for item in reply[: 2 * LEADERS] if isinstance(reply, list) else ():
        match item:
            case [int(slot), list(fields)] if 0 <= slot < SLOTS:
                pairs = zip(fields[::2], fields[1::2], strict=False)
                named = {name: value for name, value in pairs if isinstance(name, bytes)}
                numbers = {name: named.get(name.encode()) for name in NUMBERS}
                found[str(slot)] = {
                    name: float(number) for name, number in numbers.items() if isinstance(number, int) and number >= 0
                }
    return found
