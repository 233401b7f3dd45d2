"""What the next scrape will ask for is rendered a moment before it is due, once, and only where scrapes are regular."""

from __future__ import annotations

import asyncio
import time

from exporter.web.ahead import Ahead


def rendered(*times: float, kind: str = "all", wait: float = 0.5) -> list[float]:
    """When it was rendered, in seconds after the last of the scrapes at `times` (they are only said to have come)."""

    async def run() -> list[float]:
        ahead, seen = Ahead(least=0.05, lead=0.02), list[float]()
        for at in times:
            ahead.scraped(kind, at, lambda: seen.append(time.monotonic()))
        began = time.monotonic()
        deadline = began + wait
        while not seen and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        return [at - began for at in seen]

    return asyncio.run(run())


def test_it_is_rendered_before_the_next_scrape() -> None:
    """Two scrapes make an interval; after that time, less the lead, it is rendered once."""
    found = rendered(100.0, 100.1)
    assert len(found) == 1
    assert found[0] >= 0.079


def test_a_scrape_that_comes_earlier_takes_its_place() -> None:
    """Each scrape cancels what was planned and plans anew: only one rendering for the next one."""
    assert len(rendered(100.0, 100.1, 100.2, 100.3)) == 1


def test_what_is_not_regular_is_left_alone() -> None:
    """One scrape alone, scrapes without a pause between them, and scrapes hours apart cause nothing."""
    assert rendered(100.0, wait=0.1) == []
    assert rendered(100.0, 100.01, wait=0.1) == []
    assert rendered(100.0, 9000.0, wait=0.1) == []


def test_kinds_are_bounded() -> None:
    """However many kinds of scrapes there are, only so many are remembered."""

    async def run() -> int:
        ahead = Ahead()
        for n in range(1000):
            ahead.scraped(n, 100.0, lambda: None)
        return len(ahead._last)

    assert asyncio.run(run()) <= 256
