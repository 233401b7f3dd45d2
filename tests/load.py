"""A load generator whose truth is known: a scenario goes to a real server, and every command is counted as it is sent.

In: a port, a scenario and a seed. Out: how often each key was asked for in each second of the server's clock.

It is a process of its own and shares the server's clock, being on the same machine. Every millisecond it sends what is
due since the last, in one write, from buffers that were built before, waits for the replies, and counts the write for
the second in which the middle of this exchange lies. So a write that crosses the end of a second, less than one in a
thousand, is all that may be counted for the wrong one. All commands are GETs of keys that do not exist: replies have
one size.
"""

from __future__ import annotations

import pickle
import random
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self

from tests.servers import ROOT, dies_with_us

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.scenarios import Scenario, Stream

TICK_SECONDS = 0.001
BATCH = 25
BATCHES = 4000
RANKED = 400
"""So many keys of a weighted stream, the most frequent ones, have their truth told one by one."""
MISS = b"$-1\r\n"


@dataclass(frozen=True, slots=True)
class Truth:
    """Accesses by second of the clock and key, and all commands by second."""

    keys: Mapping[int, Mapping[bytes, int]]
    commands: Mapping[int, int]

    def rates(self, start: int, end: int) -> dict[bytes, float]:
        """Accesses per second of each key over the whole seconds from `start` to `end`."""
        total: Counter[bytes] = Counter()
        for second in range(start, end):
            total.update(self.keys.get(second, {}))
        return {key: count / (end - start) for key, count in total.items()}

    def commands_per_second(self, start: int, end: int) -> float:
        """All commands per second over the whole seconds from `start` to `end`."""
        return sum(self.commands.get(second, 0) for second in range(start, end)) / (end - start)


class Load:
    """Runs a scenario against a server until `stop`, which returns the truth; also a context manager.

    `build` makes the scenario in the other process, so it must be a function of a module, or a partial of one.
    """

    def __init__(self, port: int, build: Callable[[], Scenario], seed: int = 1) -> None:
        self._process = subprocess.Popen(
            [*dies_with_us(), sys.executable, "-m", "tests.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self._truth: Truth | None = None
        self._tell((port, build, seed))
        self._hear()  # it has connected and built its buffers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """The generator's process id."""
        return self._process.pid

    def stop(self) -> Truth:
        """End the load and learn what it did.

        Raises:
            EOFError: the generator has died.

        """
        if self._truth is None:
            self._tell("stop")
            self._truth = Truth(*self._hear())
        return self._truth

    def _tell(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps(what))
        self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        return pickle.load(self._process.stdout)


class Source:
    """One stream as bytes: the next `number` commands, and what they were."""

    def __init__(self, stream: Stream, seed: int) -> None:
        self.stream = stream
        self._seed = seed
        self._rng = random.Random(f"{seed} {stream.name} draws")
        self._due = 0.0
        self._commands = [b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key) for key in stream.keys]
        self._batches: list[bytes] = []
        self._drawn: list[list[int]] = []
        if stream.weights:
            drawn = _in_proportion(stream.weights, BATCHES * BATCH)
            self._rng.shuffle(drawn)
            self._drawn = [drawn[at : at + BATCH] for at in range(0, len(drawn), BATCH)]
            self._batches = [b"".join([self._commands[n] for n in batch]) for batch in self._drawn]

    def due(self, start: float, end: float) -> int:
        """How many commands fall due in [start, end); fractions are carried over."""
        while start < end:
            second = int(start)
            until = min(end, second + 1.0)
            for a, b, rate in self.stream.segments(self._seed, second):
                self._due += rate * max(0.0, min(until, b) - max(start, a))
            start = until
        number = int(self._due) // BATCH * BATCH if self._batches else int(self._due)
        self._due -= number
        return number

    def take(self, number: int) -> tuple[list[bytes], list[int]]:
        """The bytes of the next `number` commands, and the numbers of their batches or keys."""
        if self._batches:
            which = self._rng.choices(range(BATCHES), k=number // BATCH)
            return [self._batches[n] for n in which], which
        first = self._rng.randrange(len(self._commands))
        which = [(first + n) % len(self._commands) for n in range(number)]
        return [self._commands[n] for n in which], which

    def counts(self, which: Counter[int]) -> Counter[bytes]:
        """Accesses by key from the numbers that `take` gave."""
        if not self._batches:
            return Counter({self.stream.keys[n]: count for n, count in which.items()})
        found: Counter[bytes] = Counter()
        for batch, count in which.items():
            for n in self._drawn[batch]:
                if n < RANKED:
                    found[self.stream.keys[n]] += count
        return found


def _in_proportion(weights: Sequence[float], number: int) -> list[int]:
    """Choose `number` indices so that each comes as often as its weight says, to within one (systematic sampling)."""
    marks = list(accumulate(weights))
    chosen, at = [], 0
    for n in range(number):
        while marks[at] * number < marks[-1] * (n + 0.5):
            at += 1
        chosen.append(at)
    return chosen


def main() -> None:
    """Be the generator: hear what to do, say that it begins, and in the end what was done."""
    port, build, seed = pickle.load(sys.stdin.buffer)
    sources = [Source(stream, seed) for stream in build().streams]
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _say("ready")
        taken = _drive(sock, sources)
    keys: dict[int, Counter[bytes]] = {}
    commands: Counter[int] = Counter()
    for (second, n), which in taken.items():
        keys.setdefault(second, Counter()).update(sources[n].counts(which))
        commands[second] += which.total() * (BATCH if sources[n].stream.weights else 1)
    _say(({second: dict(found) for second, found in keys.items()}, dict(commands)))


def _say(what: object) -> None:
    sys.stdout.buffer.write(pickle.dumps(what))
    sys.stdout.buffer.flush()


def _drive(sock: socket.socket, sources: list[Source]) -> dict[tuple[int, int], Counter[int]]:
    """Send what is due, tick by tick, until told to stop."""
    taken: dict[tuple[int, int], Counter[int]] = {}
    last = time.time()
    while not select.select([sys.stdin], [], [], 0)[0]:
        now = time.time()
        chunks: list[bytes] = []
        drawn: list[tuple[int, list[int]]] = []
        expected = 0
        for n, source in enumerate(sources):
            if number := source.due(last, now):
                some, which = source.take(number)
                chunks += some
                drawn.append((n, which))
                expected += number * len(MISS)
        last = now
        if chunks:
            began = time.time()
            _exchange(sock, b"".join(chunks), expected)
            second = int((began + time.time()) / 2)
            for n, which in drawn:
                taken.setdefault((second, n), Counter()).update(which)
        time.sleep(max(0.0, now + TICK_SECONDS - time.time()))
    return taken


def _exchange(sock: socket.socket, data: bytes, expected: int) -> None:
    """Send commands and read their replies, so many bytes of them."""
    sock.sendall(data)
    while expected > 0:
        received = len(sock.recv(1 << 18))
        if not received:
            raise ConnectionError("the server closed the connection")
        expected -= received


if __name__ == "__main__":
    main()
