"""What is wrong with a configuration, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.config import load
from exporter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CANARY = "c4n4ry-s3cr3t"


def problems_of(path: Path | None, environ: Mapping[str, str] | None = None, **arguments: str) -> list[str]:
    """The problems of a configuration, as they are printed."""
    with pytest.raises(ConfigError) as refused:
        load(path, environ=environ or {}, **arguments)
    return [str(problem) for problem in refused.value.problems]
