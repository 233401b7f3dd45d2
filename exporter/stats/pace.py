"""How often to ask: what asking costs comes in, the time until the next reading goes out. Pure; times in seconds.

Readings keep a fixed phase and their intervals are steps that divide the usual scrape intervals, so that the age of a
counter at each scrape is the same, and rates over scrapes are not bent by it. The age must not be near nothing, or the
jitter of the scraper would make it jump by a whole interval: then the phase moves once.
"""

from __future__ import annotations

import math

STEPS = (1.0, 3.0, 5.0, 15.0, 30.0, 60.0)
"""Each divides 15, 30 or 60 s, the intervals that Prometheus is usually given."""
SERVER_SHARE = 0.001
"""The share of a server's time that may go into answering us."""
OWN_SHARE = 0.05
"""The share of one core that asking all nodes may take here."""
BEST_AGE = 0.3
"""As a share of the interval: where the scrapes should fall after a reading."""
CLOSEST = 0.15
"""Nearer to a reading than this share of the interval a scrape should not fall."""
PATIENCE = 60.0
"""The phase moves no more often than this, whatever several scrapers do."""


def interval(setting: float, server_seconds: float, own_seconds: float, nodes: int) -> float:
    """The time between two readings.

    Args:
        setting: the shortest that is wanted.
        server_seconds: what one reading costs the server.
        own_seconds: what one reading costs us.
        nodes: how many nodes are read in this way.

    """
    needed = max(server_seconds / SERVER_SHARE, nodes * own_seconds / OWN_SHARE)
    if needed <= setting:
        return setting
    return next((step for step in STEPS if step >= max(needed, setting)), STEPS[-1])


class Phase:
    """When the next reading is due: at whole intervals after the first, moved away from the scrapes."""

    def __init__(self, now: float) -> None:
        self._origin = now
        self._moved = -math.inf

    def wait(self, now: float, every: float, scraped: float | None) -> float:
        """The time from `now` until the next reading; `scraped` is when we were last scraped."""
        if scraped is not None and now - self._moved > PATIENCE:
            age = (scraped - self._origin) % every
            if not CLOSEST * every <= age <= (1 - CLOSEST) * every:
                self._origin = scraped - BEST_AGE * every
                self._moved = now
        return every - (now - self._origin) % every
