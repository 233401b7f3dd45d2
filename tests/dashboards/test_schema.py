"""The dashboards against Grafana's published types, by the TypeScript compiler: an optional job, with npm."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.documents import DOCUMENTS
from tests.dashboards.typescript import module
from tests.servers import program

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent / "schema"
OPTIONS = ("--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module", "esnext", "--target")


@pytest.fixture(scope="module")
def compiler() -> Path:
    """`tsc`, with the types beside it."""
    found = HERE / "node_modules" / ".bin" / "tsc"
    if not found.exists():
        command = [program("npm", "npm"), "ci", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=HERE, check=True, capture_output=True)
    return found


def findings(compiler: Path, documents: Mapping[str, Any]) -> str:
    """What the compiler says."""
    path = HERE / "node_modules" / "boards.ts"
    path.write_text(module(documents), encoding="utf-8")
    done = subprocess.run([compiler, *OPTIONS, "es2022", path], capture_output=True, text=True, check=False, cwd=HERE)
    return done.stdout


def test_grafanas_types_find_nothing(compiler: Path) -> None:
    """Every option, field setting, variable and query has the names, types and values that Grafana publishes."""
    assert findings(compiler, DOCUMENTS) == ""


def test_wrong_values_and_names_are_found(compiler: Path) -> None:
    """The check sees a value that an enumeration does not have, a misspelt name, and a required one that is gone."""
    document = copy.deepcopy(DOCUMENTS["redis"])
    panel = next(one for one in document["panels"] if one["type"] == "timeseries")
    panel["options"]["legend"]["displayMode"] = "tabel"
    panel["fieldConfig"]["defaults"]["custom"]["filOpacity"] = 10
    del panel["options"]["tooltip"]["mode"]
    said = findings(compiler, {"redis": document})
    assert [part in said for part in ('"tabel"', '"filOpacity"', "'mode'")] == [True, True, True], said
