"""A receiver of HTTP messages for tests: whatever is posted to it is kept."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Letter:
    """One message: when it came (`time.monotonic`), to which path, with which credentials, and its JSON."""

    at: float
    path: str
    authorization: str
    body: Any


class Mailbox:
    """A server on a free loopback port; a context manager."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        letters = self.letters

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                letters.append(Letter(time.monotonic(), self.path, self.headers.get("Authorization", ""), body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
