"""The page of `grafana/` in a browser: what `given` gives in, a drawn dashboard out, with pictures and what is wrong.

Nothing leaves the browser: every address is answered from the built page and from Grafana's packages.
"""

from __future__ import annotations

import base64
import json
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from tests.browser.site import ARGUMENTS, CHROMIUM
from tests.servers import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, Page, Route

HERE = Path(__file__).parent / "grafana"
PACKAGES = HERE / "node_modules"
WIDTH = 1600
QUALITY = 45
PATIENCE_MS = 60_000
FONTS = {"Inter-Regular.woff2": 400, "Inter-Medium.woff2": 500}
PAGE = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css"><body style="margin: 0">
<div id="board"></div><script>window.given = %s</script><script src="page.js"></script>"""


class Drawing:
    """One dashboard, drawn."""

    def __init__(self, browser: Browser, given: Mapping[str, Any]) -> None:
        self.errors: list[str] = []
        self._given = given
        self.page: Page = browser.new_page(viewport={"width": WIDTH, "height": 1000})
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.route("**/*", self._answer)
        self.page.goto("http://dashboard.invalid/")
        self.page.wait_for_selector("[data-panel]", timeout=PATIENCE_MS)
        self.height: int = self.page.evaluate("document.getElementById('board').firstElementChild.offsetHeight")
        self.page.set_viewport_size({"width": WIDTH, "height": self.height})
        self.page.wait_for_load_state("networkidle")

    def _answer(self, route: Route) -> None:
        asked = route.request.url.partition("dashboard.invalid/")[2].partition("?")[0]
        if not asked:
            text = json.dumps(self._given).replace("</", "<\\/")
            route.fulfill(body=PAGE % text, content_type="text/html")
        elif (path := _file(asked)).is_file():
            route.fulfill(path=path)
        else:
            route.fulfill(status=404)

    def faults(self) -> list[str]:
        """Panels without data, texts that are cut off or leave their panel, errors of the page."""
        found: list[Mapping[str, str]] = self.page.evaluate("report()")
        return [*(f"{one['panel']}: {one['what']}" for one in found), *self.errors]

    def rows(self) -> list[tuple[str, float]]:
        """The headings of the rows and where they begin, in pixels from the top."""
        found: list[tuple[str, float]] = self.page.evaluate(
            "[...document.querySelectorAll('[data-row]')].map((one) => [one.dataset.row, one.offsetTop])"
        )
        return found

    def picture(self, top: float, bottom: float) -> bytes:
        """A part of it, as WebP, which Playwright itself cannot."""
        clip = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top, "scale": 1}
        session = self.page.context.new_cdp_session(self.page)
        options = {"format": "webp", "quality": QUALITY, "clip": clip, "captureBeyondViewport": True}
        return base64.b64decode(session.send("Page.captureScreenshot", options)["data"])


def _file(asked: str) -> Path:
    """Which file answers: the page's own, a font, or an icon of Grafana's."""
    if "/fonts/inter/" in f"/{asked}":
        weight = FONTS.get(asked.rpartition("/")[2], 400)
        return PACKAGES / "@fontsource" / "inter" / "files" / f"inter-latin-{weight}-normal.woff2"
    if "img/icons/" in asked:
        return PACKAGES / "@grafana" / "ui" / "dist" / "public" / "img" / "icons" / asked.partition("img/icons/")[2]
    return PACKAGES / ".page" / asked


def build() -> None:
    """Build the page; fetches Grafana's packages first where they are not there yet."""
    npm = program("npm", "npm")
    if not (PACKAGES / "@grafana").is_dir():
        subprocess.run([npm, "ci"], cwd=HERE, check=True)
    subprocess.run([npm, "run", "--silent", "build"], cwd=HERE, check=True)


@contextmanager
def browsing() -> Iterator[Browser]:
    """Chromium, for as long as it is needed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()
