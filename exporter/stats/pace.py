"""How often to ask: what asking costs comes in, the time until the next reading goes out. Pure; times in seconds.

Readings keep a fixed phase, a moment before the scrapes, and their intervals are steps that divide the usual scrape
intervals: so a counter has the same small age at each scrape, and rates over scrapes are not bent by it. Where a scrape
falls on a reading, its jitter would make that age jump by a whole interval; then the phase moves.
"""

from __future__ import annotations

import math

STEPS = (1.0, 2.5, 5.0, 7.5, 15.0, 30.0, 60.0)
"""Each divides 15, 30 or 60 s, the intervals that Prometheus is usually given, and the first ones 10 s too."""
SERVER_SHARE = 0.001
"""The share of a server's time that may go into answering us."""
OWN_SHARE = 0.05
"""The share of one core that reading all nodes may take here, and once more what is asked less often."""
BEST_AGE = 0.2
"""How long before a scrape a reading should begin."""
GOOD_AGES = (0.1, 0.5)
"""Between these it is left alone: below them the jitter of scrapes and readings is felt, above them the age."""
PATIENCE = 60.0
"""The phase moves no more often than this, and not at all away from a scraper that was well served in that time."""


def interval(setting: float, server_seconds: float, own_seconds: float, nodes: int) -> float:
    """The time between two readings.

    Args:
        setting: the shortest that is wanted.
        server_seconds: what one reading costs the server.
        own_seconds: what one reading costs us.
        nodes: how many nodes are read in this way.

    """
    least = bearable(server_seconds, own_seconds, nodes)
    if least <= setting:
        return setting
    return next((step for step in STEPS if step >= max(least, setting)), STEPS[-1])


def bearable(server_seconds: float, own_seconds: float, nodes: int) -> float:
    """The shortest time between two askings that both sides bear; arguments as for `interval`."""
    return max(server_seconds / SERVER_SHARE, nodes * own_seconds / OWN_SHARE)


class Phase:
    """When the next reading is due: at whole intervals after the first, moved to a moment before the scrapes.

    Args:
        now: when the first reading is.
        best: how long before a scrape a reading should begin; different for each node, lest all are read at once.

    """

    def __init__(self, now: float, best: float = BEST_AGE) -> None:
        self._origin = now
        self._best = best
        self._moved = self._served = -math.inf

    def wait(self, now: float, every: float, scraped: float | None) -> float:
        """The time from `now` until the next reading; `scraped` is when we were last scraped."""
        if scraped is not None:
            self._see(now, every, scraped)
        return every - (now - self._origin) % every

    def _see(self, now: float, every: float, scraped: float) -> None:
        least, most = GOOD_AGES
        age = (scraped - self._origin) % every
        if least <= age <= most:
            self._served = scraped
            return
        on_a_reading = age < least or age > every - least
        if now - self._moved > PATIENCE and (on_a_reading or now - self._served > PATIENCE):
            self._origin = scraped - self._best
            self._moved = now
