"""The first minute: `demo` shows hot keys at once, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from tests.servers import runs, wait_for

if TYPE_CHECKING:
    from tests.program import StartExporter


def leftovers() -> set[Path]:
    """What demos leave in the temp directory while they run."""
    return set(Path(tempfile.gettempdir()).glob("hotkey-demo-*"))


def test_the_demo_shows_hot_keys_and_leaves_nothing(start_exporter: StartExporter) -> None:
    """Hot keys in /metrics and on / within 20 s; after SIGINT no process, no directory, exit code 0."""
    before = leftovers()
    demo = start_exporter(command="demo", wait="")
    wait_for(lambda: shows(demo.port), 20, "hot keys of the demo")
    page = demo.get("/").text
    assert "product:" in page
    assert "stock" in page
    tree = [psutil.Process(pid) for pid in demo.pids()]
    assert len(tree) >= 3
    demo.stop(signal.SIGINT)
    wait_for(lambda: not any(map(runs, tree)), 2, "all processes of the demo to end")
    assert leftovers() == before


def shows(port: int) -> bool:
    """Whether /metrics has a product among the hot keys."""
    try:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    except httpx.TransportError:
        return False
    return 'redis_hotkey_accesses_per_second{target="' in text and 'key="product:' in text
