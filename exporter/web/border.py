"""The border of one request: a fault of ours is answered in one line, and no answer takes longer than its time limit.

Both are ASGI middleware: a request comes in, and whatever happens inside, one whole answer or none goes out.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from exporter.log import Throttle
from exporter.web.answers import line

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TIMEOUT_HEADER = b"x-prometheus-scrape-timeout-seconds"
ANSWER_SECONDS = 10.0
"""The limit where the client names none: Prometheus' own default."""
LONGEST_ANSWER_SECONDS = 60.0
MARGIN_SECONDS = 0.5
"""What the way back may take, out of the client's limit; of a short limit a tenth."""


class _Sending:
    """`send`, and whether it was used: a started answer cannot be replaced by another one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        await self._send(message)


class Border:
    """A fault of ours is answered in one line, and logged, but not at every scrape again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = Throttle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        sending = _Sending(send)
        try:
            await self._app(scope, receive, sending)
        except Exception as fault:  # noqa: BLE001 - the border
            path = scope["path"]
            self._log.failure((path, type(fault)), "web.request_failed", "a request failed", fault, path=path)
            if not sending.started:
                await line("500: internal error, see the log", 500)(scope, receive, send)


class Deadline:
    """An answer that is not out in time is given up: the client has stopped waiting, or does not read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a body that is under way when time is over ends with its connection."""
        sending, seconds = _Sending(send), time_limit(scope)
        try:
            async with asyncio.timeout(seconds):
                await self._app(scope, receive, sending)
        except TimeoutError:
            if not sending.started:
                await line(f"503: no answer within {seconds:g} s", 503)(scope, receive, send)


def time_limit(scope: Scope) -> float:
    """Say how many seconds the answer to a request may take, by what Prometheus says it will wait."""
    said = next((value for name, value in scope["headers"] if name == TIMEOUT_HEADER), b"")
    try:
        seconds = float(said)
    except ValueError:
        return ANSWER_SECONDS
    if not math.isfinite(seconds) or seconds <= 0:
        return ANSWER_SECONDS
    return min(LONGEST_ANSWER_SECONDS, seconds - min(MARGIN_SECONDS, seconds / 10))
