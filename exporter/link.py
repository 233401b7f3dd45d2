"""One connection to one node: commands in, raw RESP2 replies out; and what this process itself does on a node.

Errors of redis-py, of sockets and of TLS become a `NodeError` here and nowhere else.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import redis
from hiredis import pack_command
from redis.connection import Connection, UnixDomainSocketConnection
from redis.maint_notifications import MaintNotificationsConfig

from exporter.config import secret_of
from exporter.errors import DownReason, NodeError, TlsReason
from exporter.reasons import down_by_reply, reason_of
from exporter.tls import tls_fault
from exporter.tls.connection import TlsConnection, look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.config import Endpoint, Target
    from exporter.snapshot import Node
    from exporter.tls.connection import Negotiated

CLIENT_NAME = "hotkey-exporter"
CONNECT_TIMEOUT = 1.0
GONE_SECONDS = 1.0
"""How long a closed connection's address stays ours: longer than a slice of MONITOR takes to be read and counted."""
REPLY_TIMEOUT = 2.0
# redis-py's connections are not typed.
_TcpConnection: Any = Connection
_UnixConnection: Any = UnixDomainSocketConnection


class OwnTraffic:
    """What this process itself does on one node, so that it never counts as traffic.

    `addresses` are our connections as MONITOR shows them. `token` marks our commands where all clients look alike (unix
    sockets): it is this process's secret. `hits` and `misses` are what our probes added to the server's own counters.
    `reaped` are the ids of clients of ours that we had the server end, because it held too much for them. Connections
    that were opened before the last of the `renewals` use certificates that are not the newest. `commands` is how many
    we have had answered, all links together.
    `moved` is called when the server says that a key is at another node; `noticed` when the node's stream was
    lost, or is there again, so that the node is probed before its time: of many nodes each is probed every few seconds.
    """

    def __init__(self, moved: Callable[[], None] = lambda: None) -> None:
        self.moved = moved
        self.noticed: Callable[[], None] = lambda: None
        self._stream_lost = False
        self._addresses: frozenset[bytes] = frozenset()
        self._gone: dict[bytes, float] = {}
        self._lock = threading.Lock()
        self.token = b"hotkey-exporter:" + secrets.token_hex(8).encode()
        self.hits = 0
        self.misses = 0
        self.commands = 0
        self.reaped: frozenset[int] = frozenset()
        self.renewals = 0

    @property
    def addresses(self) -> frozenset[bytes]:
        """The addresses between the brackets of a MONITOR line that are ours."""
        if self._gone:
            with self._lock:
                over = [address for address, at in self._gone.items() if time.monotonic() - at > GONE_SECONDS]
                self._addresses -= frozenset(over)
                for address in over:
                    del self._gone[address]
        return self._addresses

    def add(self, address: bytes) -> None:
        """A connection of ours was opened."""
        with self._lock:
            self._addresses |= {address}
            self._gone.pop(address, None)

    def discard(self, address: bytes) -> None:
        """A connection of ours is gone: its last lines may still be in a stream, later its port is somebody else's."""
        with self._lock:
            if address in self._addresses:
                self._gone[address] = time.monotonic()

    def probed(self, hits: int, misses: int) -> None:
        """Our probes were counted by the server as this many hits and misses."""
        with self._lock:
            self.hits += hits
            self.misses += misses

    def stream(self, *, lost: bool) -> None:
        """Whoever reads the node's stream has lost it, or has it again. For one thread."""
        if lost != self._stream_lost:
            self._stream_lost = lost
            self.noticed()

    def answered(self, commands: int) -> None:
        """So many commands of ours were answered."""
        with self._lock:
            self.commands += commands

    def renew(self) -> None:
        """Certificates have changed: each connection is replaced by a new one when it is next used."""
        with self._lock:
            self.renewals += 1


class Link:
    """One connection to one node: raw replies, no retries, a bound on every wait.

    Replies are bytes, integers, None and lists of them. Any failure but an error reply closes the link;
    `call` opens it again. A link belongs to one thread. It uses the target's credentials and TLS, at `endpoint` where
    that is not the target's own, and waits `timeout` seconds for each reply unless told otherwise.
    """

    def __init__(
        self,
        target: Target,
        node: Node,
        own: OwnTraffic,
        endpoint: Endpoint | None = None,
        timeout: float = REPLY_TIMEOUT,
    ) -> None:
        self.node = node
        self.endpoint = endpoint or target.endpoint
        self.client_id: int | None = None
        self.waited = 0.0
        """Seconds from the first byte of the last exchange to its first reply: packing and reading are not in it."""
        self.authentication: tuple[str, ...] = ()
        self._target = target
        self._timeout = timeout
        self._own = own
        self._address: bytes | None = None
        self._connection: Any = None
        self._renewals = 0
        self._introduced = False
        self._posted: list[Any] = []

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that need not be renewed; it may have died since it was last used."""
        return self._connection is not None and not self.is_outdated

    @property
    def is_outdated(self) -> bool:
        """Whether the connection was made with certificates that have changed since; `open` replaces it."""
        return self._connection is not None and self._renewals != self._own.renewals

    @property
    def negotiated(self) -> Negotiated | None:
        """What the two sides of an open TLS connection agreed on; None without TLS."""
        found: Negotiated | None = getattr(self._connection, "negotiated", None)
        return found

    @property
    def address(self) -> bytes | None:
        """How MONITOR shows this connection; None while it is closed, and on a unix socket, where all look alike."""
        return self._address

    @property
    def was_reaped(self) -> bool:
        """Whether the server ended this connection because we asked it to: it held too much for it."""
        return self.client_id in self._own.reaped

    @property
    def socket(self) -> socket.socket:
        """The open socket, for the one reader that needs bytes as they come (MONITOR)."""
        sock: socket.socket = self._connection._sock  # redis-py has no public name for it
        return sock

    def open(self) -> None:
        """Connect, authenticate with the secret as it is now, and learn how the server sees us.

        Raises:
            NodeError: the node cannot be used, with the reason.

        """
        if self.is_open:
            return
        self.close()
        self._renewals, self._introduced = self._own.renewals, False
        connection: Any = None
        try:
            connection = self._unconnected()
            connection.connect()
        except (redis.RedisError, OSError, ValueError) as error:
            if connection is not None:
                connection.disconnect()
            raise self._failed("connect", error) from None
        self._connection = connection
        self._introduce()
        self._introduced = True

    def close(self) -> None:
        """Close the connection, if there is one. Never raises."""
        connection, self._connection = self._connection, None
        if self._address is not None:
            self._own.discard(self._address)
            self._address = None
        if connection is not None:
            connection.disconnect()

    def interrupt(self) -> None:
        """Make whoever waits on this link fail at once. The only method that another thread may call."""
        connection = self._connection
        sock = connection._sock if connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def call(self, *command: str | bytes | int, timeout: float | None = None) -> Any:
        """Send one command and wait for its reply.

        Raises:
            redis.ResponseError: the server refused this command; the link stays open.
            NodeError: anything else; the link is closed.

        """
        [reply] = self._exchange([command], timeout)
        if isinstance(reply, redis.ResponseError):
            raise reply
        return reply

    def pipeline(self, commands: Sequence[Sequence[str | bytes | int]], timeout: float | None = None) -> list[Any]:
        """Send several commands at once; an error reply stands in the list as a `redis.ResponseError`."""
        return self._exchange(commands, timeout)

    def receive(self, timeout: float) -> Any:
        """One message that comes by itself (a subscription's), or None when none came in time. Raises NodeError."""
        self.open()
        try:
            if not self._connection.can_read(timeout=timeout):
                return None
            return self._connection.read_response(disable_decoding=True, timeout=timeout)
        except (redis.RedisError, OSError) as error:
            self.close()
            raise self._failed("SUBSCRIBE", error) from None

    def post(self, *commands: Sequence[str | bytes | int]) -> None:
        """Send commands on an open link and do not wait; `posted` has the replies. Raises NodeError."""
        self._posted = []
        try:
            self.socket.settimeout(self._timeout)
            self.socket.sendall(self.pack(*commands))
        except (AttributeError, OSError) as error:  # another thread may have ended the connection
            self.close()
            raise self._failed(str(commands[0][0]), error) from None

    def posted(self, count: int) -> list[Any] | None:
        """The replies to what was posted once all `count` have come, and None before; errors are values.

        Raises:
            NodeError: the connection broke, and the link is closed.

        """
        try:
            while len(self._posted) < count:
                if not self._connection.can_read(timeout=0):
                    return None
                self._posted.append(self._reply(self._timeout))
        except (redis.RedisError, AttributeError, OSError) as error:
            self.close()
            raise self._failed("PING", error) from None
        return self._posted

    def pack(self, *commands: Sequence[str | bytes | int]) -> bytes:
        """The wire form of commands, for writing to `socket`."""
        return b"".join(pack_command(tuple(command)) for command in commands)  # type: ignore[arg-type]

    def _exchange(self, commands: Sequence[Sequence[str | bytes | int]], timeout: float | None) -> list[Any]:
        timeout = self._timeout if timeout is None else timeout
        self.open()
        try:
            self.socket.settimeout(timeout)
            packed = self.pack(*commands)
            began = time.perf_counter()
            self.socket.sendall(packed)
            replies = [self._reply(timeout)]
            self.waited = time.perf_counter() - began
            self._own.answered(len(commands))
            # The others have come with it, mostly: redis-py's precautions around each would take longer than all else.
            read = self._connection._parser.read_response
            replies += [read(disable_decoding=True, timeout=timeout) for _ in range(len(commands) - 1)]
        except (redis.RedisError, OSError, ValueError) as error:  # a reply that cannot be read is a ValueError
            self.close()
            raise self._failed(str(commands[0][0]), error) from None
        for reply in replies:
            if isinstance(reply, redis.exceptions.MovedError):
                self._own.moved()
        return replies

    def _reply(self, timeout: float) -> Any:
        """The next reply; an error reply is a value."""
        try:
            return self._connection.read_response(disable_decoding=True, timeout=timeout)
        except redis.ResponseError as refusal:
            return refusal

    def _unconnected(self) -> Any:
        endpoint, target = self.endpoint, self._target
        username = target.username or endpoint.username
        try:
            password = secret_of(target)
        except OSError as error:
            raise NodeError(self.node.addr, "read password_file", DownReason.SECRET, error.strerror or "") from None
        if password is not None:
            self.authentication = (username, password) if username else (password,)
        shared: dict[str, Any] = {
            "username": username,
            "password": password,
            "socket_timeout": self._timeout,
            "socket_connect_timeout": min(CONNECT_TIMEOUT, self._timeout),
            "protocol": 2,
            # Both would add to the errorstats of servers that do not know them.
            "driver_info": None,
        }
        if endpoint.path:
            return _UnixConnection(path=endpoint.path, **shared)
        shared["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
        if not endpoint.tls:
            return _TcpConnection(host=endpoint.host, port=endpoint.port, **shared)
        name = target.tls.server_name or endpoint.host
        try:
            return TlsConnection(target.tls, name, host=endpoint.host, port=endpoint.port, **shared)
        except OSError as error:
            fault = tls_fault(error)
            raise NodeError(self.node.addr, "read certificates", DownReason.TLS, fault.words, fault.reason) from None

    def _introduce(self) -> None:
        """Give our connection a name and learn its address and id; a server may refuse each of these."""
        replies = self.pipeline([("CLIENT", "SETNAME", CLIENT_NAME), ("CLIENT", "INFO"), ("CLIENT", "ID")])
        for reply in replies:
            if isinstance(reply, redis.ResponseError) and (down := down_by_reply(reply)) is not None:
                self.close()
                raise NodeError(self.node.addr, "connect", down, str(reply)[:80])
        _, info, client_id = replies
        self.client_id = client_id if isinstance(client_id, int) else None
        if self.endpoint.path:
            return
        if isinstance(info, bytes):
            fields = dict(field.split(b"=", 1) for field in info.split() if b"=" in field)
            self._address = fields.get(b"addr")
        if self._address is None:
            host, port, *_ = self.socket.getsockname()
            self._address = f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()
        self._own.add(self._address)

    def _failed(self, act: str, error: Exception) -> NodeError:
        if isinstance(error, NodeError):
            return error
        reason, detail = reason_of(error)
        fault = tls_fault(error) if self.endpoint.tls else None
        unclear = reason is DownReason.CLOSED or (fault is not None and fault.reason is TlsReason.CLOSED)
        if fault is not None and unclear and not self._introduced and (verdict := self._verdict()) is not None:
            reason, fault = DownReason.TLS, tls_fault(verdict)
        if fault is None or reason is not DownReason.TLS:
            return NodeError(self.node.addr, act, reason, detail)
        return NodeError(self.node.addr, act, reason, fault.words, fault.reason)

    def _verdict(self) -> OSError | None:
        """Why a server hangs up: it may have sent its reason behind our first words, where nobody can read it."""
        try:
            look(self._target.tls, self.endpoint, min(CONNECT_TIMEOUT, self._timeout))
        except ssl.SSLError as error:
            return error
        except OSError:
            return None
        return None
