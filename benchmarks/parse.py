"""How fast a MONITOR stream becomes accesses per key, beside redis-py's Monitor on the same bytes in the same run.

`python -m benchmarks.parse [--lines N] [--rounds N]`; the last line is one JSON object. The stream is mixed traffic:
commands with one key, several or none, scripts, transactions, three databases, binary and quoted keys, IPv4, IPv6 and
unix sources; keys are drawn by Zipf's law. Ours goes all the way to (db, key) -> (accesses, writes); redis-py's Monitor
only to a command text. Both take turns, and the best round of each counts, by the CPU seconds of this process: what one
core can do, whatever else the machine does. redis-py is fed over a loopback socket by another process, for it reads
nothing else; ours is timed like that too (`socket_…`), and on bytes in memory, as `analyze` and the sampler have them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import socket
import time
from bisect import bisect
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import redis

from exporter.monitor.keys import CommandTable
from exporter.monitor.parse import Counts, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEYS = 10_000
READ_BYTES = 98_304
SHAPES = ("user:%d", "session:%d:data", "cart:{%d}", "product:%d:price", "feed:%d", "rate:%d", "queue:%d", "board:%d")
DATABASES = {b"0": 70, b"1": 20, b"5": 10}
# What a web shop sends, in percent; `EVAL` brings two lines of the script with it, `MULTI` two commands and EXEC.
COMMANDS = {
    "GET": 36, "SET": 13, "HGET": 11, "EXPIRE": 7, "INCR": 6, "HSET": 4, "MGET": 4, "ZADD": 3, "HGETALL": 3, "XADD": 2,
    "SADD": 2, "LPUSH": 2, "TTL": 1.5, "DEL": 1.5, "EVAL": 1, "XREAD": 0.5, "MULTI": 0.5, "EXISTS": 0.5, "PING": 0.5,
    "ZRANGE": 1,
}  # fmt: skip


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    data = stream(options.lines)
    single = stream(options.lines, databases={b"0": 100})
    best: dict[str, float] = {}
    for _ in range(options.rounds):
        for name, run in {
            "lines_per_second": lambda: timed(lambda: ours(pieces(data))),
            "single_database_lines_per_second": lambda: timed(lambda: ours(pieces(single))),
            "socket_lines_per_second": lambda: over_socket(data, ours_from),
            "redis_py_lines_per_second": lambda: over_socket(data, theirs_from),
        }.items():
            best[name] = max(best.get(name, 0.0), options.lines / run())  # type: ignore[no-untyped-call]
    counts = ours(pieces(data))
    assert (counts.commands, counts.skipped) == (options.lines, 0), "every line must count"
    result: dict[str, float | str] = {
        "benchmark": "parse",
        "lines": options.lines,
        "bytes_per_line": round(len(data) / options.lines, 1),
    }
    result |= {"distinct_keys": len(counts.accesses), "accesses": sum(n for n, _ in counts.accesses.values())}
    result |= {name: round(value) for name, value in best.items()}
    result["ratio"] = round(best["lines_per_second"] / best["redis_py_lines_per_second"], 2)
    result["socket_ratio"] = round(best["socket_lines_per_second"] / best["redis_py_lines_per_second"], 2)
    print(json.dumps(result))


def timed(run: Callable[[], object]) -> float:
    """CPU seconds that `run` takes."""
    start = time.process_time()
    run()
    return time.process_time() - start


def ours(chunks: Iterator[bytes]) -> Counts:
    """Count a stream."""
    counted = Stream(CommandTable.builtin())
    for chunk in chunks:
        counted.feed(chunk)
    counted.close()
    return counted.counts()


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut a stream as reads would."""
    return (data[at : at + READ_BYTES] for at in range(0, len(data), READ_BYTES))


# --- over a socket -------------------------------------------------------------------------------------------------


def over_socket(data: bytes, run: Callable[[int, int], float]) -> float:
    """CPU seconds that `run` takes to read `data` from another process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = multiprocessing.get_context("fork").Process(target=serve, args=(listener, data), daemon=True)
        server.start()
        try:
            return run(listener.getsockname()[1], data.count(b"\n"))
        finally:
            server.join(5)
            server.kill()


def serve(listener: socket.socket, data: bytes) -> None:
    """Be a server with one client that asks for MONITOR only."""
    client, _ = listener.accept()
    with client:
        while b"MONITOR" not in client.recv(READ_BYTES).upper():
            client.sendall(b"+OK\r\n")
        client.sendall(b"+OK\r\n" + data)


def ours_from(port: int, _: int) -> float:
    """Read with our parser."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"MONITOR\r\n")
        return timed(lambda: ours(iter(lambda: client.recv(READ_BYTES), b"")))


def theirs_from(port: int, lines: int) -> float:
    """Read with redis-py's Monitor."""
    client: Any = redis.Redis(port=port, protocol=2)
    with client.monitor() as monitor:

        def read() -> None:
            for _ in range(lines):
                monitor.next_command()

        return timed(read)


# --- traffic -------------------------------------------------------------------------------------------------------


def stream(lines: int, seed: int = 1, databases: dict[bytes, int] | None = None) -> bytes:
    """`lines` lines of mixed traffic, as a server since 6.2.4 sends them."""
    chance = random.Random(seed)
    shop = Shop(chance, databases or DATABASES)
    result: list[bytes] = []
    clock = 1_795_397_146_000_000
    names = chance.choices(list(COMMANDS), list(COMMANDS.values()), k=lines)
    while len(result) < lines:
        db, source = shop.database(), shop.source()
        for client, arguments in shop.command(names[len(result)], db, source):
            clock += chance.randrange(1, 9)
            result.append(b"+%d.%06d [%s %s] %s\r\n" % (*divmod(clock, 1_000_000), db, client, b" ".join(arguments)))
    return b"".join(result[:lines])


class Shop:
    """Draws sources, databases, keys and commands."""

    def __init__(self, chance: random.Random, databases: dict[bytes, int]) -> None:
        self._chance = chance
        self._databases = list(databases), list(accumulate(databases.values()))
        self._sources = [b"10.3.1.%d:%d" % (n, 40_000 + 7 * n) for n in range(40)]
        self._sources += [b"[2001:db8::%x]:%d" % (n, 39_000 + n) for n in range(6)] + [
            b"unix:/run/redis/redis.sock"
        ] * 4
        self._keys: dict[bytes, list[bytes]] = {}
        homes = chance.choices(list(databases), list(databases.values()), k=KEYS)
        for number, home in enumerate(homes):
            self._keys.setdefault(home, []).append(quoted(name(number, chance)))
        self._weights = {db: list(accumulate(1 / n for n in range(1, len(k) + 1))) for db, k in self._keys.items()}

    def database(self) -> bytes:
        """A database, the first ones more often."""
        names, weights = self._databases
        return names[bisect(weights, self._chance.random() * weights[-1])]

    def source(self) -> bytes:
        """A client's address."""
        return self._chance.choice(self._sources)

    def key(self, db: bytes) -> bytes:
        """A quoted key by Zipf's law: the n-th is drawn 1/n as often as the first."""
        weights = self._weights[db]
        return self._keys[db][bisect(weights, self._chance.random() * weights[-1])]

    def value(self) -> bytes:
        """A quoted value of 8 to 48 bytes."""
        return b'"%s"' % (b"v" * self._chance.randrange(8, 49))

    def command(self, name: str, db: bytes, source: bytes) -> list[tuple[bytes, list[bytes]]]:
        """The lines of one command: source and quoted arguments of each."""
        key, value = self.key(db), self.value()
        several = [self.key(db) for _ in range(self._chance.randrange(2, 5))]
        if name == "EVAL":
            script = quoted(b"local n = redis.call('incr', KEYS[1]) redis.call('expire', KEYS[1], 60) return n")
            inner = [(b"lua", [b'"incr"', key]), (b"lua", [b'"expire"', key, b'"60"'])]
            return [(source, [b'"EVAL"', script, b'"1"', key]), *inner]
        if name == "MULTI":
            body = [(source, [b'"HSET"', key, b'"stock"', value]), (source, [b'"EXPIRE"', key, b'"3600"'])]
            return [(source, [b'"MULTI"']), *body, (source, [b'"EXEC"'])]
        rest = {
            "SET": [key, value, b'"EX"', b'"600"'],
            "HGET": [key, b'"field"'],
            "HSET": [key, b'"field"', value],
            "EXPIRE": [key, b'"3600"'],
            "ZADD": [key, b'"17"', value],
            "ZRANGE": [key, b'"0"', b'"-1"'],
            "XADD": [key, b'"MAXLEN"', b'"~"', b'"1000"', b'"*"', b'"event"', value],
            "XREAD": [b'"COUNT"', b'"10"', b'"STREAMS"', *several, *[b'"$"'] * len(several)],
            "SADD": [key, value],
            "LPUSH": [key, value],
            "MGET": several,
            "DEL": several[:2],
            "EXISTS": several[:2],
            "PING": [],
        }
        return [(source, [b'"%s"' % name.encode(), *rest.get(name, [key])])]


def name(number: int, chance: random.Random) -> bytes:
    """The name of a key; one in thirty is binary, one in fifty holds quotes."""
    plain = (chance.choice(SHAPES) % (number * 7919 % 1_000_003)).encode()
    if number % 30 == 7:
        return b"\xac\xed\x00\x05t\x00" + plain
    return b'{"id":"%s"}' % plain if number % 50 == 9 else plain


def quoted(argument: bytes) -> bytes:
    """An argument as MONITOR writes it."""
    special = {34: '\\"', 92: "\\\\", 10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b"}
    text = "".join(special.get(c, chr(c) if 32 <= c < 127 else f"\\x{c:02x}") for c in argument)
    return f'"{text}"'.encode()


if __name__ == "__main__":
    main()
