"""Bars as HTML: ranges on a logarithmic axis, sizes, shares. All text is escaped.

Each bar has its own label and value as text, beside it or, on a narrow screen, above it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import cycle

COLOURS = ("#1d5fa8", "#0f8a6d", "#b4521b", "#7a4fa3", "#8a6d00", "#a8325e", "#4d5a66")
_NARROWEST = 1.0
"""Percent of the axis that a bar takes at least."""


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


def range_bars(title: str, axis: str, rows: Sequence[Range]) -> str:
    """Return bars from low to high, logarithmic; what is not measured is an outline."""
    if not rows:
        return ""
    first = math.floor(math.log10(min(row.low for row in rows)))
    last = max(math.ceil(math.log10(max(row.high for row in rows))), first + 1)
    ticks = [10.0**n for n in range(first, last + 1)]
    return _chart(title, axis, rows, ticks, lambda x: (math.log10(x) - first) / (last - first))


def size_bars(title: str, axis: str, rows: Sequence[Range]) -> str:
    """Return bars from 0 to the high end, which may be below 0."""
    if not rows:
        return ""
    marks = ticks([0.0, *(row.high for row in rows)])
    rows = [replace(row, low=min(row.high, 0.0), high=max(row.high, 0.0)) for row in rows]
    span = marks[-1] - marks[0]
    return _chart(title, axis, rows, marks, lambda x: (x - marks[0]) / span)


def ticks(values: Iterable[float]) -> list[float]:
    """Return at most seven round numbers, from the least value, or below, to the largest."""
    values = list(values)
    least, most = min(values), max(values)
    steps = (digit * 10.0**power for power in range(-6, 12) for digit in (1, 2, 5))
    step = next(step for step in steps if most - least <= 5 * step)
    last = math.ceil(most / step)
    return [n * step for n in range(min(math.floor(least / step), last - 1), last + 1)]


def share_bars(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return one bar per row, its parts beside each other; shares of a row add up to 1."""
    if not rows:
        return ""
    names = list(next(iter(rows.values())))
    colours = dict(zip(names, cycle(COLOURS), strict=False))
    parts = []
    for label, shares in rows.items():
        bar = "".join(
            f'<i style="width:{100 * share:.2f}%;background:{colours[name]}" '
            f'title="{escape(name)} {share:.1%}">{f"{share:.0%}" if share > 0.06 else ""}</i>'
            for name, share in shares.items()
        )
        parts.append(_row(label, "", f'<span class="parts">{bar}</span>', ""))
    return _whole(title, [*parts, key({name: (colour, "") for name, colour in colours.items()})])


def key(looks: Mapping[str, tuple[str, str]]) -> str:
    """Return the names of colours and dashes."""
    items = "".join(
        '<li><svg viewBox="0 0 24 6"><line x1="0" y1="3" x2="24" y2="3" '
        f'stroke="{colour}" stroke-width="5" stroke-dasharray="{dash}"/></svg>{escape(name)}</li>'
        for name, (colour, dash) in looks.items()
    )
    return f'<ul class="key">{items}</ul>'


def _chart(
    title: str,
    axis: str,
    rows: Sequence[Range],
    ticks: Sequence[float],
    scale: Callable[[float], float],
) -> str:
    """Return a chart of one bar a row; `scale` brings a value to 0..1 along the axis."""
    colours = dict(zip(dict.fromkeys(row.series for row in rows), cycle(COLOURS), strict=False))
    grid = "".join(f'<b style="left:{100 * scale(value):.2f}%"></b>' for value in ticks)
    parts = []
    for row in rows:
        left, right = (100 * scale(value) for value in (row.low, row.high))
        width = max(right - left, _NARROWEST)
        left = min(left, 100 - width)
        look = "" if row.measured else "55"
        bar = (
            f'<i style="left:{left:.2f}%;width:{width:.2f}%;border-color:{colours[row.series]};'
            f'background:{colours[row.series]}{look}"></i>'
        )
        track = f'<span class="track">{grid}{bar}</span>'
        parts.append(_row(row.label, row.series, track, row.shown))
    marks = "".join(f'<b style="left:{100 * scale(value):.2f}%">{value:g}</b>' for value in ticks)
    parts.append(_row("", "", f'<span class="axis">{marks}</span>', axis))
    return _whole(title, [*parts, key({name: (colour, "") for name, colour in colours.items()})])


def _row(label: str, series: str, bar: str, value: str) -> str:
    """Return a row: what the bar is of, the bar, and what it says."""
    of = f"<small>{escape(series)}</small>" if series and series != label else ""
    return (
        f'<div class="bar"><span class="label">{escape(label)} {of}</span>{bar}'
        f'<span class="value">{escape(value)}</span></div>'
    )


def _whole(title: str, parts: Sequence[str]) -> str:
    return f'<div class="bars" role="group" aria-label="{escape(title)}">{"".join(parts)}</div>'
