"""Panels in rows in, places on Grafana's grid of 24 columns out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dashboards.model import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dashboards.model import Panel


class Place(NamedTuple):
    """Left upper corner and size."""

    x: int
    y: int
    w: int
    h: int


def place(panels: Iterable[Panel], top: int) -> tuple[list[Place], int]:
    """Put panels side by side, a new line where the next one does not fit; also where the grid is free again.

    Raises:
        ValueError: the panels of a line leave a hole.

    """
    lines: list[list[Panel]] = [[]]
    for panel in panels:
        if sum(one.width for one in lines[-1]) + panel.width > WIDTH:
            lines.append([])
        lines[-1].append(panel)
    places: list[Place] = []
    for line in lines:
        if sum(one.width for one in line) != WIDTH or len({one.height for one in line}) != 1:
            raise ValueError(f"a hole beside {', '.join(one.title for one in line)}")
        x = 0
        for one in line:
            places.append(Place(x, top, one.width, one.height))
            x += one.width
        top += line[0].height
    return places, top
