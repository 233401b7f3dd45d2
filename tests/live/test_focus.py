"""Who calls a hot key, on real servers: the clients and commands that did, with shares that are true."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from exporter.focus import MOST_KEYS
from exporter.keynames import KeyNames
from tests.live.test_hotkeys import background
from tests.meanwhile import meanwhile
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.program import Exporter, StartExporter
    from tests.servers import Server

CLEAR = {"keys": {"mask": []}, "sampling": {"window": "10s"}}


def named(server: Server, name: str) -> Redis:
    """One connection, with a name."""
    client = server.client(max_connections=1, client_name=name)
    client.ping()
    return client


def address(client: Redis) -> str:
    """As MONITOR writes it."""
    return str(client.client_info()["addr"])


@contextmanager
def callers(server: Server, key: bytes = b"hot", *, pipeline: int = 1, pause: float = 0.01) -> Iterator[dict[str, str]]:
    """`reader` calls GET three times as often as `writer` calls SET; gives their addresses by name."""
    ended = threading.Event()
    reader, writer = named(server, "reader"), named(server, "writer")

    def work() -> None:
        while not ended.wait(pause):
            with reader.pipeline(transaction=False) as reads, writer.pipeline(transaction=False) as writes:
                for _ in range(pipeline):
                    reads.get(key).get(key).get(key)
                    writes.set(key, b"value")
                reads.execute()
                writes.execute()

    with meanwhile(work, ended):
        yield {"reader": address(reader), "writer": address(writer)}


def details(exporter: Exporter, key: str, **parameters: Any) -> dict[str, Any]:
    """The details of a key, which is in focus then."""
    reply = exporter.get(f"/api/v1/hotkeys/{quote(key, safe='')}", params=parameters)
    return reply.json() if reply.status_code == 200 else {"status": reply.status_code, **reply.json()}


def known(exporter: Exporter, key: str, seconds: float) -> dict[str, Any]:
    """The details once the focus has observed so many seconds."""

    def enough() -> dict[str, Any] | None:
        found = details(exporter, key)
        return found if found.get("focus") and found["focus"]["seconds"] >= seconds else None

    return wait_for(enough, 30, f"{seconds} s of focus on {key!r}")


def test_two_clients_are_told_apart(any_server: Server, start_exporter: StartExporter) -> None:
    """Counted in full: reader with GET has three quarters, writer with SET a quarter, with their names, exactly."""
    exporter = start_exporter(redis_url=any_server.url, config=CLEAR)
    with callers(any_server) as addresses:
        wait_for(lambda: details(exporter, "hot").get("focus"), 20, "the key to be hot")
        found = wait_for(lambda: _named(known(exporter, "hot", 4.0)), 20, "the names")
    commands = {one["command"]: one for one in found["focus"]["commands"]}
    clients = {one["client"]: one for one in found["focus"]["clients"]}
    assert commands.keys() == {"get", "set"}
    assert clients.keys() == set(addresses.values())
    reader, writer = clients[addresses["reader"]], clients[addresses["writer"]]
    assert (reader["name"], writer["name"]) == ("reader", "writer")
    assert [one["command"] for one in reader["commands"]] == ["get"]
    assert [one["command"] for one in writer["commands"]] == ["set"]
    for part, share in ((commands["get"], 0.75), (reader, 0.75), (commands["set"], 0.25), (writer, 0.25)):
        assert part["share_low"] == part["share_ratio"] == part["share_high"]
        assert abs(part["share_ratio"] - share) < 0.02, "what was under way at either end"
    rate = sum(one["accesses_per_second"] for one in clients.values())
    assert 0.5 < rate / found["accesses_per_second"] < 2.0, "the focus is younger than the window"


def _named(found: dict[str, Any]) -> dict[str, Any] | None:
    return found if all(one["name"] for one in found["focus"]["clients"]) else None


def test_shares_of_a_sample_lie_in_their_intervals(redis_server: Server, start_exporter: StartExporter) -> None:
    """Beyond the budget bursts see some of it, and the true shares are inside what is said."""
    budget = {"keys": {"mask": []}, "sampling": {"window": "10s", "events_per_second": 200}}
    exporter = start_exporter(redis_url=redis_server.url, config=budget)
    with background(redis_server, 2000), callers(redis_server, pipeline=5, pause=0.005) as addresses:
        wait_for(lambda: details(exporter, "hot").get("focus"), 20, "the key to be hot")
        found = known(exporter, "hot", 8.0)
    assert found["focus"]["observed_seconds"] < 0.5 * found["focus"]["seconds"], "this should be a sample"
    clients = {one["client"]: one for one in found["focus"]["clients"]}
    for name, share in (("reader", 0.75), ("writer", 0.25)):
        part = clients[addresses[name]]
        assert part["share_low"] < part["share_ratio"] < part["share_high"]
        # The interval is of 95 %; a margin as wide as itself makes the test a fair one.
        width = part["share_high"] - part["share_low"]
        assert part["share_low"] - width / 2 <= share <= part["share_high"] + width / 2


def test_hostile_names(redis_server: Server, start_exporter: StartExporter) -> None:
    """Control characters, line ends, quotes, markup, 64 kB: asked for by the name that is written, and found."""
    exporter = start_exporter(redis_url=redis_server.url, config=CLEAR)
    names = KeyNames(mask=())
    keys = [b"a\x1b[2J\x00", b"line\none", b'"quoted" \\x41', b"<img src=x onerror=alert(1)>", b"a/../b", b"k" * 65_536]
    client, ended = redis_server.client(), threading.Event()

    def work() -> None:
        while not ended.wait(0.02):
            for key in keys:
                client.get(key)

    with meanwhile(work, ended):
        for key in keys:
            written = names.label(key)
            wait_for(lambda written=written: details(exporter, written).get("focus"), 20, f"{written!r} to be hot")
            found = wait_for(
                lambda written=written: details(exporter, written)["focus"]["commands"], 20, f"callers of {written!r}"
            )
            assert [(one["command"], one["share_ratio"]) for one in found] == [("get", 1.0)]


def test_scripts_count_for_who_calls_them(redis_server: Server, start_exporter: StartExporter) -> None:
    """What a script reads is a read by its caller."""
    exporter = start_exporter(redis_url=redis_server.url, config=CLEAR)
    client, ended = named(redis_server, "scripted"), threading.Event()

    def work() -> None:
        while not ended.wait(0.01):
            client.eval("return redis.call('HGET', KEYS[1], 'field')", 1, "hot")

    with meanwhile(work, ended):
        wait_for(lambda: details(exporter, "hot").get("focus"), 20, "the key to be hot")
        found = known(exporter, "hot", 2.0)["focus"]
        assert [one["command"] for one in found["commands"]] == ["hget"]
        assert [one["client"] for one in found["clients"]] == [address(client)]


def test_a_ninth_key_takes_the_place_of_another(redis_server: Server, start_exporter: StartExporter) -> None:
    """The one that was not asked for longest; asked for again, it begins anew."""
    exporter = start_exporter(redis_url=redis_server.url, config=CLEAR)
    client = redis_server.client()

    def load() -> bool:
        for number in range(MOST_KEYS + 1):
            client.incr(f"k{number}")
        return details(exporter, "k0").get("focus") is not None

    wait_for(load, 20, "the keys to be hot")
    first = details(exporter, "k0")["focus"]["since"]
    assert details(exporter, "k0")["focus"]["since"] == first
    for number in range(1, MOST_KEYS + 1):
        assert details(exporter, f"k{number}")["focus"]["since"] >= first
    assert details(exporter, "k0")["focus"]["since"] > first
