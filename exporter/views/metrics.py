"""`/metrics` and `/scrape`: readings and our own meters in, exposition text out.

Each fragment is rendered once per snapshot; `/scrape` takes the labels `target` and `addr` out of the finished text.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from exporter.views import warming
from exporter.views.catalog import SECTIONS
from exporter.views.exposition import Family, Format, Fragments, compose, encode, labels, line, number
from exporter.views.families import Collect, Sheet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client import Metric
    from prometheus_client.samples import Sample

    from exporter.config import Target
    from exporter.keynames import KeyNames
    from exporter.views.exposition import Kind
    from exporter.views.families import Section
    from exporter.views.reading import Reading
    from exporter.warmth import JobState

TARGET_INFO = Family("redis_target_info", "gauge", "A configured target and the labels that it was given.")


class MetricsView:
    """Renders `/metrics` and remembers what it rendered. Belongs to one thread."""

    def __init__(self) -> None:
        self._fragments = Fragments()

    def __len__(self) -> int:
        return len(self._fragments)

    def render(
        self,
        readings: tuple[Reading, ...],
        names: KeyNames,
        form: Format,
        collect: frozenset[Collect],
        own: Iterable[Metric] = (),
        jobs: Iterable[JobState] = (),
        tls: Sequence[tuple[Family, Sequence[bytes]]] = (),
    ) -> bytes:
        """Write the families of `collect` for these nodes, of `tls` and warming `jobs`, and `own` (our meters) last."""
        families = self._families(readings, names, [one for one in self._sections(collect) if not one[1].scrape_only])
        if Collect.STATS in collect:
            targets = {reading.target.name: reading.target for reading in readings}
            families.append((TARGET_INFO, [_target_info(target) for target in targets.values()]))
        families += tls
        if Collect.WARMING in collect:
            families += warming.families(jobs)
        if Collect.SELF in collect:
            families += [_own_family(metric, form) for metric in own]
        return compose(form, families)

    def scrape(
        self, reading: Reading, names: KeyNames, form: Format, collect: frozenset[Collect] = frozenset(Collect)
    ) -> bytes:
        """Write the families of `collect` for one node as redis_exporter would: without the labels target and addr."""
        body = compose(form, self._families((reading,), names, self._sections(collect)))
        # A quote inside a label's value is escaped, so this text stands nowhere but at the start of our labels.
        placed = b"{" + encode(_base(reading))
        return body.replace(placed + b"} ", b" ").replace(placed + b",", b"{")

    def prepare(self, readings: tuple[Reading, ...], names: KeyNames, collect: frozenset[Collect]) -> None:
        """Render what `render` and `scrape` would need, and keep it for them."""
        self._families(readings, names, self._sections(collect))

    def forget(self, readings: tuple[Reading, ...]) -> None:
        """Drop what was rendered for nodes that are not among `readings`."""
        self._fragments.keep({(place, one.node) for place in range(len(SECTIONS)) for one in readings})

    @staticmethod
    def _sections(collect: frozenset[Collect]) -> list[tuple[int, Section]]:
        return [(place, section) for place, section in enumerate(SECTIONS) if section.collect in collect]

    def _families(
        self, readings: tuple[Reading, ...], names: KeyNames, sections: list[tuple[int, Section]]
    ) -> list[tuple[Family, Sequence[bytes]]]:
        families: list[tuple[Family, Sequence[bytes]]] = []
        for place, section in sections:
            rendered = [self._section(place, section, reading, names) for reading in readings]
            families += zip((row.family for row in section.rows), zip(*rendered, strict=True), strict=False)
        return families

    def _section(self, place: int, section: Section, reading: Reading, names: KeyNames) -> tuple[bytes, ...]:
        sources = (names, *section.sources(reading))
        return self._fragments.of((place, reading.node), sources, partial(_render, section, reading, names))


def _render(section: Section, reading: Reading, names: KeyNames) -> tuple[bytes, ...]:
    """Render one section of one node: for each family the bytes of its sample lines.

    Most of the time of a scrape is spent here: the lines are those of `exposition.line`, with what they share written
    once.
    """
    sheet, base, rendered = Sheet(reading, names), _base(reading), []
    for row in section.rows:
        start = f"{row.family.name}{{{base}"
        lines = [
            f"{start},{more}}} {number(value)}\n" if more else f"{start}}} {number(value)}\n"
            for more, value in row.samples(sheet)
            if value is not None and value == value  # noqa: PLR0124 - only NaN differs from itself
        ]
        rendered.append(encode("".join(lines)) if lines else b"")
    return tuple(rendered)


def _base(reading: Reading) -> str:
    return labels((("target", reading.node.target), ("addr", reading.node.addr)))


def _target_info(target: Target) -> bytes:
    return encode(line(TARGET_INFO.name, labels((("target", target.name), *target.labels.items())), 1))


def _own_family(metric: Metric, form: Format) -> tuple[Family, list[bytes]]:
    """Turn a family of prometheus_client into one of ours, written the same way as ours; exemplars where they exist."""
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    lines = (_own_line(one, form) for one in metric.samples)
    return Family(name, cast("Kind", metric.type), metric.documentation), [encode("".join(lines))]


def _own_line(sample: Sample, form: Format) -> str:
    """One sample line, with its exemplar where there is one: only OpenMetrics has a form for it."""
    text = line(sample.name, labels(sample.labels.items()), sample.value)
    exemplar = sample.exemplar
    if exemplar is None or form is not Format.OPENMETRICS:
        return text
    found = f"# {{{labels(exemplar.labels.items())}}} {number(exemplar.value)} {exemplar.timestamp or 0:.3f}"
    return f"{text.rstrip()} {found}\n"
