"""`python -m tests.dashboards.pictures DIRECTORY`: pictures of the dashboards for the docs, with live data.

In: the fleet of `showcase`, which runs for six and a half minutes, with a server that is away for a moment. Out: WebP
files, the parts
of a long dashboard one by one; what is wrong with them is printed, and the exit code is 1 then.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.dashboards.canvas import Drawing, browsing, build
from tests.dashboards.documents import DOCUMENTS
from tests.dashboards.given import Span, given
from tests.dashboards.showcase import RATE_SECONDS, SCRAPE_SECONDS, Showcase, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WARM_UP_SECONDS = 60
SHOWN_SECONDS = 330
AWAY_SECONDS = 12
"""How long the queue is away, halfway."""
LONGEST_PIXELS = 2_400
CHOSEN = {"slo": {"target": "shop|catalog|sessions"}}
"""What is chosen at the top of a dashboard, if not everything: one outage would hide all other objectives."""
README = {"hotkeys": "Trends", "fleet": "The 10 that stand out"}
"""Up to which row the README shows a dashboard."""


def observed(showcase: Showcase) -> Span:
    """Let time pass, and something happen in it."""
    time.sleep(WARM_UP_SECONDS)
    start = int(time.time())
    time.sleep(SHOWN_SECONDS / 2)
    showcase.queue.kill()
    time.sleep(AWAY_SECONDS)
    showcase.queue.restart()
    time.sleep(SHOWN_SECONDS / 2 - AWAY_SECONDS)
    return Span(start, int(time.time()), SCRAPE_SECONDS, RATE_SECONDS)


def parts(rows: list[tuple[str, float]], height: float) -> Iterator[tuple[float, float]]:
    """Cut a dashboard before a row where it would become too long."""
    top = 0.0
    for (_, start), end in zip(rows, [*(at for _, at in rows[1:]), height], strict=True):
        if end - top > LONGEST_PIXELS and start > top:
            yield top, start
            top = start
    yield top, height


def keep(path: Path, picture: bytes) -> None:
    """Write a file."""
    path.write_bytes(picture)
    print(f"{path}: {len(picture):,} bytes")


def take(name: str, drawing: Drawing, directory: Path) -> None:
    """Write the pictures of a dashboard."""
    rows = drawing.rows()
    cut = list(parts(rows, drawing.height))
    for n, (top, bottom) in enumerate(cut, 1):
        keep(directory / f"dashboard-{name}{f'-{n}' if len(cut) > 1 else ''}.webp", drawing.picture(top, bottom))
    if name in README:
        keep(directory / f"dashboard-{name}-top.webp", drawing.picture(0, dict(rows)[README[name]]))


def draw_all(all_given: Mapping[str, dict[str, object]], directory: Path) -> list[str]:
    """Draw every dashboard; what is wrong with them."""
    faults = []
    with browsing() as browser:
        for name, one in all_given.items():
            drawing = Drawing(browser, one)
            take(name, drawing, directory)
            faults += [f"{name}: {fault}" for fault in drawing.faults()]
            drawing.page.close()
    return faults


def main(directory: Path) -> int:
    """Take all of them."""
    directory.mkdir(parents=True, exist_ok=True)
    build()
    with tempfile.TemporaryDirectory() as place, running(Path(place)) as showcase:
        span = observed(showcase)
        all_given = {
            name: given(document, showcase.prometheus, span, chosen=CHOSEN.get(name, {}))
            for name, document in DOCUMENTS.items()
        }
    faults = draw_all(all_given, directory)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
