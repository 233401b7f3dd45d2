"""The dashboards drawn with Grafana's own components from live data: an optional job, with npm and Chromium."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.browser.site import CHROMIUM
from tests.dashboards.canvas import Drawing, browsing, build
from tests.dashboards.documents import DOCUMENTS
from tests.dashboards.given import Span, given
from tests.dashboards.pictures import AWAY_SECONDS, LONGEST_PIXELS, parts
from tests.dashboards.showcase import RATE_SECONDS, SCRAPE_SECONDS, running
from tests.servers import missing

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 75
YOUNG = {"slo Errors: burn over 1d and 2h", "slo Errors: burn over 3d and 6h", "slo Errors: burn over 6h and 30m"}
"""Panels that need more traffic on record than a minute has."""


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_panel_is_drawn_and_fits(tmp_path: Path) -> None:
    """No error, no panel without data, no text that is cut off or leaves its panel, in every open row."""
    if CHROMIUM is None:
        missing("chromium (Debian package chromium)")
    build()
    with running(tmp_path) as showcase:
        time.sleep(SECONDS - AWAY_SECONDS)
        showcase.queue.kill()
        time.sleep(AWAY_SECONDS)
        showcase.queue.restart()
        end = int(time.time())
        span = Span(end - SECONDS, end, SCRAPE_SECONDS, RATE_SECONDS)
        all_given = {name: given(document, showcase.prometheus, span) for name, document in DOCUMENTS.items()}
    faults = []
    with browsing() as browser:
        for name, one in all_given.items():
            faults += [f"{name} {fault}" for fault in Drawing(browser, one).faults()]
    assert [fault for fault in faults if fault.removesuffix(": no data") not in YOUNG] == []


def test_a_long_dashboard_is_cut_before_a_row() -> None:
    """Every part but one of a single row is short enough, and nothing is lost between them."""
    long = float(LONGEST_PIXELS)
    rows = [("a", 0.1 * long), ("b", 0.5 * long), ("c", 0.9 * long), ("d", 1.1 * long), ("e", 3 * long)]
    found = list(parts(rows, 3.1 * long))
    assert found == [(0.0, 0.9 * long), (0.9 * long, 1.1 * long), (1.1 * long, 3 * long), (3 * long, 3.1 * long)]
