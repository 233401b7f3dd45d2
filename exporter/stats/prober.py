"""Asks one node how it is and what it says of itself: a link in, a `NodeStatus` and a `ServerStats` out.

PING gives the latency, INFO nearly everything else; what is asked beside them is in `questions`.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.errors import DownReason, NodeError
from exporter.link import REPLY_TIMEOUT
from exporter.snapshot import NodeStatus
from exporter.stats import info, pace
from exporter.stats.collector import FAST_COMMANDS, SLOW_SECONDS, Collector
from exporter.stats.hits import HitRatio, Reading
from exporter.stats.inquirer import Inquirer
from exporter.stats.limits import server_limit
from exporter.stats.reply import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.link import Link, OwnTraffic
    from exporter.serverstats import ServerStats
    from exporter.stats.info import Info


LONGEST_REFUSED_SECONDS = 30.0
"""A right may be granted at any time, but each try until then is an error in the server's statistics."""


class Prober:
    """The state of one node, probed on a link of its own. Belongs to one thread.

    `stats` is the latest reading; it stays what it was while the node does not answer.
    """

    def __init__(
        self,
        link: Link,
        own: OwnTraffic,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._inquirer = Inquirer(link)
        self._collector = Collector(self._inquirer)
        self._own = own
        self._setting = self._interval = interval
        self._clock = clock
        self._wall = wall
        # Nodes that are first probed at the same moment should not all be probed at the same moment for ever.
        self._phase = pace.Phase(clock() - random.random() * interval, random.uniform(0.15, 0.35))
        self._hits = HitRatio()
        self._readings = info.Readings()
        self._own_seconds = self._asking_seconds = 0.0
        self._refusals = 0
        self._nodes = 1
        self._last_success: float | None = None
        self._last: NodeStatus | None = None
        self.stats: ServerStats | None = None

    def probe(self) -> NodeStatus:
        """How the node is now. Never raises: a node that cannot be reached is `down` with its reason."""
        began = self._clock()
        try:
            self._connect()
            worked = time.thread_time()  # connecting is no part of what each reading costs us
            latency = self._ping()
            known = self._readings.parse(self._inquirer.info())
        except NodeError as fault:
            return self._unreachable(fault)
        now = self._clock()
        self._refusals = 0
        loading = bool(info.integer(known.fields, "loading"))
        if not loading:
            self._last_success = self._wall()
            self._hits.add(self._reading(known.fields, now), known.fields.get("run_id", ""))
            worked += self._ask(known, now)
        stats = self._collector.stats(known, now=now, wall=self._wall(), interval=self._interval)
        self._collector.count(self._clock() - began)
        self._own_seconds = 0.9 * self._own_seconds + 0.1 * (time.thread_time() - worked)
        self._pace()  # before anything is published: views allow for the time until the next reading
        self.stats = replace(stats, interval=self._age_limit(now))
        self._last = self._status(known.fields, latency, now)
        if loading:
            self._last = replace(self._last, down=DownReason.LOADING, detail="the server is loading its data set")
        return self._last

    def pause(self, nodes: int, scraped: float | None) -> float:
        """How long to wait until the next probe, where `nodes` are probed in all and `scraped` was the last scrape."""
        if self._refusals:
            return self._patience
        self._nodes = nodes  # counts from the next reading on: views were told when that is to be expected
        return self._phase.wait(self._clock(), self._interval, scraped)

    def _pace(self) -> None:
        cost = self._collector.costs.seconds(FAST_COMMANDS)
        self._interval = pace.interval(self._setting, cost, self._own_seconds, self._nodes)

    @property
    def _patience(self) -> float:
        """Who may not ask INFO asks less and less often."""
        return float(min(LONGEST_REFUSED_SECONDS, self._setting * 2 ** min(self._refusals, 10)))

    @property
    def allowed(self) -> dict[str, bool]:
        """What may be asked beside INFO on this server, by the names of `questions`."""
        return self._collector.allowed

    def close(self) -> None:
        """Close the link."""
        self._inquirer.close()

    def _connect(self) -> None:
        if not self._inquirer.is_open:
            started = self._clock()
            self._inquirer.open()
            self._collector.connected(self._clock() - started)

    def _ping(self) -> float | None:
        """The latency. A server that loads, or cannot write snapshots, refuses PING but answers INFO, which says so.

        One that was loading a moment ago is not asked: each refusal counts as an error there.
        """
        if self._last is not None and self._last.loading:
            return None
        started = self._clock()
        [reply] = self._inquirer.ask(("PING",))
        if not (isinstance(reply, Refusal) and reply.text.startswith(("LOADING", "MISCONF"))):
            self._inquirer.demand("PING", reply)
        return self._clock() - started

    def _ask(self, known: Info, now: float) -> float:
        """Ask what is asked less often, if it is time; returns our CPU seconds, which are no part of a reading's."""
        began = time.thread_time()
        if not self._collector.ask(known, now, self._pause_of_questions()):
            return 0.0
        spent = time.thread_time() - began
        self._asking_seconds = 0.9 * self._asking_seconds + 0.1 * spent
        return spent

    def _pause_of_questions(self) -> float:
        least = pace.bearable(self._collector.slow_seconds, self._asking_seconds, self._nodes)
        return max(SLOW_SECONDS, self._interval, least) - self._interval / 2

    def _age_limit(self, now: float) -> float:
        """The time until the next reading as it really is: where the node answers slowly, that is longer."""
        since = now - self.stats.taken_at if self.stats else 0.0
        return max(self._interval, min(since, self._interval + 2 * REPLY_TIMEOUT))

    def _reading(self, fields: Mapping[str, str], now: float) -> Reading:
        hits = info.integer(fields, "keyspace_hits") or 0
        misses = info.integer(fields, "keyspace_misses") or 0
        return Reading(now, hits, misses, self._own.hits, self._own.misses)

    def _unreachable(self, fault: NodeError) -> NodeStatus:
        self._refusals = self._refusals + 1 if fault.reason is DownReason.NOPERM else 0
        known = self._last or self._status({}, None, self._clock())
        self._last = replace(
            known, down=fault.reason, detail=str(fault), latency_seconds=None, loading=False,
            ops_per_second=0.0, input_bytes_per_second=0.0, taken_at=self._clock(),
            interval=self._patience if self._refusals else self._interval, tls_reason=fault.tls or "",
        )  # fmt: skip
        return self._last

    def _status(self, fields: Mapping[str, str], latency: float | None, now: float) -> NodeStatus:
        limits = self._collector.limits
        return NodeStatus(
            down=None,
            detail="",
            role=fields.get("role", "unknown"),
            server="valkey" if fields.get("server_name") == "valkey" else "redis",
            version=fields.get("valkey_version") or fields.get("redis_version", ""),
            run_id=fields.get("run_id", ""),
            latency_seconds=latency,
            uptime_seconds=info.number(fields, "uptime_in_seconds"),
            used_memory_bytes=info.integer(fields, "used_memory"),
            maxmemory_bytes=info.integer(fields, "maxmemory"),
            total_memory_bytes=info.integer(fields, "total_system_memory"),
            maxmemory_policy=fields.get("maxmemory_policy", ""),
            ops_per_second=info.number(fields, "instantaneous_ops_per_sec") or 0.0,
            input_bytes_per_second=1024 * (info.number(fields, "instantaneous_input_kbps") or 0.0),
            loading=fields.get("loading", "0") not in {"", "0"},
            # A replica in full sync, or a primary that is handing over: figures would be about another data set.
            failover=fields.get("master_failover_state", "no-failover") != "no-failover"
            or fields.get("master_sync_in_progress", "0") == "1",
            connected_clients=info.integer(fields, "connected_clients"),
            evicted_keys=info.integer(fields, "evicted_keys"),
            hit_ratio=self._hits.ratios(),
            server_limit_bytes=server_limit(limits) if limits else 0,
            largest_output_buffer_bytes=info.integer(fields, "client_recent_max_output_buffer") or 0,
            last_success=self._last_success,
            taken_at=now,
            interval=self._interval,
        )


def unreachable(fault: NodeError, now: float) -> NodeStatus:
    """The status of a node of which nothing is known but why."""
    return NodeStatus(
        down=fault.reason, detail=str(fault), role="unknown", server="", version="", run_id="", latency_seconds=None,
        uptime_seconds=None, used_memory_bytes=None, maxmemory_bytes=None, total_memory_bytes=None,
        maxmemory_policy="", ops_per_second=0.0, input_bytes_per_second=0.0, loading=False, failover=False,
        connected_clients=None, evicted_keys=None, hit_ratio={}, server_limit_bytes=0, largest_output_buffer_bytes=0,
        last_success=None, taken_at=now, tls_reason=fault.tls or "",
    )  # fmt: skip
