"""The demo's helper process: the server and its traffic, for as long as the pipe on stdin is open.

In: argv (binary, directory, commands per second, seed). Out: one line on stdout, the server's URL, once it answers.
"""

from __future__ import annotations

import select
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import redis

from exporter.demo.server import EmbeddedServer
from exporter.demo.shop import Command, Shop
from exporter.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_SECONDS = 0.02


class Traffic:
    """Sends a Shop's commands at a steady rate, pipelined, one connection per database."""

    def __init__(self, port: int, ops: int, shop: Shop) -> None:
        self._ops = ops
        self._shop = shop
        connection: Any = redis.Connection  # redis-py leaves it untyped
        self._connections = [connection(port=port, db=db, protocol=2, socket_timeout=1) for db in (0, 1)]

    def run(self, ended: Callable[[float], bool]) -> None:
        """Send until `ended(seconds)`, which waits that long at most, says so."""
        started, sent, wait = time.monotonic(), 0, 0.0
        while not ended(wait):
            elapsed = time.monotonic() - started
            due = int(elapsed * self._ops) - sent
            sent += due
            if due <= self._ops:  # after a pause of more than a second what was missed stays missed
                sent += self._send(due, elapsed) - due
            wait = max(0.0, TICK_SECONDS - (time.monotonic() - started - elapsed))
        for connection in self._connections:
            connection.disconnect()

    def _send(self, count: int, elapsed: float) -> int:
        batches = self._shop.commands(count, elapsed)
        for connection, commands in zip(self._connections, batches, strict=True):
            try:
                self._exchange(connection, commands)
            except (redis.ConnectionError, redis.TimeoutError):
                connection.disconnect()  # it connects again with the next batch
        return sum(map(len, batches))

    def _exchange(self, connection: Any, commands: list[Command]) -> None:
        if not commands:
            return
        connection.send_packed_command(connection.pack_commands(commands))
        for command in commands:
            try:
                reply: object = connection.read_response()
            except redis.ResponseError as error:
                reply = error
            self._shop.replied(command, reply)


def _helper(binary: Path, directory: Path, ops: int, seed: int, pipe: IO[str]) -> None:
    """Live the helper's whole life: server up, URL announced, traffic until the pipe closes, nothing left."""

    def ended(seconds: float) -> bool:
        return bool(select.select([pipe], [], [], seconds)[0]) or not server.alive

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with EmbeddedServer(binary, directory) as server:
            sys.stdout.write(f"redis://127.0.0.1:{server.port}/0\n")
            sys.stdout.flush()
            Traffic(server.port, ops, Shop(seed)).run(ended)
    except (CommandFailed, OSError) as error:
        sys.exit(str(error))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _helper(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.stdin)
