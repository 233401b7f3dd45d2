"""Fixtures for the tests of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.redaction import forget_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_secrets_left() -> Iterator[None]:
    """Secrets registered here must not change what other tests log."""
    yield
    forget_secrets()


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """A function that writes a configuration file."""

    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write
