"""What a dashboard is made of, as frozen values: queries, panels by their looks, rows, variables, annotations. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboards.links import Uid

WIDTH = 24
"""Columns of Grafana's grid."""


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and what its series are called; `{{label}}` is filled in by Grafana."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A colour from a value on."""

    value: float
    color: str


@dataclass(frozen=True, slots=True)
class Link:
    """Where a click leads; `${…}` is filled in by Grafana."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: a label of its series, or (no label) the values of its next query."""

    title: str
    label: str = ""
    unit: str = ""
    width: int = 0
    thresholds: tuple[Threshold, ...] = ()
    texts: Mapping[str, str] | None = None
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """Values over time. `dashed` names series, by a pattern, that are limits and not measurements."""

    stack: bool = False
    dashed: str = ""
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """The last value, large; with the shape of its past behind it if `area`."""

    area: bool = True
    colored: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The last values of several queries, joined by their common labels and sorted by a column."""

    columns: tuple[Column, ...]
    sort: str
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Bars:
    """The last values, as bars side by side."""


@dataclass(frozen=True, slots=True)
class Heat:
    """The buckets of a histogram over time; one query, by `le`."""


@dataclass(frozen=True, slots=True)
class States:
    """Which state holds from when to when."""


Look = Lines | Number | Table | Bars | Heat | States


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `texts` gives values a word to show and a colour: `{"0": ("down", "red")}`."""

    title: str
    description: str
    look: Look
    queries: tuple[Query, ...]
    unit: str
    width: int = 8
    height: int = 8
    minimum: float | None = None
    maximum: float | None = None
    decimals: int | None = None
    thresholds: tuple[Threshold, ...] = ()
    texts: Mapping[str, tuple[str, str]] | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading, placed from left to right; closed where many servers have nothing to show."""

    title: str
    panels: tuple[Panel, ...]
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard, of the values of a label."""

    name: str
    label: str
    query: str
    everything: str = ".+"


@dataclass(frozen=True, slots=True)
class TextBox:
    """A value at the top of a dashboard that the user types."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """Events, drawn over all panels; `at_value`: the value of the series is the time of the event, in milliseconds."""

    name: str
    expr: str
    title: str
    text: str
    color: str
    at_value: bool = False
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A whole dashboard; `file` is the name of its JSON file, without the ending."""

    uid: Uid
    file: str
    title: str
    description: str
    variables: tuple[Variable | TextBox, ...]
    annotations: tuple[Annotation, ...]
    rows: tuple[Row, ...]
    since: str = "now-1h"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All its panels, in reading order."""
        return tuple(panel for row in self.rows for panel in row.panels)
