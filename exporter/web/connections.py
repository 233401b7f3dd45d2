"""Connections: clients come in, their requests go on to uvicorn; nobody can hold a place by being slow.

Whoever connects has five seconds for the TLS handshake and five for each request, and as long as an answer may take to
read it. Only so many connections may wait for their clients, and only so many bytes; beyond that one of the client that
holds most is closed, the one that has waited longest.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import sslproto
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.web.border import ANSWER_SECONDS, time_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from exporter.web.access import Access

REQUEST_SECONDS = 5.0
"""How long a client may take to send one request, from its first byte (or from connecting) to its last."""
HANDSHAKE_SECONDS = 5.0
READING_SECONDS = 1.0
"""What reading an answer may take longer than making it may."""
MAX_WAITING = 128
"""Connections that wait for their client. Prometheus needs one, a browser six."""
MAX_UNREAD, MAX_UNREAD_BYTES = 32, 16 * 1024 * 1024
"""Connections with unread answers, and the bytes of those; one alone may leave more, as a large answer has more."""
BUFFER_BYTES, SYSTEM_BUFFER_BYTES = 16 * 1024, 64 * 1024
"""What a client may leave unread before it counts as waiting, beyond what lies with the system."""
_UNSENT = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class Waiting:
    """The connections that wait for their client, for a request or to be rid of an answer; each client's in order."""

    def __init__(self) -> None:
        self._of: dict[bytes, OrderedDict[object, tuple[Callable[[], None], int]]] = {}
        self._client: dict[object, bytes] = {}

    def __len__(self) -> int:
        return len(self._client)

    def add(self, connection: object, client: bytes, close: Callable[[], None], unread: int = 0) -> None:
        """A connection waits, or waits on, with so many bytes unread; `close` ends it at once."""
        self._client[connection] = client
        self._of.setdefault(client, OrderedDict())[connection] = (close, unread)
        if len(self._client) > MAX_WAITING:
            self._close_one_of(max(self._of, key=lambda one: len(self._of[one])))
        while unread and self._is_too_much(self._held()):
            self._close_one_of(max(self._of, key=self._unread_by), least=1)

    def discard(self, connection: object) -> None:
        """A connection waits no longer, or is gone."""
        client = self._client.pop(connection, None)
        if client is not None:
            of = self._of[client]
            del of[connection]
            if not of:
                del self._of[client]

    def _held(self) -> list[int]:
        return [unread for of in self._of.values() for _, unread in of.values() if unread]

    @staticmethod
    def _is_too_much(held: list[int]) -> bool:
        return len(held) > MAX_UNREAD or (len(held) > 1 and sum(held) > MAX_UNREAD_BYTES)

    def _unread_by(self, client: bytes) -> int:
        return sum(unread for _, unread in self._of[client].values())

    def _close_one_of(self, client: bytes, least: int = 0) -> None:
        """Close the one of this client's connections that waits longest, of those with `least` bytes unread."""
        of = self._of[client]
        oldest = next(one for one, (_, unread) in of.items() if unread >= least)
        close, _ = of[oldest]
        self.discard(oldest)
        close()


def client_of(transport: asyncio.BaseTransport) -> bytes:
    """Tell who is at the other end: an IPv4 address, or the network of an IPv6 one, where a client has 2^64 of them."""
    peer = transport.get_extra_info("peername")
    address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
    if ":" not in address or address.startswith("::ffff:"):
        return address.encode()
    return socket.inet_pton(socket.AF_INET6, address.partition("%")[0])[:8]


class Impatient(H11Protocol):
    """uvicorn's HTTP/1.1 with time limits for the client; else slow ones would use up all connections."""

    def __init__(self, waiting: Waiting, **settings: Any) -> None:
        super().__init__(**settings)
        self._waiting = waiting
        self._of = b""
        self._asking: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a client that connects has something to ask."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(BUFFER_BYTES)
        sock = transport.get_extra_info("socket")
        # asyncio does this only for sockets that were made with an explicit protocol number, which a listening socket
        # from `socket.create_server` is not. Without it each answer waits 40 ms for the client's delayed ACK.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _UNSENT is not None:
            # Else the system takes some 4 MB for a client that does not read.
            sock.setsockopt(socket.IPPROTO_TCP, _UNSENT, SYSTEM_BUFFER_BYTES)
        self._of = client_of(transport)
        self._settle()
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Stop the clock at a complete request; the first byte of the next one starts it again."""
        super().data_received(data)
        if self._is_asking():
            self._ask()
        else:
            self._stop_asking()
        self._settle()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._settle()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        """Wait no longer for the client to read."""
        super().resume_writing()
        self._settle()

    def timeout_keep_alive_handler(self) -> None:
        """Close what was idle for too long."""
        super().timeout_keep_alive_handler()
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._stop_asking()
        self._stop_reading()
        self._waiting.discard(self)
        super().connection_lost(exc)

    def _is_asking(self) -> bool:
        return self.conn.their_state in {h11.IDLE, h11.SEND_BODY}

    def _settle(self) -> None:
        """Count among those who wait for their client, or do not; for one that does not read there is a clock."""
        is_leaving = self.transport.is_closing()
        if is_leaving or self.flow.write_paused:
            self._read()
        else:
            self._stop_reading()
        if is_leaving or self.flow.write_paused or self._is_asking():
            self._waiting.add(self, self._of, self.transport.abort, self.transport.get_write_buffer_size())
        else:
            self._waiting.discard(self)

    def _ask(self) -> None:
        if self._asking is None:
            self._asking = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _read(self) -> None:
        if self._reading is None:
            seconds = time_limit(cast("Scope", self.scope)) if self.scope else ANSWER_SECONDS
            self._reading = self.loop.call_later(seconds + READING_SECONDS, self.transport.abort)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


# The type stubs of asyncio.sslproto say other types than its documentation of the same parameters.
_SSLProtocol: Any = sslproto.SSLProtocol


class Tls(_SSLProtocol):  # type: ignore[misc]
    """asyncio's TLS with a smaller buffer (256 KiB for each idle client add up), and counted while it shakes hands."""

    max_size = 4 * 1024

    def __init__(self, waiting: Waiting, loop: asyncio.AbstractEventLoop, inner: Impatient, context: Any) -> None:
        super().__init__(
            loop, inner, context, None, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=1.0,
        )  # fmt: skip
        self._waiting = waiting

    def connection_made(self, transport: Any) -> None:
        """Count the connection until it speaks HTTP."""
        self._waiting.add(self, client_of(transport), transport.abort)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no longer."""
        self._waiting.discard(self)
        super().connection_lost(exc)

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        self._waiting.discard(self)
        super()._on_handshake_complete(handshake_exc)


class Connections:
    """Makes the protocol of each new connection, in TLS where the access rules have a certificate at that moment."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._waiting = Waiting()

    def __call__(self, **settings: Any) -> asyncio.BaseProtocol:
        """Return the protocol of one connection; called by uvicorn, whose `settings` these are."""
        inner = Impatient(self._waiting, **settings)
        context = self._access.rules.context
        return inner if context is None else Tls(self._waiting, asyncio.get_running_loop(), inner, context)
