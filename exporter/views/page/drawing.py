"""Bars and curves as SVG: numbers come in, markup goes out. No style is inline: the security policy forbids it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from exporter.views.markup import Html, tag
from exporter.views.words import quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.history import Curve

POINTS = 60
WIDTH, HEIGHT = 120, 24
_STROKE = 2  # half of it above the highest point and below the lowest


def bar(ratio: float, interval: tuple[float, float] | None = None) -> Html:
    """Draw a bar of 0 to 1 of the width, and the interval as a line with its own length."""

    def place(value: float) -> str:
        return f"{100 * min(1.0, max(0.0, value)):.1f}"

    parts = [
        tag("rect.track", at={"width": "100", "height": "10"}),
        tag("rect.fill", at={"width": place(ratio), "height": "10"}),
    ]
    if interval and interval[1] > interval[0]:
        low, high = map(place, interval)
        parts.append(tag("line.whisker", at={"x1": low, "x2": high, "y1": "5", "y2": "5"}))
    return tag("svg.bar", *parts, at={"viewBox": "0 0 100 10", "preserveAspectRatio": "none", "aria-hidden": "true"})


def sparkline(curve: Curve, unit: str = "accesses/s") -> Html | None:
    """Draw a curve from zero to its own maximum, gaps left open; None where nothing is known."""
    points = thinned(curve)
    values = [value for value in points if value is not None]
    if not values:
        return None
    most, step = max(values) or 1.0, WIDTH / max(1, len(points) - 1)
    paths = []
    for known, run in groupby(enumerate(points), key=lambda point: point[1] is not None):
        if known:
            dots = [f"{step * place:.0f} {_height(value, most)}" for place, value in run if value is not None]
            # A line to itself: with round ends that is a dot.
            paths.append("M" + "L".join(dots if len(dots) > 1 else dots * 2))
    label = f"between {quantity(min(values))} and {quantity(max(values))} {unit}"
    return tag(
        "svg.spark",
        tag("path", at={"d": "".join(paths)}),
        at={"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none", "role": "img", "aria-label": label},
    )


def _height(value: float, most: float) -> str:
    return f"{HEIGHT - _STROKE / 2 - (HEIGHT - _STROKE) * value / most:.0f}"


def thinned(curve: Sequence[float | None], points: int = POINTS) -> list[float | None]:
    """Not more than so many points: of each stretch the highest, because peaks are what is looked for."""
    stretch = max(1, -(-len(curve) // points))
    parts = (curve[start : start + stretch] for start in range(0, len(curve), stretch))
    return [max((value for value in part if value is not None), default=None) for part in parts]
