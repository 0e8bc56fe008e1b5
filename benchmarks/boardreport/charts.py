"""Charts as inline SVG: ranges on a logarithmic axis, curves, shares. All text is escaped."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import cycle

WIDTH, LEFT, RIGHT = 720, 216, 130
LONGEST = 29
"""Characters of a label that fit beside a chart."""
ROW, TOP = 24, 8
COLOURS = ("#1d5fa8", "#0f8a6d", "#b4521b", "#7a4fa3", "#8a6d00", "#a8325e", "#4d5a66")
DASHES = ("", "6 3", "2 3", "8 3 2 3")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Range:
    """A bar: from `low` to `high` (above 0), the same where one figure is known.

    Attributes:
        label: label of the row.
        low: low end of the bar, in the unit of the chart.
        high: high end of the bar, not below `low`.
        series: name of the series; its rows have one colour.
        measured: whether the bar is drawn full; else as an outline.
        shown: text beside the bar.
    """

    label: str
    low: float
    high: float
    series: str
    measured: bool
    shown: str


def ranges_svg(title: str, axis: str, rows: Sequence[Range]) -> str:
    """Return bars from low to high, logarithmic; what is not measured is an outline.

    A label that is that of the row before is left out.
    """
    if not rows:
        return ""
    first = math.floor(math.log10(min(row.low for row in rows)))
    last = max(math.ceil(math.log10(max(row.high for row in rows))), first + 1)
    ticks = [10.0**n for n in range(first, last + 1)]
    return _rows_svg(title, axis, rows, ticks, lambda x: (math.log10(x) - first) / (last - first))


def bars_svg(title: str, axis: str, rows: Sequence[Range]) -> str:
    """Return bars from 0 to the high end."""
    if not rows:
        return ""
    most = max(row.high for row in rows)
    steps = (digit * 10.0**power for power in range(-3, 12) for digit in (1, 2, 5))
    step = next(step for step in steps if most <= 5 * step)
    ticks = [n * step for n in range(math.ceil(most / step) + 1)]
    rows = [replace(row, low=0.0) for row in rows]
    return _rows_svg(title, axis, rows, ticks, lambda x: x / ticks[-1])


def _rows_svg(
    title: str,
    axis: str,
    rows: Sequence[Range],
    ticks: Sequence[float],
    scale: Callable[[float], float],
) -> str:
    """Return a chart of one bar a row; `scale` brings a value to 0..1 along the axis."""
    span = WIDTH - LEFT - RIGHT
    colours = dict(zip(dict.fromkeys(row.series for row in rows), cycle(COLOURS), strict=False))
    bottom = TOP + ROW * len(rows)
    parts = [_tick(LEFT + span * scale(value), bottom, value) for value in ticks]
    before = ""
    for number, row in enumerate(rows):
        label, before = "" if row.label == before else row.label, row.label
        left, right = (LEFT + span * scale(value) for value in (row.low, row.high))
        parts += _bar(row, label, TOP + ROW * number + ROW / 2, (left, right), colours[row.series])
    parts.append(_text(LEFT + span / 2, bottom + 34, axis, "middle"))
    key = _key({name: (colour, "") for name, colour in colours.items()}, bottom + 54)
    return _svg(title, bottom + 44 + _key_height(colours), [*parts, *key])


def _bar(
    row: Range, label: str, middle: float, ends: tuple[float, float], colour: str
) -> list[str]:
    left, right = ends
    width = max(right - left, 5)
    look = "" if row.measured else ' fill-opacity="0.22"'
    return [
        _text(LEFT - 8, middle + 4, label, "end"),
        f'<rect x="{left:.1f}" y="{middle - 6:.1f}" width="{width:.1f}" height="12" rx="2" '
        f'fill="{colour}" stroke="{colour}"{look}/>',
        _text(left + width + 6, middle + 4, row.shown, "start", "value"),
    ]


def lines_svg(title: str, x_axis: str, y_axis: str, series: Mapping[str, Points]) -> str:
    """Return curves, x logarithmic to the base 2."""
    points = [point for curve in series.values() for point in curve]
    if not points:
        return ""
    left, right, bottom = 60, WIDTH - 20, 320
    low, high = (math.log2(limit(x for x, _ in points)) for limit in (min, max))
    least, most = math.floor(min(y for _, y in points)), math.ceil(max(y for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log2(x) - low) / max(high - low, 1e-9)
        up = (y - least) / max(most - least, 1)
        return left + across * (right - left), bottom - up * (bottom - TOP)

    parts = []
    for y in range(least, most + 1, max(1, (most - least) // 6)):
        height = place(points[0][0], y)[1]
        parts.append(_line(left, height, right, height))
        parts.append(_text(left - 6, height + 4, f"{y}", "end"))
    halves = (2.0**octave * part for octave in range(-16, 17) for part in (1, 1.5))
    for x in (x for x in halves if low <= math.log2(x) <= high):
        across = place(x, least)[0]
        parts.append(_line(across, TOP, across, bottom))
        parts.append(_text(across, bottom + 16, f"{x:g}", "middle"))
    looks = _looks(series)
    for name, curve in series.items():
        colour, dash = looks[name]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in sorted(curve)))
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
    parts.append(_text((left + right) / 2, bottom + 36, x_axis, "middle"))
    parts.append(_text(left + 4, TOP + 12, y_axis, "start"))
    return _svg(title, bottom + 46 + _key_height(looks), [*parts, *_key(looks, bottom + 56)])


def shares_svg(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return one bar per row, its parts beside each other; shares of a row add up to 1."""
    if not rows:
        return ""
    names = list(next(iter(rows.values())))
    looks = {name: (colour, "") for name, colour in zip(names, cycle(COLOURS), strict=False)}
    left, span = 110, WIDTH - 130
    parts = []
    for number, (label, shares) in enumerate(rows.items()):
        middle, across = TOP + ROW * number + ROW / 2, float(left)
        parts.append(_text(left - 8, middle + 4, label, "end"))
        for name, share in shares.items():
            colour, _ = looks[name]
            parts.append(
                f'<rect x="{across:.1f}" y="{middle - 9:.1f}" width="{span * share:.1f}" '
                f'height="18" fill="{colour}"><title>{escape(name)} {share:.1%}</title></rect>'
            )
            if share > 0.06:
                parts.append(
                    _text(across + span * share / 2, middle + 4, f"{share:.0%}", "middle", "on")
                )
            across += span * share
    bottom = TOP + ROW * len(rows)
    key = _key(looks, bottom + 20, 2)
    return _svg(title, bottom + 10 + _key_height(looks, 2), [*parts, *key])


def _looks(series: Mapping[str, Points]) -> dict[str, tuple[str, str]]:
    """Return colour and dash of each curve: told apart without colour, too."""
    return {
        name: (colour, dash)
        for name, colour, dash in zip(series, cycle(COLOURS), cycle(DASHES), strict=False)
    }


def _key(looks: Mapping[str, tuple[str, str]], top: float, columns: int = 3) -> list[str]:
    """Return the names of the colours, in columns."""
    parts = []
    for number, (name, (colour, dash)) in enumerate(looks.items()):
        left = 20 + (WIDTH - 20) / columns * (number % columns)
        height = top + 18 * (number // columns)
        parts.append(
            f'<line x1="{left:.0f}" y1="{height:.0f}" x2="{left + 24:.0f}" y2="{height:.0f}" '
            f'stroke="{colour}" stroke-width="5" stroke-dasharray="{dash}"/>'
        )
        parts.append(_text(left + 30, height + 4, name, "start"))
    return parts


def _key_height(names: Collection[str], columns: int = 3) -> int:
    return 18 * -(-len(names) // columns) + 2


def _tick(across: float, bottom: float, value: float) -> str:
    return _line(across, TOP, across, bottom) + _text(across, bottom + 16, f"{value:g}", "middle")


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="grid"/>'


def _text(x: float, y: float, text: str, anchor: str, look: str = "") -> str:
    whole = f"<title>{escape(text)}</title>" if anchor == "end" and len(text) > LONGEST else ""
    shown = f"{text[: LONGEST - 1]}\u2026" if whole else text
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{look}">'
        f"{escape(shown)}{whole}</text>"
    )


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<div class="scroll"><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg></div>'
    )
