"""A real Chromium for tests of the page; where there is none these tests are skipped, and say so."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.browser.site import ARGUMENTS, CHROMIUM, Tab
from tests.live.conftest import start_exporter

__all__ = ["browser", "open_tab", "start_exporter"]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


class OpenTab(Protocol):
    """What the `open_tab` fixture is."""

    def __call__(self, url: str, **options: object) -> Tab:
        """Open a page in a context of its own, with options of Playwright's contexts."""
        ...


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module; Playwright's event loop must not outlive them in this thread."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """Open any number of pages. None may have logged an error or asked another host for anything."""
    with ExitStack() as stack:

        def open_one(url: str, **options: object) -> Tab:
            tab = Tab(browser, url, **options)
            stack.callback(tab.close)
            return tab

        yield open_one
