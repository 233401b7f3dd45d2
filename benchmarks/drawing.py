"""Figures for the docs: numbers in, an SVG document out (pure, but for `save`).

Four kinds: `bars` (values side by side), `intervals` (estimates with their error bars over a true value), `steps` (how
many of a set have happened by then) and `curves` (shares over time).
Colours keep their contrast on white, which every figure brings along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 720, 60, 20, 46, 44
INK, FAINT = "#333333", "#dddddd"
COLOURS = ("#1f6feb", "#b35900", "#6e7781", "#2da44e", "#8250df")


def save(name: str, document: str) -> Path:
    """Write a figure into docs/figures."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    path = FIGURES / f"{name}.svg"
    path.write_text(document)
    return path


def bars(title: str, values: Mapping[str, float], unit: str = "", line: float | None = None) -> str:
    """One horizontal bar for each name, with its value; `line` marks a bar to reach or to keep below."""
    row, left = 28, 250
    sheet = _Sheet(title, TOP + row * len(values) + 14)
    most = max([*values.values(), line or 0.0]) * 1.15 or 1.0
    scale = (WIDTH - left - RIGHT - 60) / most
    for n, (name, value) in enumerate(values.items()):
        y = TOP + row * n
        sheet.text(left - 8, y + 15, name, anchor="end")
        sheet.box(left, y + 3, max(1.0, value * scale), row - 10, COLOURS[0 if n == 0 else 2])
        sheet.text(left + value * scale + 6, y + 15, f"{value:.3g}{unit}")
    if line is not None:
        sheet.line(left + line * scale, TOP - 4, left + line * scale, TOP + row * len(values), COLOURS[1])
        sheet.text(left + line * scale, TOP - 8, f"{line:g}{unit}", anchor="middle", colour=COLOURS[1])
    return sheet.svg()


def intervals(title: str, points: Sequence[tuple[float, float, float, float]], labels: tuple[str, str]) -> str:
    """Points (x, value, low, high) with their intervals on a logarithmic x axis, around the line value = 1."""
    sheet = _Sheet(title, 300)
    reach = max(max(abs(low - 1), abs(high - 1)) for _, _, low, high in points) * 1.1
    largest = max(x for x, *_ in points)

    def across(x: float) -> float:
        return LEFT + 12 + (WIDTH - LEFT - RIGHT - 24) * math.log(x) / math.log(max(largest, 2))

    def down(value: float) -> float:
        return TOP + (300 - TOP - BOTTOM) * (1 + reach - value) / (2 * reach)

    for tick in _ticks(1 - reach, 1 + reach):
        sheet.line(LEFT, down(tick), WIDTH - RIGHT, down(tick), FAINT if abs(tick - 1) > 1e-9 else INK)
        sheet.text(LEFT - 6, down(tick) + 4, f"{tick:.2f}", anchor="end")
    for tick in (1, 2, 5, 10, 20, 50, 100):
        if tick <= largest:
            sheet.text(across(tick), 300 - BOTTOM + 18, f"{tick}", anchor="middle")
    for x, value, low, high in points:
        inside = low <= 1 <= high
        sheet.line(across(x), down(low), across(x), down(high), COLOURS[0 if inside else 1])
        sheet.dot(across(x), down(value), COLOURS[0 if inside else 1])
    sheet.text(WIDTH / 2, 296, labels[0], anchor="middle")
    sheet.text(LEFT, TOP - 8, labels[1])
    return sheet.svg()


def steps(title: str, series: Mapping[str, Sequence[float]], unit: str, line: float | None = None) -> str:
    """For each name, how many of its values are at most x: a staircase from none to all."""
    sheet = _Sheet(title, 260)
    longest = max([*(max(values) for values in series.values()), line or 0.0]) * 1.05

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / longest

    def down(share: float) -> float:
        return 260 - BOTTOM - (260 - TOP - BOTTOM) * share

    for share in (0.0, 0.5, 0.95, 1.0):
        sheet.line(LEFT, down(share), WIDTH - RIGHT, down(share), FAINT)
        sheet.text(LEFT - 6, down(share) + 4, f"{share:.0%}", anchor="end")
    for tick in _ticks(0.0, longest):
        sheet.text(across(tick), 260 - BOTTOM + 18, f"{tick:g}{unit}", anchor="middle")
    for n, (name, values) in enumerate(series.items()):
        path, share = f"M{across(0):.1f} {down(0):.1f}", 0.0
        for count, value in enumerate(sorted(values), 1):
            path += f" L{across(value):.1f} {down(share):.1f} L{across(value):.1f} {down(count / len(values)):.1f}"
            share = count / len(values)
        sheet.parts.append(f'<path d="{path}" fill="none" stroke="{COLOURS[n]}" stroke-width="2"/>')
        sheet.text(WIDTH - RIGHT, 260 - BOTTOM - 8 - 16 * n, name, anchor="end", colour=COLOURS[n])
    if line is not None:
        sheet.line(across(line), TOP, across(line), 260 - BOTTOM, COLOURS[1])
    return sheet.svg()


def curves(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], labels: tuple[str, str], line: float | None = None
) -> str:
    """For each name, points (x, share) joined by a line; shares are from 0 to 1, and `line` is one to reach."""
    sheet = _Sheet(title, 300)
    first = min(x for points in series.values() for x, _ in points)
    last = max(x for points in series.values() for x, _ in points)

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - first) / (last - first)

    def down(share: float) -> float:
        return 300 - BOTTOM - (300 - TOP - BOTTOM) * share

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        sheet.line(LEFT, down(share), WIDTH - RIGHT, down(share), FAINT)
        sheet.text(LEFT - 6, down(share) + 4, f"{share:.0%}", anchor="end")
    for tick in _ticks(first, last):
        sheet.text(across(tick), 300 - BOTTOM + 18, f"{tick:g}", anchor="middle")
    if line is not None:
        sheet.line(LEFT, down(line), WIDTH - RIGHT, down(line), COLOURS[1])
        sheet.text(LEFT - 6, down(line) + 4, f"{line:.0%}", anchor="end", colour=COLOURS[1])
    for (name, points), colour, row in zip(series.items(), COLOURS[::2], range(len(series)), strict=False):
        path = " L".join(f"{across(x):.1f} {down(share):.1f}" for x, share in points)
        sheet.parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        sheet.text(WIDTH - RIGHT, 300 - BOTTOM - 8 - 16 * row, name, anchor="end", colour=colour)
    sheet.text(WIDTH / 2, 296, labels[0], anchor="middle")
    sheet.text(LEFT, TOP - 8, labels[1])
    return sheet.svg()


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two ends, four to nine of them."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 9)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


@dataclass(slots=True)
class _Sheet:
    """What has been drawn so far."""

    title: str
    height: int
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, anchor: str = "start", colour: str = INK) -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str) -> None:
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>')

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def dot(self, x: float, y: float, colour: str) -> None:
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>')

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" role="img" '
            f'aria-label="{escape(self.title, quote=True)}" font-family="sans-serif" font-size="12">\n'
            f'<rect width="{WIDTH}" height="{self.height}" fill="white"/>\n'
            f'<text x="12" y="20" font-size="14" font-weight="bold" fill="{INK}">{escape(self.title)}</text>\n'
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"
