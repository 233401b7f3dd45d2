"""A TCP proxy for tests: what a network and load balancers may do to a connection, on purpose.

In: the port of a server. Out: another port, behind which the same server is further away, or shows less.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Self

FOREIGN = re.compile(rb'\+\d+\.\d{6} \[[^\n]*?\] (?!"PING" "hotkey-exporter:[0-9a-f]+:\d+")[^\n]*\r\n')
"""A line of MONITOR that is no mark of the session itself."""


class Proxy:
    """Forwards every connection to a server on loopback; a context manager.

    `delay` is how long each byte is under way, in each direction, in seconds. `blind` drops the lines of other clients
    from what MONITOR shows: so does a proxy that monitors on behalf of one client, or leads two connections to two
    servers.
    """

    def __init__(self, port: int, *, delay: float = 0.0) -> None:
        self._target = port
        self.delay = delay
        self.blind = False
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    @property
    def url(self) -> str:
        """Where it listens, as a URL."""
        return f"redis://127.0.0.1:{self.port}"

    def _run(self, body: object, *arguments: object) -> None:
        thread = threading.Thread(target=body, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                continue
            for one in (near, far):
                one.settimeout(None)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [near, far]
            self._run(_Pipe(self, near, far, seen=False).run)
            self._run(_Pipe(self, far, near, seen=True).run)


class _Pipe:
    """One direction of one connection; `seen` is the one in which MONITOR's lines come."""

    def __init__(self, proxy: Proxy, source: socket.socket, sink: socket.socket, *, seen: bool) -> None:
        self._proxy = proxy
        self._source = source
        self._sink = sink
        self._seen = seen
        self._rest = b""
        self._due: deque[tuple[float, bytes]] = deque()
        self._more = threading.Condition()

    def run(self) -> None:
        """Read until the end; what was read is sent when it is due."""
        sender = threading.Thread(target=self._send, daemon=True)
        sender.start()
        data = b"-"
        while data:
            try:
                data = self._source.recv(65_536)
            except OSError:
                data = b""
            with self._more:
                self._due.append((time.monotonic() + self._proxy.delay, data))
                self._more.notify()
        sender.join()

    def _send(self) -> None:
        while True:
            with self._more:
                while not self._due:
                    self._more.wait()
                due, data = self._due.popleft()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                with suppress(OSError):
                    self._sink.shutdown(socket.SHUT_WR)
                return
            with suppress(OSError):
                self._sink.sendall(self._shown(data))

    def _shown(self, data: bytes) -> bytes:
        if not self._seen or not self._proxy.blind:
            data, self._rest = self._rest + data, b""
            return data
        # A line may come in two parts: what follows the last line end waits, if it may be the beginning of one.
        data = self._rest + data
        start = data.rfind(b"\n") + 1
        whole, self._rest = (data[:start], data[start:]) if data[start : start + 1] == b"+" else (data, b"")
        return FOREIGN.sub(b"", whole)
