"""The truth canary, with a link that answers when it is told to."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.errors import DownReason, NodeError
from exporter.monitor.canary import CANARY_SECONDS, LOST_SECONDS, SILENT_AFTER, Canary
from exporter.monitor.session import Outcome, Slice
from tests.fakes import FakeClock


class FakeLink:
    """A link on which a canary runs at `ran` on the server's clock, once `answers` is set."""

    def __init__(self) -> None:
        self.is_open = False
        self.reachable = True
        self.answers = True
        self.ran = 0.0
        self.word = b""
        self.sent = 0

    def open(self) -> None:
        """Connect, if it is reachable."""
        if not self.reachable:
            raise NodeError("r:6379", "connect", DownReason.REFUSED)
        self.is_open = True

    def post(self, ping: tuple[Any, ...], *_: tuple[Any, ...]) -> None:
        """Take note of the canary."""
        if not self.reachable:
            self.is_open = False
            raise NodeError("r:6379", "PING", DownReason.CLOSED)
        self.word = ping[1]
        self.sent += 1

    def posted(self, count: int) -> list[Any] | None:
        """The replies to PING and TIME, if it answers."""
        assert count == 2
        seconds = int(self.ran)
        return [self.word, [b"%d" % seconds, b"%d" % ((self.ran - seconds) * 1e6)]] if self.answers else None

    def close(self) -> None:
        """Close it."""
        self.is_open = False


class Bench:
    """A canary over a stream whose slices are made here."""

    def __init__(self) -> None:
        self.clock, self.link = FakeClock(), FakeLink()
        self.canary = Canary(self.link, b"token", self.clock)  # type: ignore[arg-type]
        self.start = 100.0

    def slice(self, *, shown: bool, ran: float = 0.5, seconds: float = 1.0, gap: float = 0.0) -> None:
        """One slice; `ran` is when in it a canary runs that is sent in it, and `shown` whether its line is there."""
        self.start += gap
        self.clock.advance(gap)
        before = self.link.sent
        self.canary.prepare()
        self.canary.send()
        if self.link.sent > before:
            self.link.ran = self.start + ran
        self.clock.advance(seconds)
        data = b'1.0 [0 1.2.3.4:5] "PING" "%s"\n' % self.link.word if shown else b'1.0 [0 1.2.3.4:5] "GET" "key"\n'
        end = self.start + seconds
        self.canary.look(Slice(data, self.start, end, 1, len(data), 0.0, Outcome.COMPLETE))
        self.start = end


@pytest.fixture
def bench() -> Bench:
    """A canary that is due."""
    return Bench()


def test_a_canary_that_is_seen_tells_the_lag(bench: Bench) -> None:
    """It takes as long as until its slice was read, and the next one comes after CANARY_SECONDS."""
    bench.slice(shown=True)
    assert bench.canary.lag_seconds == pytest.approx(1.0)
    for _ in range(int(CANARY_SECONDS) - 1):
        bench.slice(shown=False)
    assert bench.link.sent == 1
    bench.slice(shown=True)
    assert bench.link.sent == 2
    assert not bench.canary.silent


def test_a_stream_without_canaries_is_silent(bench: Bench) -> None:
    """SILENT_AFTER canaries that ran inside slices and are missing, in slices that follow each other; one ends it."""
    for number in range(1, SILENT_AFTER + 1):
        assert not bench.canary.silent
        bench.slice(shown=False)
        assert bench.link.sent == number
    assert bench.canary.silent
    bench.slice(shown=True)
    assert not bench.canary.silent


def test_one_that_ran_between_two_bursts_proves_nothing(bench: Bench) -> None:
    """Too late for its burst, too early for the next one: it may well be missing."""
    for _ in range(20):
        bench.slice(shown=False, ran=1.05, gap=3.0)
    assert bench.link.sent > 5
    assert not bench.canary.silent


def test_the_next_slice_may_show_it(bench: Bench) -> None:
    """Joined slices leave no gap: what ran after the end of one is in the next, or missing there."""
    bench.slice(shown=False, ran=1.5)
    bench.slice(shown=True)
    assert bench.canary.lag_seconds == pytest.approx(2.0)
    bench.clock.advance(CANARY_SECONDS)
    for _ in range(2 * SILENT_AFTER):
        bench.slice(shown=False, ran=1.5)
    assert bench.canary.silent


def test_the_very_end_of_a_slice_proves_nothing(bench: Bench) -> None:
    """Servers round their time, so a canary that ran within a millisecond of the end is not missed."""
    for _ in range(10):
        bench.slice(shown=False, ran=0.9995, gap=0.1)
    assert not bench.canary.silent


def test_a_late_answer_is_judged_by_all_slices_since(bench: Bench) -> None:
    """A slow second connection is no fault of the stream, and hides none."""
    bench.link.answers = False
    bench.slice(shown=True)
    bench.slice(shown=False)
    bench.link.answers = True
    bench.slice(shown=False)
    assert not bench.canary.silent
    assert bench.canary.lag_seconds == pytest.approx(1.0)


def test_without_a_second_connection_nothing_is_concluded(bench: Bench) -> None:
    """Refused, broken or hanging: the connection is given up and tried again later, and the stream is believed."""
    bench.link.reachable = False
    for _ in range(10):
        bench.slice(shown=False)
    bench.link.reachable, bench.link.answers = True, False
    for _ in range(int(CANARY_SECONDS + LOST_SECONDS) + 2):
        bench.slice(shown=False)
    assert not bench.link.is_open
    bench.link.answers = True
    for _ in range(int(CANARY_SECONDS) + 1):
        bench.slice(shown=True)
    assert bench.link.is_open
    assert not bench.canary.silent


def test_a_clock_that_jumps_is_no_fault(bench: Bench) -> None:
    """The server's clock goes back an hour between a canary and the end of its slice: nothing is concluded."""
    bench.canary.prepare()
    bench.canary.send()
    bench.link.ran = 100.5
    bench.canary.look(Slice(b"", 100.0, 100.0 - 3600, 0, 0, 0.0, Outcome.COMPLETE))
    bench.canary.look(Slice(b"", 100.0 - 3600, 101.0 - 3600, 0, 0, 0.0, Outcome.COMPLETE))
    assert not bench.canary.silent
