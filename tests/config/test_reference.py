"""The sample file and the page of settings say what the models say. UPDATE=1 rewrites both."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from exporter.config import Config, load
from exporter.config.checks import shape_of
from tests.config.reference import config_yaml, configuration_md

if TYPE_CHECKING:
    from exporter.config.overlay import Shape

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "write"), [("config.yaml", config_yaml), ("docs/configuration.md", configuration_md)], ids=["yaml", "docs"]
)
def test_written_from_the_models(name: str, write: object) -> None:
    """`config.yaml` and `docs/configuration.md` are what the models would write today."""
    assert callable(write)
    expected = write()
    if os.environ.get("UPDATE"):
        (ROOT / name).write_text(expected)

    assert (ROOT / name).read_text() == expected


def test_sample_file_equals_the_defaults() -> None:
    """`serve --config config.yaml` behaves exactly as `serve`."""
    assert load(ROOT / "config.yaml", environ={}) == load(None, environ={})


def test_sample_file_has_every_setting_with_a_sentence() -> None:
    """No setting is missing from the sample file, and above each stands a comment."""
    lines = (ROOT / "config.yaml").read_text().splitlines()
    document = yaml.safe_load("\n".join(lines))

    for path in _settings(shape_of(Config), entries=False):
        place = document
        for part in path:
            place = place[part] if isinstance(place, dict) else place[0][part]
    for before, line in pairwise(lines):
        if ":" in line and not line.lstrip().startswith("#"):
            assert before.lstrip().startswith("#") or before.endswith(":"), line


def test_every_setting_is_described() -> None:
    """The page has a row for each setting, with a sentence."""
    page = (ROOT / "docs" / "configuration.md").read_text()

    for path in _settings(shape_of(Config)):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{_dotted(path)}`"))
        assert row.rstrip(" |").endswith("."), row


def _settings(shape: Shape, path: tuple[str, ...] = (), *, entries: bool = True) -> list[tuple[str, ...]]:
    """All settings; a target's own `sampling` and `stats` count as one each, as do `warming.jobs` without `entries`."""
    found: list[tuple[str, ...]] = []
    for name, inner in shape.fields.items():
        section = inner.fields and not (path and (name in {"sampling", "stats"} or (inner.named and not entries)))
        found += _settings(inner, (*path, name), entries=entries) if section else [(*path, name)]
    return found


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path).replace("targets.", "targets[].").replace("jobs.", "jobs[].")
