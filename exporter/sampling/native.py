"""Other eyes on the question which keys are hot: what the server itself knows, where MONITOR may not look.

In: the Board (is MONITOR in use, and if not, why), and links to one node. Out: `NativeKeys` on the Board.

    hotkeys   Redis 8.6 and newer: a session of HOTKEYS, for CPU time and network bytes of keys, of no database
              Valkey 9.2 and newer: HOTKEYS GET, accesses per second in the server's own last window
    lfu       any server with an lfu policy: OBJECT FREQ over SCAN, a rank and no rate

A session of Redis always has a DURATION, so that it ends by itself. There is one for each server: one that somebody
else has started is read, and never stopped or reset.
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING, Any

import redis

from exporter.errors import NodeError, ScanRefused
from exporter.keynames import stored
from exporter.log import log
from exporter.sampling.hotkeys_reply import HotkeysSession, redis_session, valkey_rates
from exporter.sampling.labels import LabelBudget
from exporter.sampling.lfu import LfuScan
from exporter.sampling.native_rank import leaders, ranked
from exporter.sampling.window import KeyEstimate
from exporter.snapshot import NativeKey, NativeKeys, NodeStatus, SamplingState, Source

if TYPE_CHECKING:
    from collections.abc import Generator

    from exporter.config import Sampling
    from exporter.link import Link
    from exporter.sampling.scan import Scanner
    from exporter.snapshot import Board

POLL_SECONDS = 5.0
IDLE_SECONDS = 0.5
RETRY_SECONDS = 2.0
REFUSED_SECONDS = 3600.0
"""How long a refusal is believed: each refused command adds to the server's errorstats."""
SESSION_SECONDS = 60
YOUNG_SECONDS = 10.0
SAMPLE_RATIO = 100
MOST_COUNTED = 64
STANDS_IN_FOR = frozenset({"denied", "unsupported", "server_limit"})
"""Why MONITOR may not be used although the node is well."""
CONFIGURED, BESIDE = "configured", "beside"
_VERSION = re.compile(r"(\d+)\.(\d+)")


def offers(source: Source, status: NodeStatus) -> bool:
    """Whether a server has what `source` needs, going by what INFO says of it."""
    if source is Source.LFU:
        return "lfu" in status.maxmemory_policy
    found = _VERSION.match(status.version)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return source is Source.HOTKEYS and version >= ((9, 2) if status.server == "valkey" else (8, 6))


class NativeEyes:
    """Chooses the best source that one node offers and publishes what it says. `steps` is a generator for `Turns`."""

    def __init__(self, board: Board, link: Link, scanner: Scanner, settings: Sampling) -> None:
        self._board = board
        self._node = link.node
        self._link = link
        self._scanner = scanner
        self._settings = settings
        self._labels = LabelBudget(settings.top, settings.max_new_labels_per_hour)
        self._refused: dict[Source, tuple[float, str]] = {}
        self._redis: RedisSessions | None = None
        self._lfu: LfuScan | None = None
        self._published_at = 0.0

    def steps(self) -> Generator[float, None, None]:
        """Look where MONITOR does not; yields seconds to wait before the next step."""
        try:
            while True:
                choice = self._choice()
                if choice is None:
                    self._leave()
                    yield IDLE_SECONDS
                    continue
                source, reason = choice
                try:
                    yield self._step(source, reason)
                except ScanRefused as refusal:
                    self._refuse(source, refusal.why)
                    yield IDLE_SECONDS
                except NodeError:
                    self._close()
                    yield RETRY_SECONDS
        finally:
            self._leave()

    def _choice(self) -> tuple[Source, str] | None:
        """The source to use and why it and not MONITOR; None where there is none to use."""
        status, wanted = self._board.latest(self._node, NodeStatus), self._settings.source
        if status is None or status.down is not None or status.loading:
            return None
        state = self._board.latest(self._node, SamplingState)
        explicit = wanted in {Source.HOTKEYS, Source.LFU}
        sources: tuple[Source, ...] = ()
        reason = CONFIGURED
        if explicit:
            sources = (Source(wanted),)
        elif wanted == "auto" and state and state.source is Source.NONE and state.reason in STANDS_IN_FOR:
            sources, reason = (Source.HOTKEYS, Source.LFU), state.reason
        elif wanted != "off" and self._settings.hotkeys_beside:
            sources, reason = (Source.HOTKEYS,), BESIDE
        for source in sources:
            if offers(source, status) and self._allowed(source):
                return source, reason
        if explicit:
            refused = self._refused.get(Source(wanted))
            self._publish(Source.NONE, refused[1] if refused else "unsupported", [], 0.0)
        return None

    def _allowed(self, source: Source) -> bool:
        if source in self._refused and time.monotonic() - self._refused[source][0] >= REFUSED_SECONDS:
            del self._refused[source]
        return source not in self._refused

    def _refuse(self, source: Source, why: str) -> None:
        self._refused[source] = time.monotonic(), why
        log.warning("sampling.native_refused", "another source of hot keys cannot be used",
                    target=self._node.target, addr=self._node.addr, source=source.value, reason=why)  # fmt: skip

    def _step(self, source: Source, reason: str) -> float:
        if source is Source.LFU:
            return self._step_lfu(reason)
        status = self._board.latest(self._node, NodeStatus)
        if status and status.server == "valkey":
            self._publish(source, reason, self._valkey(), 0.0)
            return POLL_SECONDS
        if self._redis is None:
            self._redis = RedisSessions(self._link, max(10, min(MOST_COUNTED, self._settings.top)))
        session = self._redis.poll()
        if session is not None:
            self._publish(source, reason, _of_session(session), session.seconds)
        return POLL_SECONDS if session and session.seconds >= POLL_SECONDS else 1.0

    def _step_lfu(self, reason: str) -> float:
        if self._lfu is None:
            self._lfu = LfuScan(self._scanner)
            self._published_at = time.monotonic() - POLL_SECONDS + IDLE_SECONDS
        wait = self._lfu.step()
        now = time.monotonic()
        if now - self._published_at >= POLL_SECONDS:
            self._published_at = now
            keys = [NativeKey(db, key, frequency=count) for (db, key), count in self._lfu.ranked]
            self._publish(Source.LFU, reason, keys, 0.0)
            self._lfu.refresh()
        return min(wait, POLL_SECONDS)

    def _valkey(self) -> list[NativeKey]:
        rates = valkey_rates(_ask(self._link, "HOTKEYS", "GET"))
        if not rates and self._switched_off():
            raise ScanRefused(self._node.addr, "HOTKEYS GET", "disabled")
        return [NativeKey(one.db, stored(one.key), accesses_per_second=one.rate) for one in rates or ()]

    def _switched_off(self) -> bool:
        """Whether Valkey's own detection is switched off: the setting is 0 by default, and not ours to change."""
        try:
            reply = self._link.call("CONFIG", "GET", "hotkey*top-k")
        except redis.ResponseError:
            return False
        return isinstance(reply, list) and len(reply) >= 2 and reply[1] == b"0"

    def _publish(self, source: Source, reason: str, keys: list[NativeKey], seconds: float) -> None:
        now, top = time.monotonic(), int(1.5 * self._settings.top)
        orders = leaders(keys, top)
        leading = [[KeyEstimate(key.db or 0, key.key, 1.0, 0.0, 1.0, 0.0) for key in one] for one in orders]
        first, second = (*leading, [], [])[:2]
        labelled = self._labels.choose(now, first, second, 1.0)
        old = self._board.latest(self._node, NativeKeys)
        self._board.publish(self._node, NativeKeys(source, reason, ranked(orders), labelled, seconds, now))
        if source is not Source.NONE and (old is None or old.source is not source):
            log.info("sampling.native", "hot keys are taken from the server itself",
                     target=self._node.target, addr=self._node.addr, source=source.value, reason=reason)  # fmt: skip

    def _leave(self) -> None:
        """MONITOR is back, or we stop: end what we have begun on the server."""
        if self._redis is not None:
            with contextlib.suppress(NodeError):
                self._redis.end()
        self._close()

    def _close(self) -> None:
        self._redis = self._lfu = None
        self._link.close()
        self._scanner.close()


class RedisSessions:
    """One HOTKEYS session after the other on a Redis of 8.6 or newer, unless somebody else has one."""

    def __init__(self, link: Link, count: int) -> None:
        self._link = link
        self._count = count
        self._ours: int | None = None
        self._last: HotkeysSession | None = None

    def poll(self) -> HotkeysSession | None:
        """The session that is under way; the one before as long as that is too young to say much.

        Raises:
            ScanRefused: this user may not, or the server does not offer it.
            NodeError: the node cannot be used.

        """
        session = self._get()
        if session is None or not session.active:
            if session is not None and session.started == self._ours:
                self._last = session
            self._start()
            session = self._get()
        if session is None:
            return self._last
        return self._last if session.seconds < YOUNG_SECONDS and self._last else session

    def end(self) -> None:
        """End the session if it is ours."""
        if self._ours is None or not self._link.is_open:
            return
        session = self._get()
        if session is not None and session.active and session.started == self._ours:
            _ask(self._link, "HOTKEYS", "STOP")

    def _get(self) -> HotkeysSession | None:
        return redis_session(_ask(self._link, "HOTKEYS", "GET"))

    def _start(self) -> None:
        """Start one; if somebody else was faster, that one is read."""
        try:
            self._link.call(
                "HOTKEYS", "START", "METRICS", 2, "CPU", "NET", "COUNT", self._count,
                "DURATION", SESSION_SECONDS, "SAMPLE", SAMPLE_RATIO,
            )  # fmt: skip
        except redis.ResponseError as refusal:
            if "already" in str(refusal):
                return
            raise _refusal(self._link, refusal) from None
        session = self._get()
        self._ours = session.started if session else None


def _of_session(session: HotkeysSession) -> list[NativeKey]:
    seconds = max(session.seconds, 1.0)
    return [
        NativeKey(
            None,
            stored(key),
            cpu_seconds_per_second=_divided(session.cpu_seconds.get(key), seconds),
            network_bytes_per_second=_divided(session.network_bytes.get(key), seconds),
        )
        for key in {**session.cpu_seconds, **session.network_bytes}
    ]


def _divided(amount: float | None, seconds: float) -> float | None:
    return None if amount is None else amount / seconds


def _ask(link: Link, *command: str) -> Any:
    try:
        return link.call(*command)
    except redis.ResponseError as refusal:
        raise _refusal(link, refusal) from None


def _refusal(link: Link, refusal: redis.ResponseError) -> ScanRefused:
    denied = isinstance(refusal, redis.exceptions.NoPermissionError)
    return ScanRefused(link.node.addr, "HOTKEYS", "denied" if denied else "unsupported")
