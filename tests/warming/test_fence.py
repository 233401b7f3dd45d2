"""The fence's protocol against a cache of our own that keeps to MONITOR's rules.

Whenever somebody invalidates, however late the stream is, and wherever the connection breaks, nothing stale is left.
"""

from __future__ import annotations

import threading
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import DownReason, NodeError
from exporter.link import OwnTraffic
from exporter.monitor.keys import CommandTable
from exporter.monitor.stream import Budget, Streams
from exporter.snapshot import Node
from exporter.warming import fence as fences
from exporter.warming.fence import Fence, StreamLost
from exporter.warming.items import Item
from tests.lines import LOCAL, line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ADDR = "127.0.0.1:6379"
OURS = b"127.0.0.1:777"
TABLE = CommandTable.builtin()


class Cache:
    """A cache and the placement on it: what is executed goes into a stream, which arrives when `deliver` says so."""

    addresses = (ADDR,)

    def __init__(self, streams: Streams) -> None:
        self.values: dict[bytes, bytes] = {}
        self.stream = b""
        self.tap = streams.tap(Node("cache", ADDR))
        self.tap.use(TABLE, Budget(5000.0, float(1 << 21), 131_072.0))
        self.breaks: str | None = None
        self.denied: tuple[bytes, ...] = ()
        self.traffic = OwnTraffic()
        self.at_once = True

    def deliver(self, part: float = 1.0) -> None:
        """Let so much of what has gathered arrive."""
        cut = int(len(self.stream) * part)
        arrived, self.stream = self.stream[:cut], self.stream[cut:]
        self.tap.feed(arrived)

    def run(self, source: bytes, *argv: bytes) -> Any:
        """Execute one command as the server would."""
        if argv[0] in self.denied:
            return redis.exceptions.NoPermissionError("no permissions")
        self.stream += line(argv, 0, source)
        match argv:
            case (b"SET", key, value, *_):
                if key in self.values:
                    return None
                self.values[key] = value
                return b"OK"
            case (b"DEL" | b"UNLINK", key):
                return int(self.values.pop(key, None) is not None)
            case (b"EVAL", _, _, key, digest):
                return self.undo(key, digest)
        return 1

    def undo(self, key: bytes, digest: bytes) -> int:
        """What the script does."""
        self.stream += line([b"GET", key], 0, b"lua")
        if key not in self.values:
            return -1
        if sha1(self.values[key]).hexdigest().encode() != digest:
            return 0
        self.stream += line([b"DEL", key], 0, b"lua")
        del self.values[key]
        return 1

    def exchange(self, addr: str, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send commands."""
        assert addr == ADDR
        if self.breaks == "before":
            raise NodeError(ADDR, "warm", DownReason.CLOSED)
        as_bytes = [[one if isinstance(one, bytes) else str(one).encode() for one in argv] for argv in commands]
        replies = [self.run(OURS, *argv) for argv in as_bytes]
        if self.breaks == "after":
            self.breaks = "before"
            raise NodeError(ADDR, "warm", DownReason.CLOSED)
        if self.at_once:
            self.deliver()
        return replies

    def send(self, commands: Sequence[tuple[bytes, Sequence[Any]]], tail: Callable[[str], Any]) -> list[Any]:
        """Send commands, and what goes behind them."""
        return self.exchange(ADDR, [*(command for _, command in commands), *tail(ADDR)])[: len(commands)]

    def identity(self, addr: str) -> tuple[bytes | None, bytes]:
        """How we show in the stream."""
        return OURS, b"token"

    def own(self, addr: str) -> OwnTraffic:
        """What we did."""
        return self.traffic

    def place(self, key: bytes) -> str:
        """There is one place only."""
        return ADDR

    def open(self) -> None:
        """Connect again."""
        if self.breaks == "for good":
            raise NodeError(ADDR, "warm", DownReason.REFUSED)
        self.breaks = None

    def close(self) -> None:
        """Let go."""


def fenced(monkeypatch: pytest.MonkeyPatch | None = None) -> tuple[Cache, Fence]:
    """A fence that has begun."""
    streams = Streams()
    cache = Cache(streams)
    fence = Fence(streams, "cache", 0, cache)  # type: ignore[arg-type]
    for _ in range(2):
        cache.tap.resume(b"")
    fence.begin()
    if monkeypatch is not None:
        monkeypatch.setattr(fences, "MARK_SECONDS", 0.0)
        monkeypatch.setattr(fences, "UNDO_SECONDS", 0.0)
        monkeypatch.setattr(fences, "UNDO_WAIT_SECONDS", 0.0)
    return cache, fence


def item(number: int, value: bytes = b"1") -> Item:
    """A session."""
    return Item.of(b"session:%d" % number, "string", (value,), 60_000)


moments = st.sampled_from(["never", "read", "sent", "late", "fresh"])


@given(
    st.lists(st.tuples(moments, st.booleans()), min_size=1, max_size=30),
    st.integers(1, 7),
    st.lists(st.floats(0, 1), min_size=30, max_size=30),
)
def test_nothing_stale_is_left(plan: list[tuple[str, bool]], size: int, parts: list[float]) -> None:
    """Each key is invalidated at one moment of the protocol or never, while the stream arrives in parts of any size."""
    cache, fence = fenced()
    cache.at_once = False
    versions = dict.fromkeys(range(len(plan)), b"1")
    right: list[Item] = []
    wrong: list[Item] = []
    skipped = 0

    def invalidate(numbers: range, moment: str) -> None:
        for number in numbers:
            if plan[number][0] == moment:
                versions[number] = b"2"
                if plan[number][1]:
                    cache.stream += line([b"EVAL", b"x", b"0"])
                cache.run(b"lua" if plan[number][1] else LOCAL, b"DEL", b"session:%d" % number)
            if plan[number][0] == "fresh" and moment == "read":
                versions[number] = b"2"
                cache.run(LOCAL, b"DEL", b"session:%d" % number)
                cache.run(LOCAL, b"SET", b"session:%d" % number, b"2")

    for start in range(0, len(plan), size):
        numbers = range(start, min(start + size, len(plan)))
        items = [item(number, versions[number]) for number in numbers]
        invalidate(numbers, "read")
        cache.deliver(parts[start])
        kept = [one for one in items if not fence.changed(one)]
        skipped += len(items) - len(kept)
        if kept:
            replies = fence.send(kept)
            skipped += replies.count(None)
        invalidate(numbers, "sent")
        cache.deliver(parts[-1 - start])
        now_right, now_wrong = fence.settle(everything=False)
        right += now_right
        wrong += now_wrong
        invalidate(numbers, "late")
    cache.deliver()
    now_right, now_wrong = fence.settle(everything=True)
    right += now_right
    wrong += now_wrong

    assert all(cache.values.get(b"session:%d" % number, version) == version for number, version in versions.items())
    assert len(right) + len(wrong) + skipped == len(plan)
    untouched = [number for number, (moment, _) in enumerate(plan) if moment == "never"]
    assert all(cache.values[b"session:%d" % number] == b"1" for number in untouched), (
        "and nothing is taken back in vain"
    )


@pytest.mark.parametrize("how", ["ends", "late", "unreadable", "flushed"])
def test_who_cannot_know_takes_back(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not proved when the stream fails is taken back, what is proved stays, and what is fresher, too."""
    cache, fence = fenced(monkeypatch)
    fence.send([item(1)])
    assert fence.settle(everything=True) == ([item(1)], [])
    cache.at_once = False
    fence.send([item(2), item(3)])
    cache.values[b"session:3"] = b"fresher"
    match how:
        case "ends":
            cache.tap.end()
        case "unreadable":
            cache.tap.feed(b"garbage\r\n")
        case "flushed":
            cache.tap.feed(line([b"FLUSHALL"]))

    def go_on() -> None:
        fence.changed(item(4))
        fence.settle(everything=True)

    with pytest.raises(StreamLost):
        go_on()

    assert fence.abandon(threading.Event()) == (2, 0)

    assert cache.values == {b"session:1": b"1", b"session:3": b"fresher"}
    assert fence.abandon(threading.Event()) == (0, 0)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_connection_that_breaks_leaves_nothing(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent may have been written or not: on a new connection all is taken back, counted as not written."""
    cache, fence = fenced(monkeypatch)
    cache.breaks = moment
    with pytest.raises(NodeError):
        fence.send([item(1), item(2)])
    monkeypatch.setattr(fences, "UNDO_SECONDS", 5.0)

    assert fence.abandon(threading.Event()) == (0, 0)

    assert cache.values == {}


def test_what_could_not_be_taken_back_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A primary that stays away, or refuses, leaves keys behind, and their number is told."""
    cache, fence = fenced(monkeypatch)
    cache.at_once = False
    fence.send([item(1), item(2)])
    cache.denied = (b"EVAL", b"DEL")
    cache.breaks = "for good"
    monkeypatch.setattr(cache, "exchange", lambda *_: (_ for _ in ()).throw(NodeError(ADDR, "warm", DownReason.CLOSED)))

    assert fence.abandon(threading.Event()) == (0, 2)


def test_a_user_without_eval_is_told_before_the_first_write() -> None:
    """Who could not take anything back does not write anything."""
    streams = Streams()
    cache = Cache(streams)
    cache.denied = (b"EVAL",)
    fence = Fence(streams, "cache", 0, cache)  # type: ignore[arg-type]
    for _ in range(2):
        cache.tap.resume(b"")
    with pytest.raises(StreamLost, match="EVAL is not allowed"):
        fence.begin()


def test_it_keeps_within_the_stream() -> None:
    """Pauses follow from lines and bytes, and values that one slice could not bear are refused."""
    cache, fence = fenced()
    for _ in range(5):
        cache.tap.resume(b"")
    small, large = [item(number) for number in range(400)], item(1, b"\xff" * 30_000)

    assert fence.pause(small, 100.0) > 0.05
    assert fence.pause([large], 200.0) > 0.04, "what is not printable takes four bytes"
    assert not fence.too_large(large)
    assert fence.too_large(item(1, b"\xff" * 40_000))
    assert fence.too_large(item(1, b"x" * 200_000))
    assert 1 <= fence.at_once() <= 100
    fence.close()
    assert not cache.tap.wanted
