"""Threads that wait: woken before their time, and never kept from stopping."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from exporter.schedule import NICE, Bell, give_way

LONG = 3600.0
"""Whoever waits so long is stopped by the test's timeout."""


def test_a_ring_ends_a_wait_and_is_used_up() -> None:
    """However often it rang, and even before anybody waited, one wait is cut short, and the next one is not."""
    bell = Bell(threading.Event())
    bell.ring()
    bell.ring()
    bell.wait(LONG)
    waiting = threading.Thread(target=bell.wait, args=(LONG,), daemon=True)
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    bell.ring()
    waiting.join()


def test_a_ring_behind_the_stop_event_ends_a_wait() -> None:
    """Who stops a thread sets the event and rings, and the thread returns."""
    stop = threading.Event()
    bell = Bell(stop)
    waiting = threading.Thread(target=bell.wait, args=(LONG,), daemon=True)
    waiting.start()
    stop.set()
    bell.ring()
    waiting.join()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no niceness of their own")
def test_who_gives_way_is_a_thread_and_not_the_process() -> None:
    """It and the threads that it starts are nicer from then on; whoever started it is not."""
    found = []

    def niceness() -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def work() -> None:
        give_way()
        niceness()
        child = threading.Thread(target=niceness)
        child.start()
        child.join()

    niceness()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    niceness()
    ours, *theirs, ours_then = found
    assert theirs == [max(NICE, ours)] * 2
    assert ours_then == ours
