"""A clean life: whatever the server does, the daemon stays up, says why, and recovers by itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.servers import free_port, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

RETURN_SECONDS = 5.0


def up(exporter: Exporter) -> float | None:
    """redis_up of the only node."""
    samples = exporter.metrics().get("redis_up", [])
    return samples[0][1] if samples else None


def down_reason(exporter: Exporter) -> str | None:
    """The reason for which the only node is down."""
    samples = exporter.metrics().get("redis_down_info", [])
    return samples[0][0]["reason"] if samples else None


def sampled(exporter: Exporter) -> bool:
    """Whether the node is up and its window fresh."""
    metrics = exporter.metrics()
    return bool(metrics["redis_up"][0][1] == 1 and metrics["redis_sampling_up"][0][1] == 1)


def recovers(exporter: Exporter) -> None:
    """Up and sampled again within the promised time."""
    wait_for(lambda: sampled(exporter), RETURN_SECONDS, "redis_up 1 and fresh figures")


def monitors(server: Server) -> int:
    """How many MONITOR clients the server has (flag O)."""
    clients: Any = server.client().client_list()
    return sum("O" in client["flags"] for client in clients)


def test_absent_at_start_then_there(start_server: StartServer, start_exporter: StartExporter) -> None:
    """A server that is not there yet: redis_up 0, refused; once it is there, up within 5 s."""
    server = start_server()
    server.kill(signal.SIGTERM)
    exporter = start_exporter(redis_url=server.url)
    wait_for(lambda: down_reason(exporter) == "refused", 5, "the reason refused")
    assert up(exporter) == 0
    assert exporter.get("/health/redis").status_code == 503
    server.restart()
    recovers(exporter)
    assert down_reason(exporter) is None


def test_vanishes_and_restarts(redis_server: Server, exporter: Exporter) -> None:
    """A server that is killed is down within 5 s, and sampled again 5 s after its return."""
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    redis_server.kill()
    wait_for(lambda: up(exporter) == 0, 5, "redis_up 0")
    redis_server.restart()
    recovers(exporter)


def test_hangs(redis_server: Server, exporter: Exporter) -> None:
    """A hung server cannot hang a scrape: redis_up 0 with timeout within 5 s, and back 5 s after it resumes."""
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    redis_server.suspend()
    wait_for(lambda: down_reason(exporter) == "timeout", 6, "the reason timeout")
    began = time.monotonic()
    exporter.metrics()
    assert time.monotonic() - began < 1
    wait_for(lambda: exporter.metrics()["redis_sampling_up"][0][1] == 0, 6, "figures to be withheld")
    assert "redis_hotkey_accesses_per_second" not in exporter.metrics()
    redis_server.resume()
    recovers(exporter)


def test_one_lost_burst_is_no_outage(redis_server: Server, exporter: Exporter) -> None:
    """Our MONITOR client is killed now and then: figures go on, redis_sampling_up stays 1, the loss is counted."""
    client: Any = redis_server.client()
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    for _ in range(3):
        wait_for(lambda: monitors(redis_server), 10, "MONITOR")
        for one in client.client_list():
            if "O" in one["flags"]:
                client.client_kill_filter(_id=one["id"])
        looks = [sampled(exporter) for _ in range(40) if not time.sleep(0.05)]
        assert all(looks), looks
    assert ("error", 0.0) not in [
        (labels["outcome"], value) for labels, value in exporter.metrics()["redis_sampling_bursts_total"]
    ]


def test_password_appears(redis_server: Server, exporter: Exporter) -> None:
    """NOAUTH: down for auth while a password is demanded, up when it no longer is."""
    client = redis_server.client()
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    client.config_set("requirepass", "pa55")
    client.client_kill_filter(_type="normal", skipme=True)
    wait_for(lambda: down_reason(exporter) == "auth", 8, "the reason auth")
    client.config_set("requirepass", "")
    recovers(exporter)


def test_wrong_password_leaves_the_daemon_up(start_server: StartServer, start_exporter: StartExporter) -> None:
    """WRONGPASS is a reason, not an exit; the password is nowhere in the log."""
    server = start_server(password="right")
    exporter = start_exporter(redis_url=f"redis://:wr0ng-pa55@{server.addr}")
    wait_for(lambda: down_reason(exporter) == "auth", 5, "the reason auth")
    assert "wr0ng-pa55" not in exporter.log


def test_no_permission(redis_server: Server, start_exporter: StartExporter) -> None:
    """NOPERM: a user who may nothing is down for noperm, and up once allowed."""
    client = redis_server.client()
    client.execute_command("ACL", "SETUSER", "nobody", "on", ">pw", "-@all")
    exporter = start_exporter(redis_url=f"redis://nobody:pw@{redis_server.addr}")
    wait_for(lambda: down_reason(exporter) == "noperm", 5, "the reason noperm")
    client.execute_command("ACL", "SETUSER", "nobody", "~*", "+@all")
    recovers(exporter)


def test_maxclients(start_server: StartServer, start_exporter: StartExporter) -> None:
    """A server at maxclients: down for that reason, and back when there is room."""
    server = start_server()
    client: Any = server.client()
    client.ping()
    client.config_set("maxclients", "1")
    exporter = start_exporter(redis_url=server.url)
    wait_for(lambda: down_reason(exporter) == "maxclients", 5, "the reason maxclients")
    client.config_set("maxclients", "100")
    recovers(exporter)


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_loading(start_server: StartServer, start_exporter: StartExporter, seconds: int) -> None:
    """A server that loads its data set is down for loading, is asked for INFO alone, and sampled when it is done."""
    server = start_server(config={"enable-debug-command": "yes", "loading-process-events-interval-bytes": "1024"})
    client: Any = server.client()
    keys = 60_000
    client.execute_command("DEBUG", "POPULATE", keys, "key", "10")
    client.config_set("key-load-delay", seconds * 1_000_000 // keys)
    exporter = start_exporter(redis_url=server.url)
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    loader = server.client(socket_timeout=3 * seconds + 60)
    reload = threading.Thread(target=lambda: loader.execute_command("DEBUG", "RELOAD"))
    reload.start()
    try:
        wait_for(lambda: down_reason(exporter) == "loading", 10, "the reason loading")
        wait_for(lambda: skips(exporter).get("loading", 0) > 0, 5, "sampling to be left out")
        before = client.info("errorstats")
        while reload.is_alive():
            assert down_reason(exporter) in {"loading", None}
            time.sleep(0.1)
        assert client.info("errorstats") == before, "nothing was refused"
    finally:
        reload.join()
    recovers(exporter)


def skips(exporter: Exporter) -> dict[str, float]:
    """How often there was no burst, by reason."""
    samples = exporter.metrics().get("redis_sampling_skips_total", [])
    return {labels["reason"]: value for labels, value in samples}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(number: signal.Signals, redis_server: Server, start_exporter: StartExporter) -> None:
    """SIGTERM and SIGINT: exit code 0 within 5 s, no MONITOR client, no connection and no process left behind."""
    exporter = start_exporter(redis_url=redis_server.url)
    wait_for(lambda: monitors(redis_server) == 1, 10, "the MONITOR client")
    children = [psutil.Process(pid) for pid in exporter.pids()]
    assert exporter.stop(number) < 5
    wait_for(lambda: monitors(redis_server) == 0, 2, "MONITOR to be gone")
    names: Any = redis_server.client().client_list()
    assert [client for client in names if client["name"] == "hotkey-exporter"] == []
    assert not any(process.is_running() for process in children)
    assert "Traceback" not in exporter.log


def test_ends_in_time_although_the_server_hangs(redis_server: Server, exporter: Exporter) -> None:
    """A hung server cannot hold up the end: SIGTERM still takes less than 5 s."""
    wait_for(lambda: sampled(exporter), 10, "fresh figures")
    redis_server.suspend()
    assert exporter.stop() < 5


def test_reload_changes_targets_and_keeps_windows(
    start_server: StartServer, start_exporter: StartExporter, tmp_path: Path
) -> None:
    """SIGHUP: a new target is watched, the old one keeps its window; a broken file changes nothing and is named."""
    one, two = start_server(), start_server()
    path = tmp_path / "live.yaml"
    path.write_text(f"targets: [{{name: one, url: '{one.url}'}}]\n")
    exporter = start_exporter("--config", str(path))
    wait_for(lambda: observed(exporter, "one") > 3, 10, "three observed seconds")
    path.write_text("targets: [{name: one, url: 'redis://:s3cret@x:1', nmae: x}]\n")
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "config.rejected" in exporter.log, 5, "the refusal in the log")
    assert "s3cret" not in exporter.log
    path.write_text(f"targets: [{{name: one, url: '{one.url}'}}, {{name: two, url: '{two.url}'}}]\n")
    before = observed(exporter, "one")
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: observed(exporter, "two") > 0, 10, "the second target")
    assert observed(exporter, "one") >= before


def observed(exporter: Exporter, target: str) -> float:
    """The observed seconds of a target."""
    found = [one for one in exporter.api_hotkeys()["targets"] if one["target"] == target]
    return float(found[0]["observed_seconds"] or 0) if found else 0.0


def test_port_in_use(redis_server: Server, start_exporter: StartExporter) -> None:
    """A taken address is one readable line and exit code 1, and nothing was started on the server."""
    first = start_exporter(redis_url=redis_server.url)
    second = start_exporter(
        "--listen", f"127.0.0.1:{first.port}", wait="", redis_url=f"redis://127.0.0.1:{free_port()}"
    )
    assert second.process.wait(10) == 1
    assert second.log.count("\n") == 1
    assert f"127.0.0.1:{first.port}" in second.log
    assert os.strerror(98) in second.log
