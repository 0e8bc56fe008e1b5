"""A measured table for a terminal."""

from collections.abc import Mapping
from typing import Any

from benchmarks.reproduce.table import Figures, Table, flat

_ABOUT = {
    "published",
    "source",
    "data",
    "seeds",
    "notes",
    "differs",
    "details",
    "quick",
    "seconds",
}


def text(table: Table, document: Mapping[str, Any]) -> str:
    """Return the published figures, ours below them, and what to know of both.

    Rows `A.B` and `A.C` share a column.
    """
    ours = of_codecs(document)
    shown = [
        row for row in table.rows if any(row in f for f in (*ours.values(), *_published(table)))
    ]
    heads: dict[str, list[str]] = {}
    for row in shown:
        heads.setdefault(row.split(".")[0], []).append(row)
    width = max(map(len, (*ours, *table.published)), default=0) + 2
    columns = [max(len(name), 7 * len(rows) + 2) + 2 for name, rows in heads.items()]
    head = "".join(f"{name:>{column}}" for name, column in zip(heads, columns, strict=True))
    lines = [f"{table.name}: {table.title}", "", " " * width + head]
    for title, part in (("published", table.published), ("here", ours)):
        lines.append(f"{title}:")
        for name, figures in part.items():
            cells = ("; ".join(_cell(figures.get(row)) for row in rows) for rows in heads.values())
            row = "".join(f"{cell:>{n}}" for cell, n in zip(cells, columns, strict=True))
            lines.append(f"{name:<{width}}{row}")
    lines += ["", *(f"{row}: {table.rows[row]}" for row in shown), ""]
    lines.append(f"published: {table.source}")
    seeds = f", seeds {', '.join(map(str, document['seeds']))}" if document["seeds"] else ""
    quick = "; quick settings" if document["quick"] else ""
    lines.append(f"data: {document['data']}{seeds}{quick}; {document['seconds']:.0f} s")
    lines += [f"note: {note}" for note in document["notes"]]
    lines += [f"differs: {reason}" for reason in document["differs"]]
    return "\n".join(lines)


def of_codecs(document: Mapping[str, Any]) -> dict[str, Figures]:
    """Return the figures of codecs by row."""
    return {name: flat(figures) for name, figures in document.items() if name not in _ABOUT}


def _published(table: Table) -> list[Figures]:
    return list(table.published.values())


def _cell(value: float | None) -> str:
    """Return a figure with about four digits."""
    if value is None:
        return "-"
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
