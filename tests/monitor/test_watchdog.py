"""A connection that is not given back in time is shut, whatever became of the process that armed it."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from exporter.monitor.watchdog import ChildGuard, Watchdog
from tests.servers import ROOT, dies_with_us, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

LATE = 5.0  # seconds within which what must happen at once has happened, however busy this machine is
# Arms both ends of nothing: a pair of sockets, of which the test holds the other end, and then waits for its fate.
VICTIM = """
import ctypes, socket, sys, time
from exporter.monitor.watchdog import Watchdog
guard = Watchdog().guard()
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
assert guard.arm(sock, 0.3)
sock.sendall(b"armed")
if sys.argv[2] == "hold the interpreter's lock":
    ctypes.PyDLL(None).usleep(20_000_000)
time.sleep(20)
"""


class Tracked(Watchdog):
    """A watchdog that closes its guards."""

    def __init__(self) -> None:
        super().__init__()
        self.guards: list[ChildGuard] = []

    def guard(self) -> ChildGuard:
        """A new guard."""
        self.guards.append(super().guard())
        return self.guards[-1]


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    """A watchdog that has ended when the test has."""
    watchdog = Tracked()
    yield watchdog
    pid = watchdog.pid
    for guard in watchdog.guards:
        guard.close()
    watchdog.close()
    assert pid is None or not psutil.pid_exists(pid)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        theirs.settimeout(LATE)
        yield ours, theirs


def is_shut(theirs: socket.socket, within: float = 0.0) -> bool:
    """Whether the other end has been shut."""
    return bool(select.select([theirs], [], [], within)[0]) and not theirs.recv(1)


def test_what_is_not_given_back_is_shut(watchdog: Watchdog, pair: tuple[socket.socket, socket.socket]) -> None:
    """Past the deadline the connection ends for both sides, and `disarm` says so; then the guard serves again."""
    ours, theirs = pair
    guard = watchdog.guard()
    began = time.monotonic()
    assert guard.arm(ours, 0.2)
    assert is_shut(theirs, LATE)
    assert time.monotonic() - began >= 0.2
    assert ours.recv(1) == b""
    assert guard.disarm()
    assert not guard.disarm(), "it was only late once"
    left, right = socket.socketpair()
    with left, right:
        assert guard.arm(left, LATE)
        assert not guard.disarm()


def test_what_is_given_back_or_extended_in_time_lives(
    watchdog: Watchdog, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Neither a connection that was disarmed nor one whose deadline is always moved is touched."""
    ours, theirs = pair
    guard = watchdog.guard()
    assert guard.arm(ours, 0.15)
    assert not guard.disarm()
    assert not is_shut(theirs, 0.3)
    assert guard.arm(ours, LATE)
    for _ in range(100):
        guard.extend(LATE)
    wait_for(lambda: guard.healthy, LATE, "all answers")
    assert not guard.disarm()
    assert not is_shut(theirs)


def test_guards_do_not_know_each_other(watchdog: Watchdog) -> None:
    """One guard's deadline ends one connection; a guard that goes away takes only its own with it."""
    pairs = [socket.socketpair() for _ in range(20)]
    guards = [watchdog.guard() for _ in pairs]
    for guard, (ours, _) in zip(guards, pairs, strict=True):
        assert guard.arm(ours, 60)
    assert guards[3].arm(pairs[3][0], 0.05)
    guards[7].close()
    assert is_shut(pairs[3][1], LATE)
    assert is_shut(pairs[7][1], LATE)
    assert [guard.disarm() for guard in guards] == [n == 3 for n in range(20)]
    assert not any(is_shut(theirs) for n, (_, theirs) in enumerate(pairs) if n not in {3, 7})
    for ends in pairs:
        for end in ends:
            end.close()


@pytest.mark.parametrize("fate", ["SIGSTOP", "SIGKILL", "hold the interpreter's lock"])
def test_a_parent_that_cannot_end_it(fate: str) -> None:
    """Frozen, killed or stuck: the connection that it armed is shut all the same, and no child stays behind."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [*dies_with_us(), sys.executable, "-c", VICTIM, str(listener.getsockname()[1]), fate]
        with subprocess.Popen(command, cwd=ROOT) as victim:
            theirs, _ = listener.accept()
            theirs.settimeout(LATE)
            assert theirs.recv(5) == b"armed"
            children = psutil.Process(victim.pid).children()
            if fate.startswith("SIG"):
                victim.send_signal(signal.Signals[fate])
            assert is_shut(theirs, LATE)
            victim.kill()
            theirs.close()
    wait_for(lambda: not any(child.is_running() for child in children), LATE, "the child to end with its parent")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_without_a_living_watchdog_nothing_is_armed(
    watchdog: Watchdog, pair: tuple[socket.socket, socket.socket], number: signal.Signals
) -> None:
    """A child that is gone or frozen is noticed before MONITOR, and replaced within seconds."""
    ours, _ = pair
    guard = watchdog.guard()
    assert guard.arm(ours, LATE)
    assert not guard.disarm()
    first = watchdog.pid
    assert first
    os.kill(first, number)
    assert not guard.arm(ours, LATE)
    wait_for(lambda: guard.arm(ours, LATE), LATE, "another watchdog")
    assert watchdog.pid != first
    assert not guard.disarm()
    wait_for(lambda: not psutil.pid_exists(first), LATE, "the first watchdog to be gone")


def test_a_watchdog_that_dies_in_between_is_noticed(
    watchdog: Watchdog, pair: tuple[socket.socket, socket.socket]
) -> None:
    """While a connection is armed for long, `healthy` tells that nobody watches any more."""
    ours, _ = pair
    guard = watchdog.guard()
    assert guard.arm(ours, LATE)
    assert watchdog.pid
    os.kill(watchdog.pid, signal.SIGSTOP)
    for _ in range(3):
        guard.extend(LATE)
    assert not guard.healthy
    guard.disarm()


def test_the_watchdog_is_tiny_and_deaf_to_the_terminal(watchdog: Watchdog) -> None:
    """It takes at most 14 MB, and neither Ctrl-C nor a service manager's SIGTERM ends it before its parent."""
    guard = watchdog.guard()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert guard.arm(ours, LATE)
        child = psutil.Process(watchdog.pid)
        assert child.memory_info().rss <= 14_000_000
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            child.send_signal(number)
        assert not guard.disarm()
        assert child.num_fds() <= 12, "connections that were given back are not kept"


def test_many_threads(watchdog: Watchdog) -> None:
    """Fifty guards in fifty threads, each a hundred bursts: nothing is shut by mistake."""
    wrong: list[str] = []

    def work() -> None:
        guard = watchdog.guard()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            for _ in range(100):
                if not guard.arm(ours, 30):
                    wrong.append("not armed")
                elif guard.disarm():
                    wrong.append("shut")

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
