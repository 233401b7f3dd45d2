"""Code blocks of the docs: a Markdown file comes in, its fenced blocks go out with what stands behind the fence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page: `kind` is the language, `options` what stands behind it."""

    page: Path
    kind: str
    options: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All blocks of a page in their order."""
    found = []
    for match in _BLOCK.finditer(page.read_text()):
        kind, _, options = match[1].strip().partition(" ")
        found.append(Block(page, kind, options, match[2]))
    return found


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _BLOCK.sub("", page.read_text())


def dialogue(text: str) -> list[tuple[str, list[str]]]:
    """Commands (behind `$ `) and the lines that each prints."""
    steps: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif steps:
            steps[-1][1].append(line)
    return steps
