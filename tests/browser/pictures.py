"""`python -m tests.browser.pictures DIRECTORY`: pictures of the page for the docs, of the demo after 90 seconds.

In: the demo, which runs for as long as that takes. Out: WebP files, each of some ten kilobytes.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.site import ARGUMENTS, CHROMIUM, Site, Tab
from tests.program import Exporter
from tests.views import shop
from tests.warming.states import jobs

RUN_SECONDS = 90
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5}
QUALITY = 70


def keep(tab: Tab, path: Path, clip: str = "") -> None:
    """Write what is seen of a page, or one element of it, as WebP, which Playwright itself cannot."""
    session = tab.page.context.new_cdp_session(tab.page)
    area: dict[str, Any] = {}
    if clip:
        box = tab.page.locator(clip).bounding_box()
        assert box is not None
        area = {"clip": {**box, "scale": 1}, "captureBeyondViewport": True}
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY, **area})
    path.write_bytes(base64.b64decode(shot["data"]))
    print(f"{path}: {path.stat().st_size:,} bytes")


def main(directory: Path) -> None:
    """Take all of them."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        demo = Exporter(Path(place), command="demo").wait_until()
        time.sleep(RUN_SECONDS)
        for name, options in (("light", {}), ("dark", {"color_scheme": "dark"}), ("phone", PHONE)):
            tab = Tab(browser, demo.url, **options)
            tab.page.wait_for_timeout(2_000)
            keep(tab, directory / f"page-{name}.webp")
            tab.close()
        demo.stop()
        board = shop.shop_board()
        jobs(board.warmth)
        with Site(board, shop.shop_config()) as site:
            tab = Tab(browser, site.url)
            for name in ("nodes", "warming"):
                keep(tab, directory / f"page-{name}.webp", f"#{name}")
            tab.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
