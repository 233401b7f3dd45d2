"""The quick start is true: each of its commands runs, in order, and prints what stands below it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import blocks, dialogue
from tests.servers import ROOT, dies_with_us, free_port, program, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import StartServer

PAGE = ROOT / "docs" / "quickstart.md"
PATIENCE = 40
READY = {"make run": "Ctrl-C ends it all", "hotkey-exporter serve": "app.started", "prometheus": "ready to receive"}


def shape(text: str) -> str:
    """A line without its numbers and with single spaces: keys, ports and rates are others each time."""
    return re.sub(r"\s+", " ", re.sub(r"\d[\d,.]*(?:e[+-]?\d+)?", "N", text)).strip()


def says(output: str, expected: list[str]) -> bool:
    """Whether the lines come in this order; `…` stands for whatever may follow, in a line or between lines."""
    lines = iter(shape(line) for line in output.splitlines())
    return all(
        any(line.startswith(wanted.rstrip("…").strip()) if "…" in wanted else line == wanted for line in lines)
        for wanted in map(shape, expected)
        if wanted not in {"…", ""}
    )


def test_every_step_of_the_quick_start(start_server: StartServer, tmp_path: Path) -> None:
    """Demo, own server, Prometheus, rules and dashboards; only ports and the clone's place are exchanged."""
    server = start_server()
    ports = {"9468": free_port(), "6379": server.port, "9090": free_port()}
    promtool, prometheus = program("promtool", "prometheus"), program("prometheus", "prometheus")
    path = ":".join([str(Path(sys.executable).parent), *{str(Path(one).parent) for one in (promtool, prometheus)},
                     os.environ["PATH"]])  # fmt: skip
    env = {**os.environ, "PATH": path, "NO_PROXY": "*"}

    with ExitStack() as stack:
        stack.enter_context(traffic(server.port))
        for block in blocks(PAGE):
            if block.options.startswith("file="):
                (tmp_path / block.options.removeprefix("file=")).write_text(adapted(block.text, ports))
            if block.kind != "console":
                continue
            for command, expected in dialogue(block.text):
                if command.startswith("export "):
                    name, _, value = adapted(command, ports).removeprefix("export ").partition("=")
                    env[name] = value
                elif block.options == "serve":
                    stack.callback(end, *serve(adapted(command, ports), command, expected, tmp_path, env))
                elif not command.startswith("source "):
                    finishes(adapted(command, ports), expected, tmp_path, env)


@contextmanager
def traffic(port: int) -> Iterator[None]:
    """A little of it on the server that is the reader's own: a few hundred reads a second of one key."""
    done = threading.Event()

    def ask() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while not done.wait(0.005):
                connection.sendall(b"*2\r\n$3\r\nGET\r\n$9\r\nproduct:1\r\n")
                connection.recv(64)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(5)


def adapted(text: str, ports: dict[str, int]) -> str:
    """The same with our ports. Here the demo goes on while the exporter of the server starts, so that gets its own."""
    if text == "hotkey-exporter serve":
        ports["9468"] = free_port()
        return f"{text} --listen 127.0.0.1:{ports['9468']}"
    for port, other in ports.items():
        text = re.sub(rf"(?<=:){port}\b", str(other), text)
    if text == "make run":
        assert "exec $(BIN)/hotkey-exporter demo" in (ROOT / "Makefile").read_text()
        return f"hotkey-exporter demo --listen 127.0.0.1:{ports['9468']}"
    return text


def serve(command: str, written: str, expected: list[str], place: Path, env: dict[str, str]) -> tuple[object, ...]:
    """Start what goes on running; returns it once it has said that it is ready."""
    log = place / f"{len(list(place.iterdir()))}.log"
    with log.open("wb") as output:
        whole = [*dies_with_us(), *command.split()]
        process = subprocess.Popen(whole, cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    sign = next(sign for start, sign in READY.items() if written.startswith(start))

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        return sign in log.read_text()

    try:
        wait_for(ready, PATIENCE, f"{written} to be ready")
        assert says(log.read_text(), expected), log.read_text()
    except BaseException:
        process.kill()
        raise
    return process, written


def end(process: subprocess.Popen[bytes], written: str) -> None:
    """End it; Ctrl-C is enough, and no error of ours."""
    process.send_signal(signal.SIGINT if "prometheus" not in written else signal.SIGTERM)
    assert process.wait(15) == 0


def finishes(command: str, expected: list[str], place: Path, env: dict[str, str]) -> None:
    """Run it until it prints what it should: figures take a moment to come."""
    said = []

    def prints() -> bool:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=place, env=env, capture_output=True, text=True, check=False
        )
        said.append(f"$ {command}\n{done.stdout}{done.stderr}")
        return says(done.stdout + done.stderr, expected) and done.returncode == 0

    try:
        wait_for(prints, PATIENCE, f"{command} to print what it should")
    except pytest.fail.Exception:
        pytest.fail(f"expected {expected}\n{said[-1]}")
