"""Somebody who listens on a loopback port, for tests that need a server which is not Redis."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Listener:
    """Accepts on `port`, one connection after the other, until it is closed; `meet` says what is done with each."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def meet(self, plain: socket.socket) -> None:
        """Talk to whoever has come; an `OSError` ends the talk, and the connection is closed in any case."""
        raise NotImplementedError

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            with suppress(OSError), plain:
                self.meet(plain)
