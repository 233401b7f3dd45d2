"""What keys in focus cost this process, beside counting the same stream, by CPU seconds in the same run.

`python -m benchmarks.focus [--rounds N]`; the last line is one JSON object. A minute of the default budget (5,000 lines
a second, in slices of an eighth of a second) is counted as the sampler counts it, and then looked through for keys in
focus: none, one, and eight of the most accessed ones; and a stream that is nothing but one key in focus, at the budget
and at twenty times as much. `share` is the part of one core that looking takes, `ratio` looking to counting.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

from benchmarks.parse import stream
from exporter.focus import MOST_KEYS
from exporter.monitor import parse
from exporter.monitor.keys import CommandTable
from exporter.monitor.own import Own
from exporter.sampling.focusing import Focusing, Spell
from exporter.snapshot import Board, Node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.monitor.lookout import DbKey

SECONDS, PER_SECOND, SLICES = 60, 5_000, 8
NODE = Node("bench", "127.0.0.1:6379")


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    table = CommandTable.builtin()
    mixed = slices(stream(SECONDS * PER_SECOND), PER_SECOND)
    counted = parse.count(b"".join(mixed), table).accesses
    hottest = sorted(counted, key=lambda key: -counted[key][0])[:MOST_KEYS]
    line = b'+1795397124.911000 [0 127.0.0.1:50000] "GET" "%s"\r\n' % b"k"
    alone = slices(line * (SECONDS * PER_SECOND), PER_SECOND)
    flood = slices(line * (20 * PER_SECOND * 10), 20 * PER_SECOND)
    result: dict[str, float | str] = {"benchmark": "focus", "lines_per_second": PER_SECOND}
    for name, data, keys in (
        ("none", mixed, []), ("one", mixed, hottest[:1]), ("eight", mixed, hottest),
        ("only_that_key", alone, [(0, b"k")]), ("only_that_key_twentyfold", flood, [(0, b"k")]),
    ):  # fmt: skip
        seconds = len(data) / SLICES
        counting = min(count(data, table) for _ in range(rounds))
        looking = min(look(data, keys, table) for _ in range(rounds))
        result |= {f"{name}_share": round(looking / seconds, 5), f"{name}_ratio": round(looking / counting, 3)}
    print(json.dumps(result))


def slices(data: bytes, per_second: int) -> list[bytes]:
    """Cut a stream as joined slices do."""
    lines = data.splitlines(keepends=True)
    size = per_second // SLICES
    return [b"".join(lines[at : at + size]) for at in range(0, len(lines), size)]


def count(data: Sequence[bytes], table: CommandTable) -> float:
    """CPU seconds to count all slices."""
    began = time.process_time()
    for one in data:
        parse.count(one, table)
    return time.process_time() - began


def look(data: Sequence[bytes], keys: Sequence[DbKey], table: CommandTable) -> float:
    """CPU seconds to look through all slices, and to say every second what is known."""
    board = Board((NODE,))
    for key in keys:
        board.focus.ask(NODE, key, time.monotonic())
    focusing, own, length = Focusing(board, NODE, 60.0), Own(), 1 / SLICES
    began = time.process_time()
    for number, one in enumerate(data):
        focusing.see(one, Spell(number * length, (number + 1) * length, length), table, own)
        if number % SLICES == 0:
            focusing.publish(time.monotonic())
    return time.process_time() - began


if __name__ == "__main__":
    main()
