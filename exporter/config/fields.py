"""What the settings' models share: a section that takes nothing unknown, and the readers of common kinds of values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from exporter.config import quantities

TARGET_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def _file_path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("must be the path of a file")
    return Path(value)


def _target_name(value: object) -> str:
    if not isinstance(value, str) or not TARGET_NAME.fullmatch(value):
        raise ValueError("must be 1 to 64 letters, digits, dots, dashes or underscores (in quotes if it is a number)")
    return value


def _word(value: object) -> object:
    """Read a keyword: its case does not matter, and YAML reads an unquoted 1.2 as a number."""
    return str(value).strip().lower() if isinstance(value, str | float) else value


def _pattern(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a pattern such as session:*")
    return value


Word = BeforeValidator(_word)
Flag = Annotated[bool, BeforeValidator(quantities.flag)]
FilePath = Annotated[Path, BeforeValidator(_file_path)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
Patterns = tuple[Pattern, ...]
Name = Annotated[str, BeforeValidator(_target_name)]


class Section(BaseModel):
    """What all sections share: frozen, nothing unknown, no value in any message."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
