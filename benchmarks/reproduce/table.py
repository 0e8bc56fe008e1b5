"""Table: figures that a paper printed, and what measures them here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Figures = Mapping[str, float | None]
"""Figures by row."""


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
