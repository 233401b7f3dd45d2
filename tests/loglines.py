"""What was logged during a test, as the tests look at it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


class Lines:
    """The lines that were logged, and the levels that were counted."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.counted: list[str] = []

    def text(self) -> str:
        """What was written since the last look."""
        return self._capsys.readouterr().err

    def all(self) -> list[dict[str, Any]]:
        """The same as objects, one for each line."""
        return [json.loads(line) for line in self.text().splitlines()]

    def one(self) -> dict[str, Any]:
        """The only line since the last look."""
        (line,) = self.all()
        return line
