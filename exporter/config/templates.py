"""Templates of keys and URLs: `session:{id}` in, the fields it needs, keys written with it, and keys read back with it.

`{{` and `}}` stand for the braces themselves, which the hash tags of Redis Cluster need: `cart:{{{id}}}` is `cart:{7}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_WANTED = "must be a text with fields in braces, such as session:{id}; {{ and }} stand for the braces themselves"


@dataclass(frozen=True)
class Template:
    """A text with fields. `parts` are pairs: literal text, and the name of the field behind it (None at the end)."""

    text: str
    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: object) -> Template:
        """Read a template; raises ValueError that says what is expected and repeats nothing of the text."""
        if not isinstance(text, str) or not text:
            raise ValueError(_WANTED)
        try:
            found = list(Formatter().parse(text))
        except ValueError:
            raise ValueError(_WANTED) from None
        for _, name, form, conversion in found:
            if name is not None and (form or conversion or not _FIELD.fullmatch(name)):
                raise ValueError(_WANTED)
        return cls(text, tuple((literal, name) for literal, name, _, _ in found))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields, each once, in the order of the text."""
        return tuple(dict.fromkeys(name for _, name in self.parts if name is not None))

    def render(self, values: Mapping[str, object]) -> str:
        """Write the text with its fields filled in. Raises KeyError with the name of a field that is not there."""
        text = ""
        for literal, name in self.parts:
            text += literal if name is None else f"{literal}{values[name]}"
        return text

    def match(self, text: str) -> dict[str, str] | None:
        """Read the fields back out of a text that was written with this template, or None for any other text."""
        found = self._pattern.fullmatch(text)
        return found.groupdict() if found else None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        seen: set[str] = set()
        pieces: list[str] = []
        for literal, name in self.parts:
            pieces.append(re.escape(literal))
            if name is not None:
                pieces.append(f"(?P={name})" if name in seen else f"(?P<{name}>.+?)")
                seen.add(name)
        return re.compile("".join(pieces), re.DOTALL)
