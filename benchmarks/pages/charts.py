"""Curves as inline SVG. All text is escaped."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import cycle

from benchmarks.pages.bars import COLOURS, key, ticks

WIDTH, TOP = 720, 8
DASHES = ("", "6 3", "2 3", "8 3 2 3")

Points = Sequence[tuple[float, float]]


def lines_svg(
    title: str, x_axis: str, y_axis: str, series: Mapping[str, Points], octaves: bool = True
) -> str:
    """Return curves, x logarithmic to the base 2 or, without `octaves`, linear."""
    points = [point for curve in series.values() for point in curve]
    if not points:
        return ""
    left, right, bottom = 60, WIDTH - 20, 320
    scale = math.log2 if octaves else float
    low, high = (scale(limit(x for x, _ in points)) for limit in (min, max))
    heights = ticks(y for _, y in points)
    least, most = heights[0], heights[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (scale(x) - low) / max(high - low, 1e-9)
        up = (y - least) / (most - least)
        return left + across * (right - left), bottom - up * (bottom - TOP)

    parts = []
    for y in heights:
        height = place(points[0][0], y)[1]
        parts.append(_line(left, height, right, height))
        parts.append(_text(left - 6, height + 4, f"{y:g}", "end"))
    halves = [2.0**octave * part for octave in range(-16, 17) for part in (1, 1.5)]
    for x in halves if octaves else ticks(x for x, _ in points):
        if not low <= scale(x) <= high:
            continue
        across = place(x, least)[0]
        look = "minor" if octaves and not math.log2(x).is_integer() else ""
        parts.append(_line(across, TOP, across, bottom))
        parts.append(_text(across, bottom + 18, f"{x:g}", "middle", look))
    looks = _looks(series)
    for name, curve in series.items():
        colour, dash = looks[name]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in sorted(curve)))
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
    parts.append(_text((left + right) / 2, bottom + 40, x_axis, "middle"))
    parts.append(_text(left + 4, TOP + 16, y_axis, "start"))
    return (
        f'<svg viewBox="0 0 {WIDTH} {bottom + 50}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>{key(looks)}"
    )


def _looks(series: Mapping[str, Points]) -> dict[str, tuple[str, str]]:
    """Return colour and dash of each curve: told apart without colour, too."""
    return {
        name: (colour, dash)
        for name, colour, dash in zip(series, cycle(COLOURS), cycle(DASHES), strict=False)
    }


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="grid"/>'


def _text(x: float, y: float, text: str, anchor: str, look: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{look}">{escape(text)}</text>'
    )
