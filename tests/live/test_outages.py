"""Every way a server can let us down: the right reason while it does, and sampling again within 5 s after it ends.

Each case breaks one thing in the middle of sampling, names what `/metrics` has to say, and mends it.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.meanwhile import meanwhile
from tests.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

RETURN_SECONDS = 5.0
KEY = "hot:key"


@contextmanager
def traffic(server: Server) -> Iterator[None]:
    """One key is read some two hundred times a second by whoever can; it reconnects for ever."""
    stop = threading.Event()

    def load() -> None:
        client = server_client()
        while not stop.wait(0.005):
            try:
                client.get(KEY)
            except redis.RedisError:
                client.close()
                client = server_client()
                stop.wait(0.05)
        client.close()

    def server_client() -> redis.Redis:
        return redis.Redis(port=server.port, password=server.password or None, socket_timeout=1)

    with meanwhile(load, stop):
        yield


def by(exporter: Exporter, family: str, label: str) -> dict[str, float]:
    """One family of the only node, by one label."""
    return {labels[label]: value for labels, value in exporter.metrics().get(family, [])}


def told(exporter: Exporter, words: str) -> bool:
    """Whether `/metrics` says one of these: `down REASON`, `source REASON`, `bursts OUTCOME` or `skips REASON`."""
    for word in words.split("|"):
        kind, value = word.split()
        match kind:
            case "down":
                found = value in by(exporter, "redis_down_info", "reason")
            case "source":
                found = value in by(exporter, "redis_sampling_source_info", "reason")
            case "bursts":
                found = by(exporter, "redis_sampling_bursts_total", "outcome").get(value, 0) > 0
            case _:
                found = by(exporter, "redis_sampling_skips_total", "reason").get(value, 0) > 0
        if found:
            return True
    return False


def observed(exporter: Exporter) -> float:
    """Seconds observed so far."""
    return sum(value for _, value in exporter.metrics().get("redis_sampling_observed_seconds_total", []))


def sampled(exporter: Exporter) -> bool:
    """Whether the hot key has a figure, of a node that is up."""
    samples = exporter.metrics()
    keys = {labels["key"] for labels, _ in samples.get("redis_hotkey_accesses_per_second", [])}
    return samples["redis_up"][0][1] == 1 and samples["redis_sampling_up"][0][1] == 1 and KEY in keys


def monitors(client: Any) -> list[dict[str, str]]:
    """The MONITOR clients of a server."""
    return [one for one in client.client_list() if "O" in one["flags"]]


@dataclass(frozen=True, slots=True)
class Outage:
    """How something breaks and is mended, and what is told meanwhile (`told` has the words)."""

    name: str
    expected: str
    breaks: Callable[[Case], None]
    mends: Callable[[Case], None] = lambda _: None
    settings: tuple[tuple[str, str], ...] = ()


class Case:
    """One outage while it lasts."""

    def __init__(self, server: Server, client: Any, directory: Path) -> None:
        self.server = server
        self.client = client
        self.secret = directory / "secret"

    def drop_clients(self) -> None:
        """End every connection but our own."""
        self.client.client_kill_filter(_type="normal", skipme=True)


def _restart(case: Case) -> None:
    case.server.kill(signal.SIGKILL)


def _come_back(case: Case) -> None:
    case.server.start()
    case.client = case.server.client()


def _kill_monitor(case: Case) -> None:
    caught = wait_for(lambda: monitors(case.client), 10, "MONITOR")
    for one in caught:
        case.client.client_kill_filter(_id=one["id"])


def _change_password(case: Case) -> None:
    case.client.config_set("requirepass", "another")
    case.drop_clients()


def _learn_password(case: Case) -> None:
    case.secret.write_text("another")
    case.server.password = "another"


def _fill_slots(case: Case) -> None:
    """Take all client slots: those that are free, and those of everybody else as soon as they are dropped."""
    case.client.config_set("maxclients", "1")
    case.drop_clients()


def _free_slots(case: Case) -> None:
    case.client.config_set("maxclients", "1000")


def _one_huge_value(case: Case, value: bytes, ended: str) -> None:
    """A value that alone is more than the server will hold for a client, until it has ended us for it while we look."""
    writer: Any = case.server.client(socket_timeout=60)
    for _ in range(10):
        wait_for(lambda: monitors(case.client), 10, "MONITOR")
        writer.set("huge", value)
        if any(ended in line and "name=hotkey-exporter" in line for line in case.server.log.splitlines()):
            break
    else:
        pytest.fail(f"the server has not ended us:\n{case.server.log}")
    case.client.delete("huge")


OUTAGES = (
    Outage("restart", "down refused|down closed", _restart, _come_back),
    Outage("our client is killed", "bursts error", _kill_monitor),
    Outage("another password", "down auth", _change_password, _learn_password),
    Outage("no client slots", "down maxclients", _fill_slots, _free_slots),
    Outage(
        "client-output-buffer-limit",
        "bursts error",
        partial(_one_huge_value, value=b"x" * (3 << 20), ended="overcoming of output buffer limits"),
        settings=(("client-output-buffer-limit", "normal 1mb 0 0"),),
    ),
    # MONITOR shows four characters for each of these bytes, so who looks holds more than who writes.
    Outage(
        "maxmemory-clients",
        "bursts error",
        partial(_one_huge_value, value=bytes(5 << 19), ended="Evicting client"),
        settings=(("maxmemory-clients", "8mb"),),
    ),
)


IN_CI = {"another password"}
"""The short forms of the others are in test_faults and test_hotkeys."""


@pytest.mark.parametrize(
    "outage",
    [
        pytest.param(one, id=one.name.replace(" ", "-"), marks=[] if one.name in IN_CI else [pytest.mark.slow])
        for one in OUTAGES
    ],
)
def test_the_reason_and_the_return(
    start_server: StartServer, start_exporter: StartExporter, tmp_path: Path, outage: Outage
) -> None:
    """The reason is told while it lasts, no figure of a dead server is shown, and figures are back within 5 s."""
    server = start_server(password="first", config=dict(outage.settings))
    case = Case(server, server.client(), tmp_path)
    case.secret.write_text("first")
    target = {"name": "main", "url": f"redis://{server.addr}", "password_file": str(case.secret)}
    exporter = start_exporter(config={"targets": [target], "sampling": {"window": "10s"}})
    with traffic(server):
        wait_for(lambda: sampled(exporter), 15, "figures")
        outage.breaks(case)
        wait_for(lambda: told(exporter, outage.expected), 10, outage.expected)
        if outage.expected.startswith("down"):
            wait_for(lambda: not sampled(exporter), 6, "the old figures to be withdrawn")
            skips = by(exporter, "redis_sampling_skips_total", "reason")
            assert skips.get("backoff", 0) > 0
        outage.mends(case)
        before, began = observed(exporter), time.monotonic()
        wait_for(lambda: observed(exporter) > before and sampled(exporter), 15, "figures again")
        took = time.monotonic() - began
        print(f"{outage.name}: figures again after {took:.2f} s")
        assert took <= RETURN_SECONDS
        assert "schedule.thread_failed" not in exporter.log


def test_a_full_disk_does_not_stop_us(start_server: StartServer, start_exporter: StartExporter, tmp_path: Path) -> None:
    """MISCONF: a server that cannot write snapshots refuses writes and PING; it is up, and sampled all the same."""
    folder = tmp_path / "data"
    folder.mkdir()
    server = start_server(config={"dir": str(folder)})
    client: Any = server.client()
    exporter = start_exporter(redis_url=server.url)
    with traffic(server):
        wait_for(lambda: sampled(exporter), 15, "figures")
        client.config_set("save", "3600 1")
        folder.rmdir()
        client.set("something", "to save")
        wait_for(lambda: misconfigured(client), 20, "the server to refuse writes")
        time.sleep(1.5)
        before = observed(exporter)
        wait_for(lambda: sampled(exporter) and observed(exporter) > before + 1, RETURN_SECONDS, "sampling to go on")
        assert by(exporter, "redis_rdb_last_bgsave_status", "addr") == {server.addr: 0}
        client.config_set("stop-writes-on-bgsave-error", "no")
        before = observed(exporter)
        wait_for(lambda: sampled(exporter) and observed(exporter) > before + 1, RETURN_SECONDS, "sampling to go on")


def misconfigured(client: Any) -> bool:
    """Try to save; whether the server refuses PING by now."""
    try:
        if not client.info("persistence")["rdb_bgsave_in_progress"]:
            client.bgsave()
        client.ping()
    except redis.ResponseError as error:
        return "MISCONF" in str(error)
    return False
