"""A node is asked within bounds: a hostile reply costs itself only, what is refused is asked once."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import load
from exporter.stats.pace import STEPS
from exporter.stats.prober import Prober
from exporter.topology import topology_of
from tests.captured import captured_text
from tests.fakes import GARBAGE, FakeClock, ReplayServer, array, bulk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = captured_text("redis-7.0.15")
MEBIBYTE = 1 << 20


@pytest.fixture
def prober() -> Iterator[Callable[..., Prober]]:
    """Make probers of servers; their links are closed afterwards."""
    made: list[Prober] = []

    def of(server: ReplayServer, clock: Callable[[], float] = time.monotonic) -> Prober:
        [target] = load(None, redis_url=server.url, environ={}).targets
        topology = topology_of(target)
        [node] = topology.nodes()
        made.append(Prober(topology.link(node), topology.own(node), 1.0, clock))
        return made[-1]

    yield of
    for one in made:
        one.close()


@pytest.mark.parametrize(
    "reply",
    [
        bulk(TEXT + b"field:1\r\n" * 4 * MEBIBYTE),
        b"$900000000000\r\n" + TEXT + b"x" * 4 * MEBIBYTE,
        bulk(bytes(range(256)) * 1000 + b"\r\n" + TEXT),
        bulk(b"no colon\r\n" * 1000 + TEXT),
        bulk(TEXT + b"endless:" + b"x" * MEBIBYTE),
        bulk(b"endless:" + b"x" * MEBIBYTE + b"\r\n" + TEXT),
        bulk(TEXT + b"".join(b"cmdstat_%d:calls=1,usec=1\r\n" % n for n in range(50_000))),
        bulk(TEXT.replace(b"calls=", b"calls=x").replace(b"keys=", b"keys=-")),
    ],
    ids=["huge", "lying", "binary", "colonless", "endless", "endless first", "many", "wordy"],
)
def test_a_hostile_info_costs_itself_only(reply: bytes, prober: Callable[..., Prober]) -> None:
    """The node is up, the rest of the families is there, and memory stays bounded, reading after reading."""
    with ReplayServer(version="7.0.15") as server:
        server.replies[b"INFO"] = reply
        one = prober(server)
        for _ in range(2):
            tracemalloc.start()
            status = one.probe()
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert status.down is None, status.detail
            assert status.used_memory_bytes
            assert one.stats is not None
            assert one.stats.info["redis_version"] == "7.0.15"
            assert peak < 24 * MEBIBYTE


@pytest.mark.parametrize(
    "reply", [b":5\r\n", b"$-1\r\n", array(bulk(b"a")), b"*1000000000\r\n", GARBAGE, b"+" * 70_000]
)
def test_an_info_that_is_none(reply: bytes, prober: Callable[..., Prober]) -> None:
    """What is no text is not taken for one: the node is down, by protocol."""
    with ReplayServer(version="7.0.15") as server:
        server.replies[b"INFO"] = reply
        assert prober(server).probe().down == "protocol"


@pytest.mark.parametrize(
    "reply",
    [b"$90000000000\r\n" + b"x" * 3 * MEBIBYTE, array(*[bulk(b"x" * 100)] * 60_000), b"*" * 70_000, array(b":1\r\n")],
    ids=["giant", "long", "garbage", "odd"],
)
def test_other_hostile_replies_cost_themselves_only(reply: bytes, prober: Callable[..., Prober]) -> None:
    """SLOWLOG and LATENCY may answer anything: INFO's families stay."""
    clock = FakeClock()
    with ReplayServer(version="7.0.15") as server:
        server.replies |= {b"INFO": bulk(TEXT), b"SLOWLOG": reply, b"LATENCY": reply}
        one = prober(server, clock)
        for _ in range(3):
            assert one.probe().down is None
            assert one.stats is not None
            assert one.stats.histograms == {}
            clock.advance(6)


def test_what_is_refused_is_asked_once_per_connection(prober: Callable[..., Prober]) -> None:
    """Each refusal counts as an error on the server, so it is not provoked again; a new connection tries again."""
    clock = FakeClock()
    with ReplayServer(version="7.0.15") as server:
        server.replies |= {b"INFO": bulk(TEXT), b"LATENCY": b"-NOPERM this user has no permissions\r\n"}
        one = prober(server, clock)
        for _ in range(4):
            assert one.probe().down is None
            clock.advance(60)
        assert server.asked[b"LATENCY"] == 2  # LATEST and HISTOGRAM
        assert server.asked[b"CONFIG"] == 4
        assert one.allowed["LATENCY LATEST"] is False
        assert one.allowed["CONFIG GET"] is True
        server.drop_clients()
        assert one.probe().down == "closed"
        assert one.probe().down is None
        assert server.asked[b"LATENCY"] == 4


def test_who_may_not_ask_asks_less_and_less_often(prober: Callable[..., Prober]) -> None:
    """Each INFO that is refused is an error there: after a minute it is one in 30 s; a right given is noticed."""
    clock = FakeClock()
    waits = []
    with ReplayServer(version="7.0.15") as server:
        server.replies[b"INFO"] = b"-NOPERM this user has no permissions to run the 'info' command\r\n"
        one = prober(server, clock)
        for _ in range(6):
            status = one.probe()
            assert (status.down, status.interval) == ("noperm", one.pause(1, None))
            waits.append(status.interval)
            clock.advance(status.interval)
        assert waits == [2, 4, 8, 16, 30, 30]
        server.replies[b"INFO"] = bulk(TEXT)
        assert one.probe().down is None
        assert one.pause(1, None) <= 1


def test_only_what_a_server_knows_is_asked(prober: Callable[..., Prober]) -> None:
    """No question about histograms before Redis 7.0, none about Valkey's command log elsewhere."""
    with ReplayServer(version="6.0.16") as server:
        one = prober(server)
        one.probe()
        assert one.allowed.keys() == {"CONFIG GET", "SLOWLOG", "LATENCY LATEST"}
    with ReplayServer() as server:
        server.replies[b"INFO"] = bulk(captured_text("valkey-9.1.2"))
        one = prober(server)
        one.probe()
        assert "COMMANDLOG LEN" in one.allowed


def test_rare_questions_are_asked_rarely(prober: Callable[..., Prober]) -> None:
    """INFO is read each time, everything else every 5 s."""
    clock = FakeClock()
    with ReplayServer(version="7.0.15") as server:
        server.replies[b"INFO"] = bulk(TEXT)
        one = prober(server, clock)
        for _ in range(20):
            one.probe()
            clock.advance(1)
        assert server.asked[b"INFO"] == 20
        assert server.asked[b"CONFIG"] in {4, 5}


def test_the_pace_follows_what_the_server_counts(prober: Callable[..., Prober]) -> None:
    """Where INFO takes 2 ms of the server's time, it is read every 2.5 s, and that is the age the views allow for."""
    clock = FakeClock()
    usec = 0

    def step(one: Prober, server: ReplayServer) -> float:
        nonlocal usec
        usec += 2000
        line = b"cmdstat_info:calls=%d,usec=%d,usec_per_call=0" % (usec // 2000, usec)
        server.replies[b"INFO"] = bulk(line + b"\r\n" + TEXT.replace(b"cmdstat_info:", b"cmdstat_other:"))
        status = one.probe()
        assert status.down is None
        wait = one.pause(1, None)
        assert wait <= status.interval  # also of the reading that has found out what it costs
        return wait

    with ReplayServer(version="7.0.15") as server:
        one = prober(server, clock)
        step(one, server)
        for _ in range(3):
            waits = step(one, server)
            clock.advance(waits)
        assert waits == pytest.approx(2.5)
        assert one.stats is not None
        assert one.stats.interval == pytest.approx(2.5)


def test_more_nodes_count_from_the_next_reading(prober: Callable[..., Prober]) -> None:
    """A reading is followed by the next one when the views were told, even if there are many more nodes meanwhile."""
    with ReplayServer(version="7.0.15") as server:
        server.replies[b"INFO"] = bulk(TEXT)
        one = prober(server, FakeClock())
        status = one.probe()
        assert one.pause(10_000_000, None) <= status.interval == 1.0
        assert one.probe().interval == STEPS[-1]


def test_a_server_that_loads_says_what_it_can(prober: Callable[..., Prober]) -> None:
    """While loading, a server refuses PING and answers INFO: the node is down by loading, its statistics are there."""
    with ReplayServer(version="7.0.15") as server:
        server.replies |= {b"PING": b"-LOADING Redis is loading the dataset in memory\r\n",
                           b"INFO": bulk(TEXT.replace(b"\nloading:0", b"\nloading:1"))}  # fmt: skip
        one = prober(server)
        for _ in range(3):
            assert one.probe().down == "loading"
        assert one.stats is not None
        assert one.stats.info["loading"] == "1"
        assert server.asked[b"PING"] == 1, "what is refused is not asked again"
        server.replies |= {b"PING": b"+PONG\r\n", b"INFO": bulk(TEXT)}
        assert one.probe().down is None
        assert one.probe().latency_seconds is not None


def test_the_start_of_a_server_is_one_moment(prober: Callable[..., Prober]) -> None:
    """Uptime counts whole seconds; the start that is computed from it does not waver by one."""
    walls = iter([1_700_000_100.9, 1_700_000_101.1, 1_700_000_102.95])
    started: list[Any] = []
    with ReplayServer(version="7.0.15") as server:
        one = prober(server)
        one._wall = lambda: next(walls)
        for uptime in (100, 101, 101):
            server.replies[b"INFO"] = bulk(b"loading:1\r\nuptime_in_seconds:%d\r\nrun_id:a\r\n" % uptime)
            one.probe()
            assert one.stats is not None
            started.append(one.stats.started_at)
    assert len(set(started)) == 1
