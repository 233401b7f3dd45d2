"""`check` says beforehand what each node allows and what sampling would cost, and changes nothing on the server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.servers import ROOT
from tests.test_cli import cli

if TYPE_CHECKING:
    from tests.servers import Server, StartServer


def test_everything_is_allowed_and_nothing_changed(any_server: Server) -> None:
    """On every server: exit code 0, MONITOR works, no MONITOR client stays, no hit and no miss was caused."""
    client: Any = any_server.client()
    client.config_resetstat()
    done = cli("check", "--json", REDIS_URL=any_server.url)
    assert done.returncode == 0, done.stdout + done.stderr
    [node] = json.loads(done.stdout)["nodes"]
    assert node["up"]
    assert node["source"] == "monitor"
    assert all(node["allowed"].values()), node["allowed"]
    assert node["version"] == any_server.version
    stats = client.info("stats")
    assert (stats["keyspace_hits"], stats["keyspace_misses"]) == (0, 0)
    assert not any("O" in one["flags"] for one in client.client_list())


def test_the_documented_acl_line_is_enough(any_server: Server) -> None:
    """On every server the user that docs/operating.md describes may do everything the exporter does."""
    text = (ROOT / "docs" / "operating.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("ACL SETUSER ")]
    everywhere, valkey, hotkeys, _slots, _sentinel = lines
    any_server.client().execute_command(*everywhere.replace("PASSWORD", "pw").split())
    if any_server.kind.startswith("valkey"):
        any_server.client().execute_command(*valkey.split())
    if any_server.kind == "redis-8.10":
        any_server.client().execute_command(*hotkeys.split())
    done = cli("check", "--json", REDIS_URL=f"redis://hotkey-exporter:pw@{any_server.addr}")
    assert done.returncode == 0, done.stdout + done.stderr
    [node] = json.loads(done.stdout)["nodes"]
    assert all(node["allowed"].values()), node["allowed"]


def test_the_documented_acl_line_is_enough_on_a_sentinel(start_server: StartServer) -> None:
    """The user for Sentinels may ask everything that is asked there."""
    *_, line = [line for line in (ROOT / "docs" / "operating.md").read_text().splitlines() if line.startswith("ACL ")]
    master = start_server()
    sentinel = start_server("", "--sentinel", config={"sentinel monitor main": f"127.0.0.1 {master.port} 1"})
    sentinel.client().execute_command(*line.replace("PASSWORD", "pw").split())
    url = f"redis://hotkey-exporter:pw@{sentinel.addr}"
    done = cli("check", "--json", REDIS_URL=url, HOTKEY_EXPORTER_SAMPLING__SOURCE="off")
    [node] = json.loads(done.stdout)["nodes"]
    assert node["up"], done.stdout
    assert node["allowed"]["SENTINEL"]


def test_a_missing_server_limit_comes_with_advice(start_server: StartServer) -> None:
    """Without a limit for readers that stall, the one CONFIG line that helps is printed; with it, it is not."""
    server = start_server()
    advice = cli("check", REDIS_URL=server.url).stdout
    assert 'CONFIG SET client-output-buffer-limit "normal 32mb 16mb 10"' in advice
    client: Any = server.client()
    client.config_set("client-output-buffer-limit", "normal 32mb 16mb 10")
    assert "CONFIG SET" not in cli("check", REDIS_URL=server.url).stdout


def test_partial_and_wrong_password(start_server: StartServer) -> None:
    """MONITOR denied: exit code 3 and the reason. A wrong password: exit code 2, and it is not repeated."""
    server = start_server(password="pa55")
    server.client().execute_command("ACL", "SETUSER", "watcher", "on", ">pw", "~*", "+@all", "-monitor")
    done = cli("check", REDIS_URL=f"redis://watcher:pw@{server.addr}")
    assert done.returncode == 3
    assert "denied" in done.stdout
    done = cli("check", REDIS_URL=f"redis://:wr0ng-pa55@{server.addr}")
    assert done.returncode == 2
    assert "auth" in done.stdout
    assert "wr0ng-pa55" not in done.stdout + done.stderr
