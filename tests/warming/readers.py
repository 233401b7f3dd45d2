"""Readers as applications have them, with a cache before their database: GET, and on a miss SELECT and SET with a life.

In: a Plan. Out: how many reads and misses there were in each second of the clock. They are a process of their own, a
thread and two connections for each reader. Their keys follow Zipf's law; which of them are the frequent ones is drawn,
so that no order of the database's can help. Reads come at random moments, whether the one before was fast or slow.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from bisect import bisect
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Self

import psycopg
import redis

from tests.servers import ROOT, dies_with_us

if TYPE_CHECKING:
    from collections.abc import Mapping

QUERY = "select user_name, token from sessions where id = %s"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read: sessions from 0 to `keys`, `per_second` by all readers together; `ttl` is in seconds."""

    redis_port: int
    database: str
    keys: int
    readers: int
    per_second: float
    ttl: int = 3600
    exponent: float = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Reads and misses by second of the clock."""

    reads: Mapping[int, int]
    misses: Mapping[int, int]

    def hit_ratio(self, start: int, end: int) -> float:
        """The share of hits over the whole seconds from `start` to `end`."""
        reads = sum(self.reads.get(second, 0) for second in range(start, end))
        return 1 - self.missed(start, end) / reads if reads else 0.0

    def missed(self, start: int, end: int) -> int:
        """The misses over the whole seconds from `start` to `end`: each of them asked the database."""
        return sum(self.misses.get(second, 0) for second in range(start, end))


class Readers:
    """Reads until `stop`, which says what was seen; also a context manager."""

    def __init__(self, plan: Plan) -> None:
        self._process = subprocess.Popen(
            [*dies_with_us(), sys.executable, "-m", "tests.warming.readers", json.dumps(asdict(plan))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        self._hear()  # all of them have connected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def stop(self) -> Seen:
        """End the reading and learn what was seen."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        reads, misses = json.loads(self._hear())
        return Seen(*({int(second): count for second, count in counts.items()} for counts in (reads, misses)))

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the readers have died"
        return line


class _Reader:
    """One reader, in a thread of its own."""

    def __init__(self, plan: Plan, number: int) -> None:
        self._plan = plan
        self._rng = random.Random(number)
        self._cache = redis.Redis(port=plan.redis_port, socket_timeout=30)
        self._database = psycopg.connect(plan.database, autocommit=True)
        self.reads: Counter[int] = Counter()
        self.misses: Counter[int] = Counter()

    def read(self, ids: list[int], weights: list[float], ended: threading.Event) -> None:
        """Read until the end."""
        due = time.monotonic()
        while not ended.wait(max(0.0, due - time.monotonic())):
            due += self._rng.expovariate(self._plan.per_second / self._plan.readers)
            self._one(ids[bisect(weights, self._rng.random() * weights[-1], hi=len(ids) - 1)])

    def _one(self, number: int) -> None:
        key, second = f"session:{number}", int(time.time())
        self.reads[second] += 1
        if self._cache.get(key) is None:
            self.misses[second] += 1
            row = self._database.execute(QUERY, [number]).fetchone()
            self._cache.set(key, json.dumps(row), ex=self._plan.ttl)


def main() -> None:
    """Read by the plan that stands on the command line until standard input ends."""
    plan = Plan(**json.loads(sys.argv[1]))
    readers = [_Reader(plan, number) for number in range(plan.readers)]
    ids = list(range(plan.keys))
    random.Random(0).shuffle(ids)
    weights = list(accumulate((rank + 1) ** -plan.exponent for rank in range(plan.keys)))
    ended = threading.Event()
    threads = [threading.Thread(target=one.read, args=(ids, weights, ended), daemon=True) for one in readers]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join(60)
    reads = sum((one.reads for one in readers), Counter[int]())
    misses = sum((one.misses for one in readers), Counter[int]())
    print(json.dumps([reads, misses]), flush=True)


if __name__ == "__main__":
    main()
