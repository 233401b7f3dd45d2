"""How a row of redis_exporter's families is written: a name, a help and a function of `ServerStats`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.views.exposition import Family
from exporter.views.families import Collect, Row, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from exporter.serverstats import ServerStats
    from exporter.views.exposition import Kind
    from exporter.views.families import Samples, Sheet
    from exporter.views.reading import Reading

_WORDS = {"ok": 1.0, "true": 1.0, "err": 0.0, "fail": 0.0, "false": 0.0}


def row(name: str, text: str, samples: Callable[[ServerStats], Samples], kind: Kind = "gauge") -> Row:
    """A family without parts; `text` is its help."""
    return Row(Family(f"redis_{name}", kind, text), _shown(samples))


def part(of: str, suffix: str, text: str, samples: Callable[[ServerStats], Samples], kind: Kind) -> Row:
    """The samples of one name of a summary or histogram; its first part is the one without or with `_bucket`."""
    name = f"redis_{of}"
    return Row(Family(name + suffix, kind, text, of=name, first=suffix in {"", "_bucket"}), _shown(samples))


def _shown(samples: Callable[[ServerStats], Samples]) -> Callable[[Sheet], Samples]:
    return lambda sheet: samples(sheet.reading.stats) if sheet.reading.stats else ()


def plain(value: Callable[[ServerStats], float | None]) -> Callable[[ServerStats], Samples]:
    """One value without labels; absent where it is None."""
    return lambda stats: (("", value(stats)),)


def section(rows: Iterable[Row], of: Callable[[ServerStats], tuple[object, ...]] | None = None) -> Section:
    """Rows that are rendered together whenever there is a new reading, or one in which something of `of` is another."""

    def sources(reading: Reading) -> tuple[object, ...]:
        return (reading.stats,) if of is None or reading.stats is None else of(reading.stats)

    return Section(Collect.STATS, sources, tuple(rows))


def value_of(fields: Mapping[str, str], name: str) -> float | None:
    """A field of INFO as a number: `ok` and `true` are 1, `err`, `fail` and `false` are 0; None for other words."""
    text = fields.get(name)
    if text is None:
        return None
    if text in _WORDS:
        return _WORDS[text]
    try:
        return float(text)
    except ValueError:
        return None
