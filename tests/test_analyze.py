"""`analyze` counts a saved stream exactly, says what it could not read, and needs no more memory for a larger file."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.parse import stream
from exporter import analyze
from exporter.analyze import Report, counting, to_json, to_text
from exporter.analyze.lines import Lines, Rate
from exporter.keynames import digest
from exporter.monitor.keys import CommandTable
from tests.lines import line, words

if TYPE_CHECKING:
    from typing import BinaryIO

GARBAGE = b"this is no line of MONITOR\n"


def stamped(second: float, text: str, db: int = 0, *, raw: bool = False) -> bytes:
    """One line at a second of the stream."""
    return line(words(text), db, stamp=b"%.6f" % (1795397100 + second), raw=raw)


def report_of(data: bytes, top: int = 20) -> Report:
    """Analyze bytes."""
    return analyze.analyze(io.BytesIO(data), top)


def json_of(data: bytes, top: int = 20) -> Any:
    """What `--json` prints for these bytes."""
    return json.loads(to_json(report_of(data, top)))


SHOP = b"".join(
    [
        b"OK\n",
        *[stamped(0.5, "GET user:1:cart")] * 5,
        *[stamped(1, "set user:2:cart v")] * 2,
        stamped(2, "GET user:2:cart"),
        stamped(3, "MGET user:1:cart alone"),
        stamped(4, "GET user:1:cart", 3),
        stamped(5, "PING"),
        GARBAGE,
        stamped(10.75, "EVAL body 1 declared"),
    ]
)


def test_the_json_object() -> None:
    """The JSON object has the contract's fields, types and order: the most accessed key first, reads plus writes."""
    assert json_of(SHOP) == {
        "commands": 12,
        "skipped": 1,
        "skipped_lines": [13],
        "seconds": 10.25,
        "accesses": 11,
        "distinct_keys": 4,
        "undercount": 0,
        "keys": [
            {"db": 0, "key": "user:1:cart", "accesses": 6, "reads": 6, "writes": 0},
            {"db": 0, "key": "user:2:cart", "accesses": 3, "reads": 1, "writes": 2},
            {"db": 0, "key": "alone", "accesses": 1, "reads": 1, "writes": 0},
            {"db": 3, "key": "user:1:cart", "accesses": 1, "reads": 1, "writes": 0},
        ],
        "groups": [{"group": "user:*:cart", "accesses": 10}, {"group": "alone", "accesses": 1}],
        "command_counts": {"get": 7, "set": 2, "eval": 1, "mget": 1, "ping": 1},
        "clients": [{"client": "127.0.0.1", "commands": 12}],
        "heaviest": [],
        "rate": {
            "start": "2026-11-23T01:25:00Z",
            "step_seconds": 1,
            "commands": [5, 2, 1, 1, 1, 1, 0, 0, 0, 0, 1],
        },
    }


def test_the_json_object_is_ordered() -> None:
    """Keys, groups and commands stand most frequent first in the text of the object itself."""
    text = to_json(report_of(SHOP))
    assert "\n" not in text
    assert list(json.loads(text)["command_counts"]) == ["get", "set", "eval", "mget", "ping"]


@pytest.mark.parametrize("top", [1, 2, 3, 4, 20])
def test_top(top: int) -> None:
    """`--top N` shows N keys; totals, groups and commands are of all."""
    every, some = json_of(SHOP, 0), json_of(SHOP, top)
    assert len(every["keys"]) == 4
    assert some.pop("keys") == every.pop("keys")[:top]
    assert some == every


def test_the_text() -> None:
    """The text has the same figures in tables, and names the lines that were skipped."""
    text = to_text(report_of(SHOP))
    assert "12 commands in 10.250 s, 1.2 a second" in text
    assert "11 key accesses, 4 distinct keys" in text
    assert "1 lines skipped that are none of MONITOR's (line 13)" in text
    rows = [row.split() for row in text.splitlines()]
    assert ["6", "54.55%", "6", "0", "0", "user:1:cart"] in rows
    assert ["1", "9.09%", "1", "0", "3", "user:1:cart"] in rows
    assert ["10", "90.91%", "user:*:cart"] in rows
    assert ["7", "58.33%", "get"] in rows


def test_nothing_at_all() -> None:
    """An empty file is a report of zeros, in both forms."""
    report = json_of(b"")
    assert (report["commands"], report["skipped"], report["seconds"], report["accesses"]) == (0, 0, 0, 0)
    assert report["keys"] == report["groups"] == report["skipped_lines"] == []
    assert report["command_counts"] == {}
    assert "0 commands" in to_text(report_of(b""))


def test_raw_and_printed_streams_are_alike() -> None:
    """The server's raw bytes (plus, CR LF) and what redis-cli prints give one report."""
    texts = [("GET a", 0), ("SET b v", 3), ("MGET a b", 0), ("PING", 0)] * 700
    raw = b"+OK\r\n" + b"".join(stamped(at, text, db, raw=True) for at, (text, db) in enumerate(texts))
    printed = b"OK\n" + b"".join(stamped(at, text, db) for at, (text, db) in enumerate(texts))
    assert to_json(report_of(raw)) == to_json(report_of(printed))
    assert to_json(report_of(printed.replace(b"\n", b"\r\n"))) == to_json(report_of(printed))
    assert json_of(raw)["seconds"] == 2799


def test_a_truncated_file() -> None:
    """A last line that is cut within an argument is skipped and named; one that only lacks its newline counts."""
    data = stamped(0, "GET a") + stamped(1, "GET b")
    for cut in range(len(stamped(0, "GET a")) + 1, len(data) - 1):
        if data[:cut].endswith(b'"GET"'):
            continue  # might be all of a line
        report = report_of(data[:cut])
        assert (report.commands, report.skipped, report.skipped_lines) == (1, 1, (2,)), data[:cut]
    assert report_of(data[:-1]) == report_of(data)


def test_skipped_lines_are_named() -> None:
    """Of many bad lines all are counted, and the first five named by their numbers, however the file is read."""
    good = stamped(0, "GET a") * 4000
    report = report_of(b"OK\n" + GARBAGE + good + GARBAGE + GARBAGE + good + (GARBAGE + stamped(0, "GET b")) * 20)
    assert (report.commands, report.skipped) == (8020, 23)
    assert report.skipped_lines == (2, 4003, 4004, 8005, 8007)
    assert "23 lines skipped that are none of MONITOR's (line 2, 4,003, 4,004, 8,005, 8,007, …)" in to_text(report)


def test_a_file_of_something_else() -> None:
    """A file that is no stream at all, binary or text, is skipped line by line and raises nothing."""
    for data in (bytes(range(256)) * 400, b"\n".join([b"SELECT 1;"] * 3000), b"\x00" * 300_000, b'"' * 200_000):
        report = report_of(data)
        assert (report.commands, report.accesses) == (0, 0)
        assert report.skipped >= 1
        assert report.skipped_lines[0] == 1
        to_json(report)
        to_text(report)


def test_how_keys_are_written() -> None:
    """Keys are in clear, even those that a mask would hide; more than 128 characters are cut to 119, `~` and a hash."""
    keys = [
        b"session:abc",
        b"k" * 128,
        b"k" * 129,
        b"k" * 1000,
        "schlüssel:日本".encode(),
        b"back\\slash",
        b"\xff\n",
        b"",
    ]
    shown = {one["key"] for one in json_of(b"".join(line([b"GET", key]) for key in keys))["keys"]}
    long = [f"{'k' * 119}~{digest(b'k' * size)}" for size in (129, 1000)]
    assert shown == {"session:abc", "k" * 128, *long, "schlüssel:日本", "back\\x5cslash", "\\xff\\x0a", ""}
    assert {len(key) for key in shown if "~" in key} == {128}
    assert "(empty)" in to_text(report_of(line([b"GET", b""])))


def test_groups() -> None:
    """Keys that differ in their identifiers share a group, over databases; the groups add up to all accesses."""
    data = b"".join(stamped(0, f"GET item:{number}:price", number % 2) for number in range(3000))
    data += b"".join(stamped(0, f"INCR limit{number}x{'ab'[number % 2]}") for number in range(50))
    report = json_of(data)
    assert report["groups"][0] == {"group": "item:*:price", "accesses": 3000}
    assert sum(one["accesses"] for one in report["groups"]) == report["accesses"] == 3050


def test_command_counts_fold_case() -> None:
    """GET, get and Get are one command; inner commands of scripts count by their own names."""
    data = b"".join(stamped(0, f"{name} a") for name in ("GET", "get", "Get") * 1500) + line(
        words("GET a"), source=b"lua"
    )
    assert json_of(data)["command_counts"] == {"get": 4501}


def test_more_keys_than_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the coldest keys go; no count is further below the truth than the report says, totals exact."""
    monkeypatch.setattr(counting, "_MOST_KEYS", 1000)
    monkeypatch.setattr(counting, "_REMEMBER", 200)
    monkeypatch.setattr(counting, "_READ_BYTES", 4096)
    truth = Counter[str]()
    lines = []
    for number in range(12_000):
        key = f"hot:{number % 7}" if number % 3 == 0 else f"cold:{number * 7919 % 5003}"
        truth[key] += 1
        lines.append(stamped(0, f"GET {key}"))
    report = report_of(b"".join(lines), top=200)
    assert report.undercount > 0
    assert report.distinct_keys <= 1300  # and what was read since
    assert {one.key for one in report.keys[:7]} == {b"hot:%d" % number for number in range(7)}
    for one in report.keys:
        assert truth[one.key.decode()] - report.undercount <= one.accesses <= truth[one.key.decode()]
    shown = {one.key.decode() for one in report.keys}
    assert report.accesses == 12_000 == sum(times for _, times in report.groups)
    assert dict(report.groups) == {"cold:*": 8000, "hot:*": 4000}
    least = report.keys[-1].accesses
    assert all(times <= least + report.undercount for key, times in truth.items() if key not in shown)
    assert f"no count is more than {report.undercount} too low" in to_text(report)


def test_all_keys_are_held_if_all_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--top 0` drops nothing, whatever the bound."""
    monkeypatch.setattr(counting, "_MOST_KEYS", 100)
    report = report_of(b"".join(stamped(0, f"GET key:{number % 2500}") for number in range(5000)), top=0)
    assert (len(report.keys), report.undercount) == (2500, 0)
    assert {one.accesses for one in report.keys} == {2}


class Repeated(io.RawIOBase):
    """A file of `size` bytes that repeats some lines, without holding more than them."""

    def __init__(self, block: bytes, size: int) -> None:
        self._block, self._left = block, size // len(block)

    def read(self, size: int = -1) -> bytes:
        """Give a block, of any length that suits us."""
        self._left -= 1
        return self._block if self._left >= 0 else b""


def peak_of(block: bytes, size: int) -> tuple[Report, int]:
    """Analyze a file of `size` bytes; returns the most memory that was taken on the way."""
    tracemalloc.start()
    try:
        return analyze.analyze(cast("BinaryIO", Repeated(block, size)), 20), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file() -> None:
    """40 MB of mixed lines are analyzed within 2 MB of what 2 MB take."""
    texts = ["GET key:{}", "SET key:{} " + "v" * 300, "GET key:{}", "MGET key:{} b", "PING", "GET key:{}"]
    block = b"".join(stamped(0, texts[at % 6].format(at % 500)) for at in range(1500))
    peak_of(block, 2_000_000)
    (small, peak), (large, most) = peak_of(block, 2_000_000), peak_of(block, 40_000_000)
    assert small.commands == 2_000_000 // len(block) * 1500
    assert large.commands == 40_000_000 // len(block) * 1500
    assert most - peak < 2 << 20


def test_progress() -> None:
    """Progress is told the bytes read so far, ascending, and None at the end."""
    told: list[int | None] = []
    analyze.analyze(cast("BinaryIO", Repeated(stamped(0, "GET a") * 2000, 20 << 20)), 1, told.append)
    assert told[-1] is None
    done = [one for one in told if one is not None]
    assert done
    assert done == sorted(done)


def test_the_command(tmp_path: Path) -> None:
    """`analyze FILE` and `analyze -` print the report and succeed; a missing file is one line and exit code 1 or 2."""
    file = tmp_path / "stream.txt"
    file.write_bytes(SHOP)
    base = [sys.executable, "-m", "exporter", "analyze"]
    named = subprocess.run([*base, str(file), "--json", "--top", "1"], capture_output=True, check=True)
    piped = subprocess.run([*base, "-", "--json", "--top", "1"], input=SHOP, capture_output=True, check=True)
    assert json.loads(named.stdout) == json.loads(piped.stdout) == json_of(SHOP, 1)
    missing = subprocess.run([*base, str(tmp_path / "absent")], capture_output=True, check=False)
    assert missing.returncode in {1, 2}
    assert len(missing.stderr.splitlines()) == 1
    assert b"absent" in missing.stderr
    assert missing.stdout == b""


@pytest.mark.parametrize("size", [40_000_000, pytest.param(2_000_000_000, marks=pytest.mark.slow)])
def test_a_large_file_needs_the_memory_of_a_small_one(size: int) -> None:
    """A stream of 40 MB, and one of 2 GB, through a pipe: the process peaks within 4 MB of what 2 MB take."""
    block = stream(24_000)
    lines, peak = peak_of_process(block, 1)
    assert lines == 24_000
    more, most = peak_of_process(block, size // len(block))
    assert more == size // len(block) * 24_000
    assert most - peak < 4 << 20


def peak_of_process(block: bytes, times: int) -> tuple[int, int]:
    """Feed `analyze -`; returns the commands it counts and the most memory it had, in bytes."""
    with subprocess.Popen(
        [sys.executable, "-m", "exporter", "analyze", "-", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(times):
            process.stdin.write(block)
        process.stdin.flush()
        [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text("ascii"))
        process.stdin.close()
        return json.loads(process.stdout.read())["commands"], int(peak) << 10


BIG = b"".join(
    [
        stamped(0, "SET big:1 " + "v" * 5_000),
        stamped(1, "SET big:1 " + "v" * 1_500),
        stamped(2, "SET big:2 " + "v" * 200_000, 3),
        stamped(2, "SET small v"),
        stamped(3, "MSET x " + "v" * 2_000 + " y v"),
        stamped(9, "PING " + "v" * 4_000),
    ]
)


def test_the_heaviest_keys_by_the_bytes_of_their_commands() -> None:
    """Large commands count for the key that they name first, wherever the stream is cut; small ones do not count."""
    whole = json_of(BIG)["heaviest"]
    assert [(one["db"], one["key"], one["commands"]) for one in whole] == [
        (3, "big:2", 1), (0, "big:1", 2), (0, "x", 1)
    ]  # fmt: skip
    assert 200_000 < whole[0]["bytes"] == whole[0]["largest"] < 200_050
    assert 6_500 < whole[1]["bytes"] < 6_600
    assert 5_000 < whole[1]["largest"] < 5_050
    for size in (1, 7, 1000, 4096, 70_000):
        lines = Lines(CommandTable.builtin())
        for start in range(0, len(BIG), size):
            lines.feed(BIG[start : start + size])
        lines.close()
        assert [(one.key.decode(), one.bytes) for one in lines.heaviest(9)] == [
            (one["key"], one["bytes"]) for one in whole
        ]
        assert lines.clients() == ((b"127.0.0.1", 6),)
        assert lines.rate() == Rate(1795397100.0, 1, (1, 1, 2, 1, 0, 0, 0, 0, 0, 1))


def test_clients_are_hosts() -> None:
    """Connections of one host are one client; scripts, unix sockets and IPv6 are told apart."""
    lines = [b"10.0.0.1:5", b"10.0.0.1:6", b"[::1]:7", b"lua", b"unix:/tmp/x.sock"]
    data = b"".join(b'1795397100.5 [0 %s] "GET" "a"\n' % one for one in lines)
    assert json_of(data)["clients"] == [
        {"client": "10.0.0.1", "commands": 2}, {"client": "[::1]", "commands": 1}, {"client": "lua", "commands": 1},
        {"client": "unix:/tmp/x.sock", "commands": 1},
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 10**12 - 1), st.integers(1, 3)), min_size=1, max_size=60))
def test_the_rate_is_bounded_whatever_the_times_are(times: list[tuple[int, int]]) -> None:
    """No command is lost, and there are never more steps than a list should have."""
    lines = Lines(CommandTable.builtin())
    lines.feed(b"".join(b'%d.1 [0 h:1] "PING"\n' % second * count for second, count in times))
    rate = lines.rate()
    assert rate is not None
    assert sum(rate.commands) == sum(count for _, count in times)
    assert len(rate.commands) <= 4096
    assert rate.start <= min(second for second, _ in times) < rate.start + rate.step_seconds


def test_the_plot_shows_when_it_was_busy() -> None:
    """A flare of ten seconds stands out of a quiet minute."""
    data = b"".join(stamped(second, "GET a") * (90 if 30 <= second < 40 else 10) for second in range(60))
    text = to_text(report_of(data))
    assert "commands a second, 10 to 90; 1 s each, from 2026-11-23 01:25:01 UTC" in text
    assert "▁" * 29 + "█" * 10 + "▁" * 19 in text
    assert "client" in text


@pytest.mark.parametrize("data", [GARBAGE, GARBAGE * 1000, b"\x00\xff" * 5000, b"\n"])
def test_garbage_is_an_error(data: bytes, tmp_path: Path) -> None:
    """A file without a single line of MONITOR's has no report: exit code 1, and what to do instead."""
    path = tmp_path / "garbage.txt"
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "analyze", path], capture_output=True, text=True, check=False
    )
    if data == b"\n":
        assert done.returncode == 0  # nothing is not garbage
        return
    assert (done.returncode, done.stdout) == (1, "")
    assert "not one of its lines is MONITOR's; save some with: redis-cli monitor > FILE" in done.stderr
