"""Ends a burst that this process cannot end itself: frozen, stuck in the interpreter's lock, or dead.

In: an open connection and a deadline. Out: if the deadline passes, that connection is shut by a tiny child process
(`watchdog_child`) that holds a duplicate of it. Shutting works whatever the server does, over TLS, and without a
password; the server sees its client go and frees what it held for it.

    guard = watchdog.guard()            one for each thread that reads MONITOR
    guard.arm(sock, seconds)            False: no watchdog answers, so there must be no burst
    guard.extend(seconds)               "I live": a new deadline
    guard.disarm()                      True: it was too late, the connection is shut

Records go over a socket of the guard's own, 9 bytes each, and every one is answered with one byte.
"""

from __future__ import annotations

import array
import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

from exporter.log import log
from exporter.monitor import watchdog_child
from exporter.monitor.watchdog_child import ARM, CHANNEL, DISARM, EXTEND, KILLED, RECORD

ANSWER_SECONDS = 0.25
"""An idle process answers within a tenth of a millisecond; on a host that is short of CPU it may take some more."""
START_SECONDS = 3.0
"""How long the first answer may take: the child has to start."""
RESTART_SECONDS = 1.0
STOP_SECONDS = 1.0


class Guard(Protocol):
    """Watches over one MONITOR connection at a time. Belongs to one thread."""

    @property
    def healthy(self) -> bool:
        """Whether the watchdog has answered what it was told last."""
        ...

    def arm(self, sock: socket.socket, seconds: float) -> bool:
        """Have `sock` shut `seconds` from now; False if nobody would do it."""
        ...

    def extend(self, seconds: float) -> None:
        """Move the deadline to `seconds` from now."""
        ...

    def disarm(self) -> bool:
        """Give the connection back; True if it has been shut."""
        ...


class Watchdog:
    """The child process, shared by all guards. It is started at the first need and again whenever it is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._started_at: float | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id of the child, None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def guard(self) -> ChildGuard:
        """A new guard, for one thread."""
        return ChildGuard(self)

    def channel(self) -> socket.socket | None:
        """A new socket to a living child, or None: it cannot be started, or was started a moment ago."""
        with self._lock:
            if self._closed or not self._alive():
                return None
            ours, theirs = socket.socketpair()
            try:
                _send(self._control, RECORD.pack(CHANNEL, 0.0), theirs)
            except OSError:
                ours.close()
                return None
            finally:
                theirs.close()
        ours.settimeout(START_SECONDS)
        return ours

    def restart(self) -> None:
        """The child did not answer: end it, so that the next `channel` starts another."""
        with self._lock:
            self._end()

    def close(self) -> None:
        """End the child for good."""
        with self._lock:
            self._closed = True
            self._end()

    def _alive(self) -> bool:
        if self._process is not None and self._process.poll() is None:
            return True
        now = time.monotonic()
        if self._started_at is not None and now - self._started_at < RESTART_SECONDS:
            return False
        self._end()
        again, self._started_at = self._started_at is not None, now
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", str(Path(watchdog_child.__file__)), str(theirs.fileno())]
        try:
            # A session of its own: Ctrl-C at a terminal must not end it before us.
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True, close_fds=True
            )
        except OSError as error:
            ours.close()
            log.error("watchdog.failed", "the watchdog cannot be started, so there is no sampling", detail=str(error))
            return False
        finally:
            theirs.close()
        self._control = ours
        ours.settimeout(ANSWER_SECONDS)
        (log.warning if again else log.debug)("watchdog.started", "the watchdog runs", pid=self._process.pid)
        return True

    def _end(self) -> None:
        control, self._control = self._control, None
        process, self._process = self._process, None
        if control is not None:
            control.close()
        if process is None:
            return
        try:
            process.wait(STOP_SECONDS if self._closed else 0.05)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class ChildGuard:
    """A `Guard` whose other end is the child process."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._channel: socket.socket | None = None
        self._unanswered = 0
        self._armed = False

    @property
    def healthy(self) -> bool:
        """Whether the watchdog has answered all but what it was told a moment ago."""
        self._drain()
        return self._channel is not None and self._unanswered <= 1

    def arm(self, sock: socket.socket, seconds: float) -> bool:
        """Have `sock` shut `seconds` from now, unless told otherwise; False if nobody would do it."""
        if self._channel is None:
            self._channel, self._unanswered = self._watchdog.channel(), 0
        self._armed = self._channel is not None and self._ask(ARM, seconds, sock) is not None
        return self._armed

    def extend(self, seconds: float) -> None:
        """Move the deadline to `seconds` from now. Does not wait: `healthy` tells whether it was heard."""
        if self._armed and self._channel is not None:
            self._drain()
            try:
                _send(self._channel, RECORD.pack(EXTEND, time.monotonic() + seconds))
                self._unanswered += 1
            except OSError:
                self._lost()

    def disarm(self) -> bool:
        """Give the connection back; True if it has been shut."""
        if not self._armed:
            return False
        self._armed = False
        return self._channel is not None and self._ask(DISARM, 0.0) == KILLED

    def close(self) -> None:
        """Close the channel; what is armed is shut."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _ask(self, what: bytes, seconds: float, sock: socket.socket | None = None) -> bytes | None:
        """Send a record and wait for its answer; None if there is none, and then the child is replaced."""
        channel = self._channel
        assert channel is not None
        try:
            _send(channel, RECORD.pack(what, time.monotonic() + seconds), sock)
            answer = b""
            for _ in range(self._unanswered + 1):
                answer = channel.recv(1)
                if not answer:
                    break
        except OSError:
            answer = b""
        if not answer:
            self._lost()
            return None
        self._unanswered = 0
        channel.settimeout(ANSWER_SECONDS)
        return answer

    def _drain(self) -> None:
        """Count the answers that have come since."""
        if self._channel is None or not self._unanswered:
            return
        self._channel.settimeout(0.0)
        with contextlib.suppress(OSError):  # that the child is gone shows when it is asked
            self._unanswered -= len(self._channel.recv(self._unanswered))
        self._channel.settimeout(ANSWER_SECONDS)

    def _lost(self) -> None:
        self.close()
        self._watchdog.restart()


def _send(channel: socket.socket | None, record: bytes, passed: socket.socket | None = None) -> None:
    """Send one record, with a duplicate of the socket `passed`."""
    if channel is None:
        raise BrokenPipeError
    if passed is None:
        channel.sendall(record)
    else:
        rights = array.array("i", [passed.fileno()])
        channel.sendmsg([record], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
