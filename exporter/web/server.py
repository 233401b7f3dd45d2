"""The HTTP server: `application` joins routes and endpoints, `serve` runs it until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from exporter.views.reading import Moment
from exporter.web.access import Access, Gate, changing
from exporter.web.answers import error, line
from exporter.web.border import Border, Deadline
from exporter.web.connections import Connections
from exporter.web.requests import Requests
from exporter.web.site import Site

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from exporter.meters import Meters
    from exporter.snapshot import Board
    from exporter.web.daemon import Daemon

IDLE_SECONDS = 75
"""How long a connection may idle between requests: longer than Prometheus' usual scrape interval of a minute."""
CONNECTIONS = 512
"""With a request under way or without: far more than there can be, since the silent ones are bounded."""
SHUTDOWN_SECONDS = 1
_JSON_PATHS = ("/api/", "/health")


def moment() -> Moment:
    """Read both clocks."""
    return Moment(time.monotonic(), time.time())


def application(
    board: Board, daemon: Daemon, meters: Meters, clock: Callable[[], Moment] = moment, access: Access | None = None
) -> Starlette:
    """Build the app: what is known is on the Board, what can be asked of the process is asked of the daemon.

    `access` says who may ask; without it, everybody may ask and nobody may change anything.
    """
    access = access or Access()
    site = Site(board, daemon, meters, clock, access)
    endpoints = {
        "/": site.page,
        "/metrics": site.metrics,
        "/scrape": site.scrape,
        "/sd": site.discovery,
        "/health": site.health,
        "/health/redis": site.health_redis,
        "/health/redis-alerts": site.health_alerts,
        "/api/v1/hotkeys": site.hotkeys,
        "/api/v1/hotkeys/{key:path}": site.hotkey,
        "/api/v1/status": site.status,
        "/api/v1/warming": site.warming,
        "/-/healthy": site.healthy,
        "/-/ready": site.ready,
        "/assets/{name}": site.asset,
    }
    routes = [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()]
    changes = [
        Route("/-/reload", changing(site.reload), methods=["POST"]),
        Route("/api/v1/sampling", changing(site.switch), methods=["POST"]),
        Route("/api/v1/warming/{job}", changing(site.warm), methods=["POST"]),
    ]
    app = Starlette(
        routes=[*routes, *changes],
        middleware=[Middleware(Requests), Middleware(Border), Middleware(Gate, access), Middleware(Deadline)],
        exception_handlers={HTTPException: refuse},
    )
    # A redirect would be built from the client's Host header.
    app.router.redirect_slashes = False
    return app


async def refuse(request: Request, refusal: Exception) -> Response:
    """Answer a refusal in one line: JSON where JSON is expected, text elsewhere."""
    assert isinstance(refusal, HTTPException)
    # Not request.url, which is put together from the Host header and may not be readable at all.
    path = quote(request.scope["path"][:100], safe="/")
    text = {404: f"nothing here: {path}", 405: f"method not allowed: {request.method[:20]} {path}"}
    given = "" if refusal.detail in {"Not Found", "Method Not Allowed"} else refusal.detail
    said = given or text.get(refusal.status_code, refusal.detail)
    if request.scope["path"].startswith(_JSON_PATHS):
        return error(said, refusal.status_code, refusal.headers)
    return line(f"{refusal.status_code}: {said}", refusal.status_code, refusal.headers)


class Server(uvicorn.Server):
    """uvicorn's server that returns when a signal ended it, and says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down in order, then cut off whoever did not let go: a body that nobody reads would stay open."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT while serving and put the old handlers back.

        uvicorn raises the signal again at this point, which would end the process before the caller has stopped the
        rest.
        """
        old = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for one, handler in old.items():
                signal.signal(one, handler)


def serve(
    app: ASGIApp, sock: socket.socket, on_ready: Callable[[], None] | None = None, access: Access | None = None
) -> None:
    """Serve on a listening socket, in the main thread, until SIGTERM or SIGINT; the socket is closed on return.

    Connections that are open then are closed within SHUTDOWN_SECONDS.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=cast("type[asyncio.Protocol]", Connections(access or Access())),
        ws="none",
        lifespan="off",
        log_config=None,
        # Its lines about a client's broken request are the client's business, and unbounded.
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # asyncio accepts as many at a time: a flood shall not be let in faster than the silent ones are closed.
        backlog=64,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        h11_max_incomplete_event_size=16 * 1024,
    )
    Server(config, on_ready).run(sockets=[sock])
