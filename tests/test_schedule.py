"""Threads that wait: woken before their time, and never kept from stopping."""

from __future__ import annotations

import threading

from exporter.schedule import Bell

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
