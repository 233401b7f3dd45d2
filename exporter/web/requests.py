"""Who asked for what: each request gets an id, which is in every line that is logged for it, and goes back.

The id is the client's `X-Request-ID`, else the trace of its `traceparent`, else a new one. Both headers are answered.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders

from exporter import tracing
from exporter.log import correlation, log

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_IDENTIFIER = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Requests:
    """ASGI middleware: the outermost, so that refusals and faults have an id as well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, inside of its id and its span."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _TAKEN}
        parent = tracing.read(headers.get(b"traceparent", ""))
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        attributes = {"http.request.method": method, "url.scheme": scope["scheme"]}
        began, status = time.monotonic(), 0
        with tracing.span(method, attributes, kind="SERVER", parent=parent) as span:
            here = tracing.ids() or _continued(parent)
            given = headers.get(b"x-request-id", "")
            identifier = given if _IDENTIFIER.fullmatch(given) else here.trace_id

            async def identified(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    answered = MutableHeaders(raw=message["headers"])
                    answered["X-Request-ID"], answered["traceparent"] = identifier, here.traceparent
                    message["headers"] = answered.raw
                await send(message)

            with correlation(identifier):
                try:
                    await self._app(scope, receive, identified)
                finally:
                    _end(span, scope, method, status)
                    log.debug("web.request", "a request was answered", method=method, route=_route(scope),
                              status=status, seconds=round(time.monotonic() - began, 6))  # fmt: skip


_TAKEN = frozenset({b"x-request-id", b"traceparent"})


def _continued(parent: tracing.Ids | None) -> tracing.Ids:
    """A place in the client's trace, or in a new one that nobody records."""
    if parent is None:
        return tracing.Ids(secrets.token_hex(16), secrets.token_hex(8), "00")
    return tracing.Ids(parent.trace_id, secrets.token_hex(8), parent.flags)


def _route(scope: Scope) -> str:
    """The path as the table of routes has it; what a client made up is not repeated."""
    route = scope.get("route")
    return str(route.path) if route is not None else "none"


def _end(span: Any, scope: Scope, method: str, status: int) -> None:
    if span is None:
        return
    span.update_name(f"{method} {_route(scope)}")
    span.set_attributes({"http.route": _route(scope), "http.response.status_code": status})
    if status >= 500 or not status:
        tracing.ended_by(span, str(status or "closed"))
