"""INFO's text, as fields: bytes in, strings and numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def parse(text: bytes) -> dict[str, str]:
    """The fields of an INFO reply. Lines that are not `field:value` are left out, bytes beyond UTF-8 replaced."""
    fields: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            fields[name] = value
    return fields


def number(fields: Mapping[str, str], name: str) -> float | None:
    """A field as a number, or None where this server does not say."""
    try:
        return float(fields[name])
    except (KeyError, ValueError):
        return None


def integer(fields: Mapping[str, str], name: str) -> int | None:
    """A field as a whole number, or None where this server does not say."""
    value = number(fields, name)
    return None if value is None else int(value)
