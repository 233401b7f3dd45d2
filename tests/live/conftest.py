"""Fixtures for tests of the whole program against real servers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.program import Exporter
from tests.servers import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.program import StartExporter
    from tests.servers import Server


@pytest.fixture
def start_exporter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartExporter]:
    """Start any number of exporters; each must end cleanly after the test, and shows its log if the test failed."""
    exporters: list[Exporter] = []

    def start(*args: str, wait: str = "/-/ready", **options: Any) -> Exporter:
        exporter = Exporter(tmp_path, *args, **options)
        exporters.append(exporter)
        return exporter.wait_until(wait) if wait else exporter

    with ExitStack() as stack:
        yield start
        for exporter in exporters:
            stack.callback(exporter.stop)
            if request.node.stash.get(FAILED, False):
                print(f"--- log of the exporter on {exporter.url}\n{exporter.log}")


@pytest.fixture
def exporter(start_exporter: StartExporter, redis_server: Server) -> Exporter:
    """The program, serving what it sees of `redis_server`."""
    return start_exporter(redis_url=redis_server.url)
