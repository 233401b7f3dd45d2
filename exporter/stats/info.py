"""INFO's text, as fields: bytes in, strings and numbers out.

Nothing here trusts the text: lines that are not `field:value` or too long are left out, and there is an end to how many
are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_FIELDS = 20_000
LONGEST_LINE = 4096
LONGEST_WORD = 128
CLUSTER_INFO = "cluster info"
_TABLE = re.compile(r"(cmdstat_|errorstat_|latency_percentiles_usec_|db(?=\d+$)|slave(?=\d+$)|master(?=\d+$)|engine_)")


@dataclass(frozen=True, slots=True)
class Info:
    """`fields` are the plain ones; `tables` holds the numbered and named lines, by the beginning of their names.

    `tables["cmdstat_"]` maps `get` to `calls=…`; of `db`, `slave`, `master` the names are whole (`db0`).
    `cluster` is Valkey's copy of CLUSTER INFO.
    """

    fields: Mapping[str, str]
    tables: Mapping[str, Mapping[str, str]]
    cluster: Mapping[str, str]

    def table(self, name: str) -> Mapping[str, str]:
        """The lines of one table, empty where there are none."""
        return self.tables.get(name, {})


def parse(text: bytes) -> Info:
    """Read an INFO reply; bytes beyond UTF-8 are replaced."""
    return Readings().parse(text)


class Readings:
    """Reads INFO replies of one server. Most lines say what they said before: what they mean is looked up, then."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str, str]] = {}

    def parse(self, text: bytes) -> Info:
        """Read the next reply."""
        fields: dict[str, str] = {}
        tables: dict[str, dict[str, str]] = {}
        cluster: dict[str, str] = {}
        plain = fields
        kept = 0
        last = self._known
        known: dict[str, tuple[str, str, str]] = {}
        for line in text.decode("utf-8", "replace").split("\n"):
            meaning = last[line] if line in last else _read(line)
            if meaning is None:
                if line.startswith("#"):
                    plain = cluster if line[1:].strip().lower() == CLUSTER_INFO else fields
                continue
            kept += 1
            if kept > MOST_FIELDS:
                break
            known[line] = meaning
            start, name, value = meaning
            if start:
                tables.setdefault(start, {})[name] = value
            else:
                plain[name] = value
        self._known = known
        return Info(fields, tables, cluster)


def _read(line: str) -> tuple[str, str, str] | None:
    """The table that a line belongs to (none for a plain field), its name there and its value; None for other lines."""
    name, colon, value = line.partition(":")
    if not colon or line.startswith("#") or len(line) > LONGEST_LINE:
        return None
    value = value.rstrip("\r")
    found = _TABLE.match(name)
    if found is None:
        return "", name, value
    start = found[1]
    return start, name[len(start) :] if start.endswith("_") else name, value


def pairs(text: str) -> dict[str, str]:
    """The parts of `a=1,b=2`; those without `=` are left out."""
    return {name: value for name, equals, value in (part.partition("=") for part in text.split(",")) if equals}


def word(text: str) -> str:
    """Text of a server that becomes a label: cut to a bounded length."""
    return text if len(text) <= LONGEST_WORD else text[: LONGEST_WORD - 1] + "~"


def first(table: Mapping[str, str], most: int) -> Iterator[tuple[str, str]]:
    """The first `most` lines of a table, their names cut."""
    for place, (name, value) in enumerate(table.items()):
        if place >= most:
            return
        yield word(name), value


def number(fields: Mapping[str, str], name: str) -> float | None:
    """A field as a number, or None where this server does not say."""
    try:
        return float(fields[name])
    except (KeyError, ValueError):
        return None


def integer(fields: Mapping[str, str], name: str) -> int | None:
    """A field as a whole number, or None where this server does not say."""
    value = number(fields, name)
    return int(value) if value is not None and abs(value) < 1 << 63 else None


def databases(info: Info, most: int = 1024) -> dict[str, dict[str, float]]:
    """The keyspace: each database with its numbers, `{"db0": {"keys": 5.0, …}}`; unreadable numbers are left out."""
    found: dict[str, dict[str, float]] = {}
    for name, value in first(info.table("db"), most):
        parts = pairs(value)
        found[name] = {one: known for one in parts if (known := number(parts, one)) is not None}
    return found
