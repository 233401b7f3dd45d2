"""The watchdog's own program: it shuts connections that were not given back in time. Standard library only.

Run as `python -I -S watchdog_child.py FD` by `watchdog`, which holds the other end of that socket and describes the
records. It needs no password, no TLS and no answer of the server: it holds a duplicate of the connection itself, so
shutting that ends the connection for everybody. It ends when its parent does, and shuts what is armed then.
"""

from __future__ import annotations

import array
import contextlib
import os
import selectors
import signal
import socket
import struct
import sys
import time

RECORD = struct.Struct("=cd")  # what to do, and until when (time.monotonic, which all processes of a host share)
CHANNEL, ARM, EXTEND, DISARM = b"C", b"A", b"E", b"D"
DONE, KILLED = b"+", b"-"
_MOST_FDS = 16
_LONGEST_WAIT_SECONDS = 60.0


class Channel:
    """One guard: at most one armed connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.deadline = 0.0
        self.killed = False
        self._armed: socket.socket | None = None
        self._partial = b""
        sock.setblocking(False)

    @property
    def armed(self) -> bool:
        """Whether there is a connection to shut."""
        return self._armed is not None

    def read(self) -> bool:
        """Take in what has come and answer each record; False when the guard is gone."""
        try:
            data, fds = _receive(self.sock)
        except BlockingIOError:
            return True
        except OSError:
            return False
        connections = [socket.socket(fileno=fd) for fd in fds]
        self._partial += data
        while len(self._partial) >= RECORD.size:
            what, until = RECORD.unpack_from(self._partial)
            self._partial = self._partial[RECORD.size :]
            with contextlib.suppress(OSError):
                self.sock.send(self._obey(what, until, connections))
        return bool(data)

    def kill(self) -> None:
        """Shut the armed connection, if there is one."""
        if self._armed is not None:
            with contextlib.suppress(OSError):
                self._armed.shutdown(socket.SHUT_RDWR)
            self._release()
            self.killed = True

    def _obey(self, what: bytes, until: float, connections: list[socket.socket]) -> bytes:
        if what == ARM and connections:
            self._release()
            self._armed, self.killed = connections.pop(0), False
        elif what == DISARM:
            self._release()
        if what in {ARM, EXTEND}:
            self.deadline = until
        return KILLED if self.killed else DONE

    def _release(self) -> None:
        if self._armed is not None:
            self._armed.close()
            self._armed = None


def main(control: socket.socket) -> None:
    """Serve guards until the parent closes `control` or is gone."""
    # Ctrl-C and a service manager's stop reach this process too, but it is the parent's end that ends it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _hurry()
    channels: set[Channel] = set()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        ended = False
        while not ended:
            waits = [channel.deadline - time.monotonic() for channel in channels if channel.armed]
            for key, _ in selector.select(max(0.0, min(waits, default=_LONGEST_WAIT_SECONDS))):
                if key.data is None:
                    ended = not _admit(control, channels, selector)
                elif not key.data.read():
                    key.data.kill()
                    channels.discard(key.data)
                    selector.unregister(key.data.sock)
                    key.data.sock.close()
            now = time.monotonic()
            for channel in channels:
                if ended or channel.deadline <= now:
                    channel.kill()


def _hurry() -> None:
    """Run before everything else on a host that is short of CPU, where that is allowed; it is busy for microseconds."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def _admit(control: socket.socket, channels: set[Channel], selector: selectors.BaseSelector) -> bool:
    """Take in the channels that new guards bring; False when the parent is gone."""
    data, fds = _receive(control)
    for fd in fds:
        channel = Channel(socket.socket(fileno=fd))
        channels.add(channel)
        selector.register(channel.sock, selectors.EVENT_READ, channel)
    return bool(data)


def _receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Bytes and the file descriptors that came with them."""
    fds = array.array("i")
    data, ancillary, _, _ = sock.recvmsg(4096, socket.CMSG_SPACE(_MOST_FDS * fds.itemsize))
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return data, list(fds)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
