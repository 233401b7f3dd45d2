"""Connections: clients come in, their requests go on to uvicorn; nobody can hold a place by being silent.

Whoever connects has five seconds for the TLS handshake and five for each request, and only so many connections may be
open without a request; beyond that the one that has waited longest is closed.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import sslproto
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.web.access import Access

REQUEST_SECONDS = 5.0
"""How long a client may take to send one request, from its first byte (or from connecting) to its last."""
HANDSHAKE_SECONDS = 5.0
MAX_SILENT = 128
"""Connections without a request under way. Prometheus needs one, a browser six."""


class Silent:
    """The connections that have no request under way, the one that is longest so first."""

    def __init__(self) -> None:
        self._close: OrderedDict[object, Callable[[], None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._close)

    def add(self, connection: object, close: Callable[[], None]) -> None:
        """A connection is silent now; `close` ends it at once."""
        self._close[connection] = close
        if len(self._close) > MAX_SILENT:
            _, oldest = self._close.popitem(last=False)
            oldest()

    def discard(self, connection: object) -> None:
        """A connection has a request, or is gone."""
        self._close.pop(connection, None)


class Impatient(H11Protocol):
    """uvicorn's HTTP/1.1 with a time limit for sending a request; else silent clients would use up all connections."""

    def __init__(self, silent: Silent, **settings: Any) -> None:
        super().__init__(**settings)
        self._silent = silent
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a client that connects has something to ask."""
        super().connection_made(transport)
        # asyncio does this only for sockets that were made with an explicit protocol number, which a listening socket
        # from `socket.create_server` is not. Without it each answer waits 40 ms for the client's delayed ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._silent.add(self, transport.abort)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Stop the clock at a complete request; the first byte of the next one starts it again."""
        super().data_received(data)
        if self.conn.their_state in {h11.IDLE, h11.SEND_BODY}:
            self._wait()
        else:
            self._stop_waiting()
            self._silent.discard(self)

    def on_response_complete(self) -> None:
        """Be silent until the next request."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            self._silent.add(self, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock for good."""
        self._stop_waiting()
        self._silent.discard(self)
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


# The type stubs of asyncio.sslproto say other types than its documentation of the same parameters.
_SSLProtocol: Any = sslproto.SSLProtocol


class Tls(_SSLProtocol):  # type: ignore[misc]
    """asyncio's TLS with a smaller buffer (256 KiB for each idle client add up), and counted while it shakes hands."""

    max_size = 4 * 1024

    def __init__(self, silent: Silent, loop: asyncio.AbstractEventLoop, inner: Impatient, context: Any) -> None:
        super().__init__(
            loop, inner, context, None, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=1.0,
        )  # fmt: skip
        self._silent = silent

    def connection_made(self, transport: Any) -> None:
        """Count the connection until it speaks HTTP."""
        self._silent.add(self, transport.abort)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no longer."""
        self._silent.discard(self)
        super().connection_lost(exc)

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        self._silent.discard(self)
        super()._on_handshake_complete(handshake_exc)


class Connections:
    """Makes the protocol of each new connection, in TLS where the access rules have a certificate at that moment."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._silent = Silent()

    def __call__(self, **settings: Any) -> asyncio.BaseProtocol:
        """Return the protocol of one connection; called by uvicorn, whose `settings` these are."""
        inner = Impatient(self._silent, **settings)
        context = self._access.rules.context
        return inner if context is None else Tls(self._silent, asyncio.get_running_loop(), inner, context)
