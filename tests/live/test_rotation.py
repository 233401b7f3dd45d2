"""Certificates are replaced while everything runs, as docs/certificate-rotation.md says, and nobody notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rotation import Rotation, steps

if TYPE_CHECKING:
    from pathlib import Path

PROMISED_SECONDS = 10.0


def test_everything_is_rotated_under_load(tmp_path: Path) -> None:
    """Authority, server, client and our own endpoint: in use within 10 s, no scrape fails or lacks the window."""
    with Rotation(tmp_path) as rotation:
        taken = {name: step() for name, step in steps(rotation).items()}
        figures = (rotation.failed, rotation.without_window)
        log = rotation.exporter.log

    assert figures == (0, 0), log
    assert rotation.scrapes > 10
    assert all(seconds <= PROMISED_SECONDS for seconds in taken.values()), taken
    assert "tls.renewed" in log
    assert '"node.down"' not in log
