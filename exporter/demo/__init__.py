"""A shop in a box: one helper process with an embedded Valkey server and a shop's traffic on it.

In: how many commands a second. Out: the URL of a server whose keys are worth watching. Everything belongs to the
helper, and the helper lives on a pipe from us: it ends the server and removes its directory when the pipe closes,
whatever closed it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import IO, TYPE_CHECKING

from exporter.demo.binary import embedded_binary
from exporter.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_SECONDS = 10.0
END_SECONDS = 1.5
WHAT_TO_TRY = """\
A shop's traffic ({ops} commands a second) on an embedded Valkey server at {url}

  page       http://{listen}/
  metrics    http://{listen}/metrics
  as JSON    http://{listen}/api/v1/hotkeys?limit=10

One product flares up within the first seconds; the hot set moves every minute. In another terminal:

  hotkey-exporter top --exporter http://{listen}
  hotkey-exporter check --redis-url {url}
  redis-cli -u {url} monitor | head -n 5000 | hotkey-exporter analyze -

Then your own server: hotkey-exporter serve --redis-url redis://HOST:6379. Ctrl-C ends it all."""


@contextmanager
def demo_stack(ops: int, seed: int | None = None) -> Iterator[str]:
    """Run the server and `ops` commands per second on it; yields the server's URL, ends both within 2 s.

    The same `seed` sends the same traffic. Raises CommandFailed where no server can be had.
    """
    with demo_start(ops, seed) as url:
        yield url()


@contextmanager
def demo_start(ops: int, seed: int | None = None) -> Iterator[Callable[[], str]]:
    """Do the same, but do not wait for the server yet: yields what waits for it and returns its URL."""
    binary = embedded_binary()
    seed = Random().getrandbits(32) if seed is None else seed
    with (
        tempfile.TemporaryDirectory(prefix="hotkey-demo-", ignore_cleanup_errors=True) as directory,
        tempfile.TemporaryFile() as complaints,
    ):
        helper = subprocess.Popen(
            [sys.executable, "-m", "exporter.demo.helper", str(binary), directory, str(ops), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd=Path(__file__).parents[2],  # the directory that `-m` looks in: always this very package
            start_new_session=True,  # Ctrl-C in the terminal is ours to handle first
        )
        try:
            yield lambda: _announced_url(helper, complaints)
        finally:
            _end(helper)


def _announced_url(helper: subprocess.Popen[bytes], complaints: IO[bytes]) -> str:
    """Read the line that the helper writes once the server answers."""
    assert helper.stdout is not None
    ready, _, _ = select.select([helper.stdout], [], [], START_SECONDS)
    url = helper.stdout.readline().decode().strip() if ready else ""
    if not url:
        complaints.seek(0)
        said = complaints.read().decode(errors="replace").strip().splitlines()
        why = said[-1] if said else f"no answer within {START_SECONDS:.0f} s"
        raise CommandFailed(f"demo: the embedded Valkey server did not start: {why}")
    return url


def _end(helper: subprocess.Popen[bytes]) -> None:
    """Close the pipe that the helper lives on and wait; a helper that hangs goes with its whole process group."""
    assert helper.stdin is not None
    assert helper.stdout is not None
    helper.stdin.close()
    helper.stdout.close()
    try:
        helper.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(helper.pid, signal.SIGKILL)
        helper.wait()
