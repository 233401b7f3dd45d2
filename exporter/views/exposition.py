"""Samples come in, exposition text goes out: Prometheus text 0.0.4 and OpenMetrics 1.0.

A sample line is the same bytes in both formats, only headers and the end differ; so a rendered fragment serves both.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable

T = TypeVar("T")
_INFINITE = {"inf": "+Inf", "-inf": "-Inf"}
Kind = Literal["gauge", "counter", "histogram", "summary"]


class Format(Enum):
    """The two formats; the value is the media type, `content_type` the whole header."""

    TEXT = "text/plain"
    OPENMETRICS = "application/openmetrics-text"

    @property
    def version(self) -> str:
        """The version of the format that is written, and that an Accept header may ask for."""
        return "0.0.4" if self is Format.TEXT else "1.0.0"

    @property
    def content_type(self) -> str:
        """The response's Content-Type."""
        return f"{self.value}; version={self.version}; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family; `name` is the name of its samples (a counter's ends in `_total`).

    The samples of a summary or histogram that is written for redis_exporter's sake stand in several of these, one for
    each sample name (`_bucket`, `_sum`, `_count`), which follow each other: `of` is the name of the whole, and `first`
    tells which of them carries its header.
    """

    name: str
    kind: Kind
    help: str
    of: str = ""
    first: bool = True


@lru_cache(maxsize=4096)
def header(family: Family, form: Format) -> bytes:
    """Write the HELP and TYPE lines.

    OpenMetrics names a counter's family without `_total`. It has no place for what redis_exporter's names need:
    counters without `_total`, quantiles above 1, `le="1"`. Those are of type unknown there.
    """
    name, kind, text = family.name, str(family.kind), family.help.replace("\\", "\\\\").replace("\n", "\\n")
    if form is Format.OPENMETRICS:
        text = text.replace('"', '\\"')
        if family.of or (kind == "counter" and not name.endswith("_total")):
            kind = "unknown"
        elif kind == "counter":
            name = name.removesuffix("_total")
    elif not family.first:
        return b""
    else:
        name = family.of or name
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


def label(name: str, value: str) -> str:
    r"""`name="value"`, with backslash, quote and line feed escaped as `\\`, `\"`, `\n`."""
    if "\\" in value or '"' in value or "\n" in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}="{value}"'


def labels(pairs: Iterable[tuple[str, str]]) -> str:
    """Join several labels in the given order by commas, without braces."""
    return ",".join(label(name, value) for name, value in pairs)


@lru_cache(maxsize=8192)
def number(value: float) -> str:
    """Write the shortest text that reads back as the same number; whole numbers without a fraction.

    Most numbers are those of the last reading, or of another node, or 0.
    """
    if type(value) is int and -1_000_000_000_000_000 < value < 1_000_000_000_000_000:
        return str(value)
    text = repr(float(value))
    if text.endswith(".0") and -1e15 < value < 1e15:
        return text[:-2]
    return _INFINITE.get(text, text)


def line(name: str, written_labels: str, value: float | None) -> str:
    """One sample line; the empty string where the value is unknown (None or NaN), which is never published."""
    if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself, and isnan is a call
        return ""
    return f"{name}{{{written_labels}}} {number(value)}\n" if written_labels else f"{name} {number(value)}\n"


def encode(text: str) -> bytes:
    """UTF-8; a lone surrogate (which UTF-8 cannot hold) becomes a question mark instead of a failed scrape."""
    return text.encode("utf-8", "replace")


def compose(form: Format, families: Iterable[tuple[Family, Collection[bytes]]]) -> bytes:
    """Join the answer: each family's header and all of its fragments; nothing for a family without samples."""
    parts: list[bytes] = []
    for family, fragments in families:
        if samples := b"".join(fragments):
            parts += (header(family, form), samples)
    if form is Format.OPENMETRICS:
        parts.append(b"# EOF\n")
    return b"".join(parts)


class Fragments:
    """What was rendered, kept for as long as the values it was rendered from are the latest.

    One entry for each key: it holds on to its source values, so that their identity cannot be taken by newer ones,
    and is replaced when they are. `keep` drops the entries of nodes that are gone. For one thread at a time.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[tuple[object, ...], object]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, key: Hashable, sources: tuple[object, ...], render: Callable[[], T]) -> T:
        """Return what `render` returned when it last saw exactly these `sources` (by identity) under `key`."""
        kept = self._kept.get(key)
        if kept is not None and len(kept[0]) == len(sources) and all(map(_same, kept[0], sources)):
            return cast("T", kept[1])
        rendered = render()
        self._kept[key] = (sources, rendered)
        return rendered

    def keep(self, keys: Collection[Hashable]) -> None:
        """Forget everything that is not under one of `keys`."""
        for key in self._kept.keys() - set(keys):
            del self._kept[key]


def _same(one: object, other: object) -> bool:
    return one is other


def negotiate(accept: str) -> Format:
    """Choose the format that an Accept header prefers (RFC 9110 section 12.5.1); of two equals the more exactly named.

    The quality of a format is the q of the most exact range that matches it. Text where the header is empty, says
    `*/*`, or accepts neither: a scraper that asks for the impossible is better served by text than by an error.
    """
    ranges = [_Range.of(item, place) for place, item in enumerate(accept.split(","))]
    chosen, best = Format.TEXT, (0.0, 0, 0)
    for form in Format:
        exactness, quality, place = max((one.match(form), one.quality, -one.place) for one in ranges)
        if exactness and quality and (quality, exactness, place) > best:
            chosen, best = form, (quality, exactness, place)
    return chosen


@dataclass(frozen=True, slots=True)
class _Range:
    """One media range of an Accept header."""

    media: str
    version: str | None
    quality: float
    place: int

    @classmethod
    def of(cls, item: str, place: int) -> _Range:
        media, _, rest = item.partition(";")
        parameters = dict(_parameter(part) for part in rest.split(";"))
        return cls(media.strip().lower(), parameters.get("version"), _quality(parameters.get("q", "1")), place)

    def match(self, form: Format) -> int:
        """4: named with its version, 3: named, 2: its type with a wildcard, 1: `*/*`, 0: not at all."""
        if self.media == form.value:
            return {None: 3, form.version: 4}.get(self.version, 0)
        return {"*/*": 1, form.value.partition("/")[0] + "/*": 2}.get(self.media, 0)


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _quality(text: str) -> float:
    """Read a q value, 0 where it is not a number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 1.0 else 0.0
