"""The exporter's network is cut in the middle of a burst, in a network namespace of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.test_freeze import MEBIBYTE, fill, load, monitor, paced
from tests.servers import ROOT, SYSTEM_PATH, dies_with_us, free_port, missing, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import StartServer

HOST, GUEST = "198.18.77.1", "198.18.77.2"  # a range that is set apart for tests of networks


class Namespace:
    """One network namespace with one link to this host."""

    def __init__(self) -> None:
        self.ip = shutil.which("ip", path=SYSTEM_PATH) or missing("ip (Debian package iproute2)", optional=True) or ""
        self.name = f"hotkey{os.getpid() % 10_000}"

    def run(self, *arguments: str) -> None:
        """Run `ip`."""
        subprocess.run([self.ip, *arguments], check=True, capture_output=True)

    def inside(self, *command: str) -> list[str]:
        """A command line that runs inside."""
        return [self.ip, "netns", "exec", self.name, *command]

    def link(self, state: str) -> None:
        """Cut the link (`down`) or mend it (`up`), as seen from this host."""
        self.run("link", "set", self.name, state)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace that is removed after the test; skips where none may be made."""
    space = Namespace()
    try:
        space.run("netns", "add", space.name)
    except subprocess.CalledProcessError:
        missing("the right to make network namespaces", optional=True)
    try:
        space.run("link", "add", space.name, "type", "veth", "peer", "name", "eth0", "netns", space.name)
        space.run("addr", "add", f"{HOST}/30", "dev", space.name)
        space.run("link", "set", space.name, "up")
        for setting in (f"addr add {GUEST}/30 dev eth0", "link set eth0 up", "link set lo up"):
            space.run("-n", space.name, *setting.split())
        yield space
    finally:
        space.run("netns", "delete", space.name)


@contextmanager
def exporter_inside(namespace: Namespace, port: int, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program, inside the namespace; nobody asks it over HTTP."""
    environ = {**os.environ, "REDIS_URL": f"redis://{HOST}:{port}"}
    command = [*dies_with_us(), sys.executable, "-m", "exporter", "serve", "--listen", f"127.0.0.1:{free_port()}"]
    with (
        (directory / "exporter.log").open("wb") as log,
        subprocess.Popen(namespace.inside(*command), env=environ, cwd=ROOT, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


def announced(namespace: Namespace, port: int) -> dict[str, Any]:
    """What `check` says from there."""
    command = namespace.inside(sys.executable, "-m", "exporter", "check", "--json")
    environ = {**os.environ, "REDIS_URL": f"redis://{HOST}:{port}"}
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, check=False)
    node: dict[str, Any] = json.loads(done.stdout)["nodes"][0]
    return node


@pytest.mark.parametrize("limit", [0, 8 * MEBIBYTE])
@pytest.mark.parametrize("traffic", [load, paced])
def test_the_network_is_cut_in_a_burst(
    start_server: StartServer, namespace: Namespace, tmp_path: Path, limit: int, traffic: Callable[..., Any]
) -> None:
    """The server holds no more than `check` announced; when the network is back, so is sampling."""
    server = start_server(config={"bind": f"127.0.0.1 {HOST}", "protected-mode": "no"})
    client = fill(server)
    client.config_set("client-output-buffer-limit", f"normal {limit} 0 0")
    with traffic(server), exporter_inside(namespace, server.port, tmp_path):
        wait_for(lambda: client.info("stats")["instantaneous_ops_per_sec"] > 1000, 20, "load")
        node = announced(namespace, server.port)
        deadline = time.monotonic() + 60
        while (caught := monitor(client)) is None:
            assert time.monotonic() < deadline, "no burst was caught"
        namespace.link("down")
        began, held = time.monotonic(), 0
        while (spent := time.monotonic() - began) < 2.0 and held < 64 * MEBIBYTE:
            held = max(held, int((monitor(client) or {"omem": 0})["omem"]))
        assert held <= node["held_bytes_at_worst"]
        if not limit:
            assert held <= 4 * node["held_bytes_at_worst"] * spent / 900
        namespace.link("up")
        wait_for(lambda: (monitor(client) or caught)["id"] != caught["id"] or gone(client, caught), 20, "its end")
        wait_for(lambda: monitor(client), 20, "sampling again")


def gone(client: Any, caught: dict[str, Any]) -> bool:
    """Whether the client that was cut off has been freed."""
    return caught["id"] not in [one["id"] for one in client.client_list()]
