"""`top` on a real server and through a running exporter: once, as JSON, in a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.meanwhile import meanwhile
from tests.servers import ROOT, dies_with_us, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.program import Exporter
    from tests.servers import Server


@contextmanager
def traffic(server: Server) -> Iterator[None]:
    """A key that is read some 200 times a second, and one whose name is a credential."""
    ended, client = threading.Event(), server.client()

    def work() -> None:
        while not ended.wait(0.02):
            for _ in range(4):
                client.get("hot")
            client.get("session:5ecret")

    with meanwhile(work, ended):
        yield


def top(*arguments: str, url: str = "") -> subprocess.CompletedProcess[str]:
    """Run `top` into pipes."""
    environ = {**os.environ, **({"REDIS_URL": url} if url else {})}
    command = [*dies_with_us(), sys.executable, "-m", "exporter", "top", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False)


def test_once(redis_server: Server) -> None:
    """One table, one JSON object: the hottest key first, credentials in clear on the person's own terminal."""
    with traffic(redis_server):
        table = top("--once", "--limit", "2", url=redis_server.url)
        document = top("--json", "--redis-url", redis_server.url)
    assert (table.returncode, table.stderr) == (0, "")
    assert "hot" in table.stdout.splitlines()[2]
    assert "session:5ecret" in table.stdout
    keys = json.loads(document.stdout)["hotkeys"]
    assert keys[0]["key"] == "hot"
    assert keys[0]["type"] is None or keys[0]["type"] == "none"
    wait_for(lambda: not [one for one in redis_server.client().client_list() if "O" in one["flags"]], 3, "an end")


def test_through_an_exporter(redis_server: Server, exporter: Exporter) -> None:
    """The same through the exporter's API, where names that may be credentials are masked."""
    with traffic(redis_server):
        wait_for(lambda: exporter.api_hotkeys()["hotkeys"], 10, "figures")
        done = top("--exporter", exporter.url, "--json")
    keys = [one["key"] for one in json.loads(done.stdout)["hotkeys"]]
    assert "hot" in keys
    assert not [key for key in keys if "5ecret" in key]


def test_what_is_wrong_is_one_line() -> None:
    """No server, no exporter, a bad URL, a target that is not there: one line and the right exit code."""
    for code, arguments in (
        (1, ("--redis-url", "redis://127.0.0.1:1", "--once")),
        (1, ("--exporter", "http://127.0.0.1:1", "--once")),
        (2, ("--exporter", "gopher://127.0.0.1", "--once")),
        (2, ("--target", "nowhere", "--once")),
        (2, ("--limit", "0")),
    ):
        done = top(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr


def test_on_a_terminal(redis_server: Server) -> None:
    """It draws, listens to keys, and puts the terminal back."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    environ = {**os.environ, "REDIS_URL": redis_server.url, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    seen = b""

    def sees(text: bytes) -> bool:
        nonlocal seen
        while select.select([ours], [], [], 0)[0]:
            seen += os.read(ours, 65_536)
        return text in seen

    command = [*dies_with_us(), sys.executable, "-m", "exporter", "top"]
    with (
        traffic(redis_server),
        subprocess.Popen(command, cwd=ROOT, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as process,
    ):
        try:
            wait_for(lambda: sees(b"session:5ecret"), 15, "the first screen")
            os.write(ours, b"p")
            wait_for(lambda: sees(b"PAUSED"), 5, "the pause")
            os.write(ours, b"q")
            assert process.wait(5) == 0
        finally:
            process.terminate()
    assert b"Traceback" not in seen
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
