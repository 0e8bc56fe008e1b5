"""Table: figures that a paper printed, and what measures them here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Figures = Mapping[str, float | None]
"""Figures by row; rows `A.B` belong together."""


@dataclass(frozen=True)
class Settings:
    """What a table is measured with.

    Attributes:
        data: folder of data; None without one.
        bundles: names or paths of bundles beside those that the table has.
        quick: small settings, for a look.
        report: called with what is measured next.
    """

    data: Path | None
    bundles: tuple[str, ...] = ()
    quick: bool = False
    report: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True)
class Measured:
    """What was measured of a table.

    Attributes:
        codecs: figures by codec and row.
        data: what it was measured on, in words.
        seeds: of what was drawn by chance.
        notes: what to know of the figures.
        details: figures of single scenes or runs.
    """

    codecs: Mapping[str, Figures]
    data: str
    seeds: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    details: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    Attributes:
        name: its name in commands and results.
        title: what it shows, in words.
        source: where it was published.
        rows: what each row of figures is, in words, by its name.
        published: figures by codec and row.
        measure: measures it.
        differs: why ours differ from those published, in words.
    """

    name: str
    title: str
    source: str
    rows: Mapping[str, str]
    published: Mapping[str, Figures]
    measure: Callable[[Settings], Measured]
    differs: tuple[str, ...]


def nested(codecs: Mapping[str, Figures]) -> dict[str, dict[str, Any]]:
    """Return the figures of codecs as documents have them: that of a row `A.B` is B of A."""
    found: dict[str, dict[str, Any]] = {}
    for name, figures in codecs.items():
        of = found[name] = {}
        for row, value in figures.items():
            *above, last = row.split(".")
            at: dict[str, Any] = of
            for part in above:
                at = at.setdefault(part, {})
            at[last] = value
    return found


def flat(figures: Mapping[str, Any], above: str = "") -> dict[str, float | None]:
    """Return figures of a document by row, as `nested` took them."""
    found: dict[str, float | None] = {}
    for name, value in figures.items():
        found |= (
            flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
        )
    return found
