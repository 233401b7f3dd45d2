"""Other eyes than MONITOR on real servers: the best one takes over at once, says why, and treads on nobody's toes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import ReplayServer, array, bulk
from tests.servers import wait_for

if TYPE_CHECKING:
    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

LFU = {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lfu"}
QUIET = {"enrich": {"enabled": False}, "keyspace": {"enabled": False}, "keys": {"mask": []}}


def source(exporter: Exporter) -> tuple[str, str]:
    """The source in use and its reason."""
    [(labels, _)] = exporter.metrics()["redis_sampling_source_info"]
    return labels["source"], labels["reason"]


def figures(exporter: Exporter, name: str) -> dict[tuple[str, str], float]:
    """One family as {(db, key): value}."""
    return {(labels.get("db", ""), labels["key"]): value for labels, value in exporter.metrics().get(name, [])}


def without_monitor(server: Server) -> str:
    """The URL of a user who may do everything else."""
    server.client().execute_command("ACL", "SETUSER", "watcher", "on", ">pw", "~*", "+@all", "-monitor")
    return f"redis://watcher:pw@{server.addr}"


def load(server: Server) -> None:
    """One key is asked for four times as often as another, and both much more than 200 others."""
    pipe = server.client().pipeline(transaction=False)
    for n in range(2000):
        pipe.get("hot:one")
        if n % 4 == 0:
            pipe.get("hot:two")
        if n % 10 == 0:
            pipe.get(f"cold:{n}")
    pipe.execute()


def fill(server: Server) -> None:
    """The keys that `load` asks for."""
    server.client().mset({"hot:one": "x" * 100, "hot:two": "x" * 100} | {f"cold:{n}": "x" for n in range(0, 2000, 10)})


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [("redis-7.0", {}, "none"), ("redis-8.10", {}, "hotkeys"), ("redis-7.0", LFU, "lfu"), ("valkey-9.1", LFU, "lfu"),
     ("redis-8.10", LFU, "hotkeys")],
)  # fmt: skip
def test_auto_takes_the_best_that_is_allowed(
    kind: str, config: dict[str, str], expected: str, start_server: StartServer, start_exporter: StartExporter
) -> None:
    """MONITOR denied: none, HOTKEYS or LFU, whatever the server has, within an interval and with the reason."""
    server = start_server(kind, config=config)
    fill(server)
    exporter = start_exporter(redis_url=without_monitor(server), config=QUIET)
    wait_for(lambda: source(exporter) == (expected, "denied"), 5, f"the source {expected}")
    assert exporter.metrics()["redis_sampling_up"][0][1] == (expected != "none")
    assert exporter.metrics()["redis_up"][0][1] == 1
    if expected == "none":
        return
    family = "redis_hotkey_lfu_frequency" if expected == "lfu" else "redis_hotkey_network_bytes_per_second"
    place = "0" if expected == "lfu" else ""

    def ranked() -> bool:
        load(server)
        found = figures(exporter, family)
        return found.get((place, "hot:one"), 0) > found.get((place, "hot:two"), 0) > 0

    def first() -> dict[str, Any] | None:
        """The first row, once it is the hottest key: a server that is interrupted takes some samples to say so."""
        load(server)
        rows = exporter.api_hotkeys(limit=1)["hotkeys"]
        return rows[0] if rows and rows[0]["key"] == "hot:one" else None

    wait_for(ranked, 15, "the hot keys in their order")
    row = wait_for(first, 30, "the hottest key in the first row")
    assert (row["accesses_per_second"], row["low"]) == (None, None)
    assert row["lfu_frequency" if expected == "lfu" else "cpu_seconds_per_second"] > 0
    assert "Hot keys by the server itself" in exporter.get("/").text
    assert exporter.metrics().get("redis_hotkey_accesses_per_second") is None


def test_a_source_by_name(start_server: StartServer, start_exporter: StartExporter) -> None:
    """`source: lfu` never sends MONITOR; without an lfu policy it says that it is not supported."""
    for config, expected in ((LFU, ("lfu", "configured")), ({}, ("none", "unsupported"))):
        server = start_server(config=config)
        fill(server)
        exporter = start_exporter(redis_url=server.url, config={**QUIET, "sampling": {"source": "lfu"}})
        wait_for(lambda exporter=exporter, expected=expected: source(exporter) == expected, 5, str(expected))
        assert "cmdstat_monitor" not in server.client().info("commandstats")
        exporter.stop()


def test_a_session_of_ours_ends_with_us(start_server: StartServer, start_exporter: StartExporter) -> None:
    """Our session samples every 100th command and is stopped when we stop; beside MONITOR, if wanted."""
    server = start_server("redis-8.10")
    client: Any = server.client()
    fill(server)
    exporter = start_exporter(redis_url=server.url, config={**QUIET, "sampling": {"hotkeys_beside": True}})
    session = wait_for(lambda: client.execute_command("HOTKEYS", "GET"), 10, "a session")[0]
    assert (session[b"tracking-active"], session[b"sample-ratio"]) == (1, 100)
    wait_for(lambda: source(exporter)[0] == "monitor", 10, "MONITOR")

    def both() -> bool:
        load(server)
        cpu, rates = (figures(exporter, f"redis_hotkey_{name}_per_second") for name in ("cpu_seconds", "accesses"))
        return ("", "hot:one") in cpu and ("0", "hot:one") in rates

    wait_for(both, 20, "CPU time beside rates")
    exporter.stop()
    assert client.execute_command("HOTKEYS", "GET")[0][b"tracking-active"] == 0


def test_a_session_of_somebody_else_is_only_read(start_server: StartServer, start_exporter: StartExporter) -> None:
    """A session that was there before us is shown, scaled by its own ratio, and runs on after we have gone."""
    server = start_server("redis-8.10")
    client: Any = server.client()
    fill(server)
    client.execute_command("HOTKEYS", "START", "METRICS", 1, "NET", "COUNT", 10, "SAMPLE", 2)
    before = client.execute_command("HOTKEYS", "GET")[0]
    exporter = start_exporter(redis_url=without_monitor(server), config=QUIET)

    def shown() -> bool:
        load(server)
        return ("", "hot:one") in figures(exporter, "redis_hotkey_network_bytes_per_second")

    wait_for(shown, 15, "the key by its bytes")
    assert figures(exporter, "redis_hotkey_cpu_seconds_per_second") == {}
    exporter.stop()
    after = client.execute_command("HOTKEYS", "GET")[0]
    same = (b"tracking-active", b"sample-ratio", b"collection-start-time-unix-ms")
    assert [after[name] for name in same] == [before[name] for name in same]


class FakeValkey(ReplayServer):
    """A Valkey of 9.2, which cannot be had yet: HOTKEYS GET as it is documented, MONITOR refused."""

    top_k = b"16"

    def _do_info(self, *words: Any) -> bytes:
        body = super()._do_info(*words).partition(b"\r\n")[2].removesuffix(b"\r\n")
        return bulk(b"server_name:valkey\r\nvalkey_version:9.2.0\r\n" + body)

    def _do_config(self, _: object, *words: bytes) -> bytes:
        return array(bulk(b"hotkeys-top-k"), bulk(self.top_k)) if b"top-k" in b"".join(words) else array()

    def _do_hotkeys(self, *_: object) -> bytes:
        names = (b"key", b"db", b"qps")
        rows = ((b"user:7", 2, 900), (b"user:8", 0, 100)) if self.top_k != b"0" else ()
        return array(*(
            array(bulk(names[0]), bulk(key), bulk(names[1]), b":%d\r\n" % db, bulk(names[2]), b":%d\r\n" % qps)
            for key, db, qps in rows
        ))  # fmt: skip


def test_the_documented_reply_of_valkey(start_exporter: StartExporter) -> None:
    """With a stand-in for Valkey 9.2: accesses by the server's own count; where it is off, that is said."""
    with FakeValkey() as server:
        server.replies[b"MONITOR"] = b"-NOPERM this user has no permissions\r\n"
        exporter = start_exporter(redis_url=server.url, config=QUIET)
        wait_for(lambda: source(exporter) == ("hotkeys", "denied"), 5, "the source")
        found = figures(exporter, "redis_hotkey_server_accesses_per_second")
        assert found == {("2", "user:7"): 900, ("0", "user:8"): 100}
        assert exporter.api_hotkeys()["hotkeys"][0]["server_accesses_per_second"] == 900
        exporter.stop()
        server.top_k = b"0"
        exporter = start_exporter(redis_url=server.url, config={**QUIET, "sampling": {"source": "hotkeys"}})
        wait_for(lambda: source(exporter) == ("none", "disabled"), 5, "the reason")
        assert server.asked[b"MONITOR"] > 0
        exporter.stop()


def test_looking_at_counters_leaves_them_alone(start_server: StartServer, start_exporter: StartExporter) -> None:
    """LFU counters do not rise by being read, and the published hit ratio is without our hits."""
    server = start_server(config={**LFU, "lfu-decay-time": "0"})
    client: Any = server.client()
    fill(server)
    load(server)
    client.config_resetstat()
    before = client.object("freq", "hot:two")
    exporter = start_exporter(redis_url=server.url, config={**QUIET, "sampling": {"source": "lfu"}})
    wait_for(lambda: ("0", "hot:two") in figures(exporter, "redis_hotkey_lfu_frequency"), 10, "the counter")
    for _ in range(50):
        client.get("cold:0")
        client.get("absent")
    hits = client.info("stats")["keyspace_hits"]
    wait_for(lambda: client.info("stats")["keyspace_hits"] > hits + 1000, 20, "a thousand looks")
    assert client.object("freq", "hot:two") == before
    assert figures(exporter, "redis_hotkey_lfu_frequency")["0", "hot:two"] == before
    wait_for(lambda: exporter.metrics().get("redis_keyspace_hit_ratio"), 5, "a ratio")
    ratios = {labels["window"]: value for labels, value in exporter.metrics()["redis_keyspace_hit_ratio"]}
    assert ratios["5m"] == pytest.approx(0.5, abs=0.03)
