"""Tables as one HTML page: figures published and measured beside each other, and plots of them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from benchmarks.pages.bars import Range, size_bars
from benchmarks.pages.charts import Points, lines_svg
from benchmarks.pages.page import Cell, bullets, number, page, paragraph, plain, section
from benchmarks.pages.page import Table as Shown
from benchmarks.reproduce.report import of_codecs
from benchmarks.reproduce.table import Figures, Table

_PUBLISHED, _HERE = "published", "here"


def html_page(tables: Sequence[Table], document: Mapping[str, Any]) -> str:
    """Return the page of tables that were measured; `document` is what `--json` writes."""
    subtitle = (
        f"skybook {version('skybook')}, on {document['machine']}. Published figures beside ours, "
        "by `python -m benchmarks reproduce`. Tables sort by a click on a head."
    )
    sections = [_section(table, document[table.name]) for table in tables]
    return page("Tables of papers, measured again", subtitle, sections)


def _section(table: Table, found: Mapping[str, Any]) -> str:
    theirs = {name: figures for name, figures in table.published.items() if figures}
    ours = of_codecs(found)
    rows = [row for row in table.rows if any(row in f for f in (*theirs.values(), *ours.values()))]
    curves = _curves(ours)
    alone = {name: of for name, of in ours.items() if name not in curves}
    parts = [paragraph(f"{table.title[0].upper()}{table.title[1:]}."), *_charts(found)]
    for row in rows:
        parts += [*_bars(row, table.rows[row], theirs, alone), *_lines(row, table, curves, ours)]
    parts.append(_table(table, rows, theirs, ours).html())
    seconds = f"{found['seconds']:.0f} s" + (", quick settings" if found["quick"] else "")
    notes = [f"published: {table.source}", f"data: {found['data']}; {seconds}", *found["notes"]]
    return section(table.name, [*parts, bullets([*notes, *found["differs"]])])


def _curves(ours: Mapping[str, Figures]) -> dict[str, tuple[str, float]]:
    """Return name and number of codecs that are called `NAME/NUMBER`, of several numbers."""
    found: dict[str, tuple[str, float]] = {}
    by_name: dict[str, list[str]] = defaultdict(list)
    for codec in ours:
        name, _, last = codec.rpartition("/")
        if name and last.isdecimal():
            by_name[name].append(codec)
    for name, codecs in by_name.items():
        if len(codecs) > 1:
            found |= {codec: (name, float(codec.rpartition("/")[2])) for codec in codecs}
    return found


def _bars(
    row: str, words: str, theirs: Mapping[str, Figures], alone: Mapping[str, Figures]
) -> Iterator[str]:
    """Yield bars of one row of figures, those published as outlines."""
    bars = [
        Range(codec, value, value, where, where == _HERE, plain(value))
        for where, codecs in ((_PUBLISHED, theirs), (_HERE, alone))
        for codec, figures in codecs.items()
        if (value := figures.get(row)) is not None
    ]
    if len(bars) > 1:
        yield paragraph(f"{row}: {words}")
        yield size_bars(row, "", bars)


def _lines(
    row: str,
    table: Table,
    curves: Mapping[str, tuple[str, float]],
    ours: Mapping[str, Figures],
) -> Iterator[str]:
    """Yield curves of one row of figures against the numbers of codecs."""
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for codec, (name, at) in curves.items():
        if (value := ours[codec].get(row)) is not None:
            series[name].append((at, value))
    if len({value for curve in series.values() for _, value in curve}) > 1:
        octaves = min(at for _, at in curves.values()) > 0
        yield paragraph(f"{row} by the number of each: {table.rows[row]}")
        yield lines_svg(f"{table.name}, {row}", "", row, series, octaves)


def _charts(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield rate and distortion of the first frame of each sensor whose `points` were kept."""
    seen = set()
    for detail in found["details"]:
        if "points" in detail and detail["sensor"] not in seen:
            seen.add(detail["sensor"])
            series: dict[str, Points] = {
                codec: [(8 * length / detail["samples"], psnr) for length, psnr in points]
                for codec, points in detail["points"].items()
            }
            yield paragraph(f"{detail['sensor']}, {detail['frame']}")
            yield lines_svg(detail["sensor"], "bits a sample", "PSNR, dB", series)


def _table(
    table: Table,
    rows: Sequence[str],
    theirs: Mapping[str, Figures],
    ours: Mapping[str, Figures],
) -> Shown:
    lines = [
        [Cell(codec), *(number(figures.get(row)) for row in rows), Cell("", None, kind)]
        for kind, codecs in (("datasheet", theirs), ("measured", ours))
        for codec, figures in codecs.items()
    ]
    words = "; ".join(f"{row}: {table.rows[row]}" for row in rows)
    return Shown(table.name, f"{words}.", ("codec", *rows, "kind"), lines)
