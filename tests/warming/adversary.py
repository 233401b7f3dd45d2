"""An application that invalidates just when a warming job is between its read and its write: the worst case.

The "database" is a table of versions. `records` is a job's source: behind every record that it gives, a thread of the
application commits a new version of it and then takes the cached one away, by one of many ways.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITERS = 4
LONGEST_DELAY = 0.02
DELETE = "return redis.call('DEL', KEYS[1])"

_adversary: Adversary | None = None


def records(limit: int) -> Iterator[dict[str, Any]]:
    """The source of a job: `tests.warming.adversary:records`."""
    assert _adversary is not None
    return _adversary.records(limit)


def _in_transaction(client: redis.Redis, key: str) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.get("other").delete(key).execute()


def _script_in_transaction(client: redis.Redis, key: str) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.eval(DELETE, 1, key)
        pipe.execute()


def _renamed(client: redis.Redis, key: str) -> None:
    with suppress(redis.ResponseError):  # there was nothing to rename, and that is what was wanted
        client.rename(key, "trash")


WAYS = (
    lambda client, key: client.delete(key),
    lambda client, key: client.unlink("other", key),
    _in_transaction,
    lambda client, key: client.eval(DELETE, 1, key),
    _script_in_transaction,
    lambda client, key: client.expire(key, -1),
    lambda client, key: client.pexpireat(key, 1),
    lambda client, key: client.getdel(key),
    _renamed,
    lambda client, key: client.execute_command("SORT", "none", "STORE", key),
)


class Adversary:
    """Versions, and threads that raise them. `stale` compares the cache with them once all is quiet."""

    def __init__(self, url: str, prefix: str, seed: int = 1) -> None:
        self.versions: dict[int, int] = {}
        self._url = url
        self._prefix = prefix
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._asked: queue.Queue[tuple[int, float, threading.Event] | None] = queue.Queue()
        self.faults: list[BaseException] = []

    def records(self, limit: int) -> Iterator[dict[str, Any]]:
        """Read each record, and have it changed: half of them before they are given, the others at about that time."""
        for number in range(limit):
            with self._lock:
                version = self.versions.setdefault(number, 1)
            surely, changed = number // len(WAYS) % 2, threading.Event()
            delay = 0.0 if surely else self._random.uniform(0, LONGEST_DELAY)
            self._asked.put((number, time.monotonic() + delay, changed))
            if surely:
                changed.wait(10)
            yield {"id": number, "v": version}

    def stale(self, client: redis.Redis) -> list[int]:
        """Which cached values are older than the database."""
        numbers = list(self.versions)
        found: Any = client.mget([f"{self._prefix}{number}" for number in numbers])
        return [
            number
            for number, value in zip(numbers, found, strict=True)
            if value is not None and int(value) != self.versions[number]
        ]

    def work(self) -> None:
        """The body of one thread of the application: commit, then invalidate."""
        client = redis.Redis.from_url(self._url)
        try:
            while (asked := self._asked.get()) is not None:
                number, at, changed = asked
                time.sleep(max(0.0, at - time.monotonic()))
                with self._lock:
                    self.versions[number] += 1
                WAYS[number % len(WAYS)](client, f"{self._prefix}{number}")
                changed.set()
        except BaseException as fault:
            self.faults.append(fault)
        finally:
            client.close()

    def end(self, threads: list[threading.Thread]) -> None:
        """Let the threads do what is left, and end."""
        for _ in threads:
            self._asked.put(None)
        for thread in threads:
            thread.join(30)


@contextmanager
def adversary(url: str, prefix: str) -> Iterator[Adversary]:
    """Make it the source of `records`; at the end every change has been made."""
    global _adversary  # noqa: PLW0603 - a job names its source as text
    _adversary = one = Adversary(url, prefix)
    threads = [threading.Thread(target=one.work, daemon=True) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield one
    finally:
        one.end(threads)
        _adversary = None
    assert not one.faults, one.faults
