"""The page of a Board that the test holds, served by the real application in a thread, and a browser to look at it."""

from __future__ import annotations

import re
import socket
import threading
from shutil import which
from typing import TYPE_CHECKING, Self

import uvicorn

from exporter.meters import Meters
from exporter.web.server import application
from tests.servers import wait_for
from tests.views import shop
from tests.web.daemon import FakeDaemon

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page, Request

    from exporter.config import Config
    from exporter.snapshot import Board
    from exporter.views.reading import Moment

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
# What Chromium asks its makers for by itself is no request of the page's.
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
)  # fmt: skip


class Site:
    """Serves the page of `board` until it is closed. The clock stands still at the board's own time, unless given."""

    def __init__(self, board: Board, config: Config, clock: Callable[[], Moment] = lambda: shop.NOW) -> None:
        app = application(board, FakeDaemon(config), Meters("0.1.0"), clock)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        wait_for(lambda: self._server.started, 40, "the page to be served")
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()


class Tab:
    """A page in a browser, and whatever went wrong in it."""

    def __init__(self, browser: Browser, url: str, **options: object) -> None:
        self._context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})  # type: ignore[arg-type]
        self.page: Page = self._context.new_page()
        self.problems: list[str] = []
        self.origin = url.partition("?")[0]
        self.page.on("console", lambda message: self.problems.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("request", self._requested)
        self.page.goto(url)

    def _requested(self, request: Request) -> None:
        asked = re.sub(r"//[^/@]*@", "//", request.url)
        if not asked.startswith((self.origin, "data:")):
            self.problems.append(f"a request to {request.url}")

    def keys(self) -> list[str]:
        """The names in the table of hot keys, as they are seen."""
        return self.page.locator("#hotkeys tbody th code").all_inner_texts()

    def close(self) -> None:
        """Close it; nothing may have gone wrong."""
        self._context.close()
        assert self.problems == []
