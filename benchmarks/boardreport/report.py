"""HTML report for a hardware team: will it run, how fast, in how much memory, at what energy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from benchmarks.boardreport.boards import board_section, profiles_section
from benchmarks.boardreport.resources import resources_sections
from benchmarks.boards.profiles import Profile
from benchmarks.codecs.table import BASELINE_LABELS
from benchmarks.pages.bars import Range, range_bars
from benchmarks.pages.charts import lines_svg
from benchmarks.pages.page import (
    Cell,
    Table,
    between,
    bullets,
    number,
    page,
    paragraph,
    plain,
    section,
)
from onboard.errors import InputError

BITS = 16
RD_COMMAND = "python -m benchmarks rd"
_GROUPS = {
    "summary": "scenes of 224 pixels or more",
    "patches": "patches",
    "spyndex": "the spyndex scene, never trained on",
}

Found = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """What the commands found.

    Attributes:
        resources: results of `benchmarks resources`, one per bundle.
        rd: result of `benchmarks rd`; None without one.
        energy: result of `benchmarks energy`; None without one.
        boards: results of `skybook bench`, the C encoder on a board.
        missing: reason why there is no result, by section.
    """

    resources: Sequence[Found] = ()
    rd: Found | None = None
    energy: Found | None = None
    boards: Sequence[Found] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


def html_report(results: Results, profiles: Sequence[Profile], bundle: str) -> str:
    """Return the page.

    Args:
        results: results of the other commands.
        profiles: profiles of the boards.
        bundle: name or path of the bundle whose work is estimated on the boards.

    Raises:
        InputError: a result is not what its command writes.
    """
    try:
        sections = [
            board_section(profiles, results.resources, results.boards, bundle),
            *_energy(results),
            *(part for found in results.resources for part in resources_sections(found)),
            *_rate_distortion(results),
            profiles_section(profiles),
        ]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"results: expected what `benchmarks resources`, `rd` and `energy` write with --json, "
            f"and what `skybook bench` prints, found {type(error).__name__}: {error}"
        ) from error
    sections.append(
        bullets(f"{name}: not measured: {why}" for name, why in results.missing.items())
    )
    title = f"{bundle} on board: speed, memory, energy"
    subtitle = (
        f"skybook {version('skybook')}. Every figure says its kind and source; what nobody "
        "published or measured is absent. Tables sort by a click on a head."
    )
    return page(title, subtitle, sections)


def _energy(results: Results) -> Iterator[str]:
    if results.energy is None:
        return
    found = results.energy
    rows, bars = [], []
    for figure in found["figures"]:
        middle, low, high = (figure[k] for k in ("joules_per_mpixel", "lowest", "highest"))
        measured = figure["kind"] == "measured"
        shown = f"{plain(low)} to {plain(high)} J"
        bars.append(Range(figure["board"], low, high, figure["codec"], measured, shown))
        rows.append(
            [
                Cell(figure["board"]),
                Cell(figure["codec"]),
                number(middle),
                between(low, high),
                number(figure["above_idle"]),
                between(
                    figure["mpixel_per_watt_hour_lowest"], figure["mpixel_per_watt_hour_highest"]
                ),
                Cell("", None, figure["kind"]),
                Cell(figure["source"]),
            ]
        )
    text = (
        "Joules per megapixel of all bands. Measured: one CPU, median and range of rounds. "
        "Estimated: all cores at work, the board's published power over its roofline speed; a "
        "range, without a middle."
    )
    heads = ("board", "codec", "J/Mpixel", "lowest to highest", "above idle", "Mpixel per W h")
    table = Table("energy", "Energy of an encode.", (*heads, "kind", "source"), rows)
    notes = [*found["notes"]]
    notes += [f"{board}: no figure: {why}" for board, why in found["without_estimate"].items()]
    parts = [paragraph(text), range_bars("energy by board", "J per megapixel", bars), table.html()]
    yield section("Energy by board", [*parts, bullets(notes)])


def _rate_distortion(results: Results) -> Iterator[str]:
    if results.rd is None:
        return
    group = next((name for name in _GROUPS if results.rd[name]), None)
    if group is None:
        yield section("Rate and distortion", [paragraph("No scene was measured.")])
        return
    curves: dict[str, list[tuple[float, float]]] = {}
    rows = []
    for bundle, figures in results.rd[group].items():
        for codecs in _points(bundle, figures):
            for name, codec in codecs.items():
                point = (BITS / codec["ratio"], codec["psnr16"])
                if point in curves.setdefault(BASELINE_LABELS.get(name, name), []):
                    continue
                curves[BASELINE_LABELS.get(name, name)].append(point)
                rows.append(_rd_row(BASELINE_LABELS.get(name, name), codec))
    text = (
        f"Mean over {_GROUPS[group]}: PSNR with peak 65535 against bits per pixel per band, "
        "headers included."
    )
    chart = lines_svg(
        "rate and distortion", "bits per pixel per band", "PSNR, peak 65535 (dB)", curves
    )
    heads = ("codec", "ratio", "bits per pixel per band", "PSNR16, dB", "SSIM", "kind", "source")
    table = Table("rd", "Points of the curves.", heads, rows)
    yield section("Rate and distortion", [paragraph(text), chart, table.html()])


def _points(bundle: str, figures: Found) -> Iterator[Mapping[str, Found]]:
    """Return figures by codec at each rate; a bundle of fixed rate has one."""
    if "points" in figures:
        yield from (point["codecs"] for point in figures["points"])
    else:
        others = {name: figures[name] for name in BASELINE_LABELS if name in figures}
        yield {bundle: figures} | others


def _rd_row(label: str, codec: Found) -> list[Cell]:
    return [
        Cell(label),
        number(codec["ratio"], ".2f"),
        number(BITS / codec["ratio"], ".3f"),
        number(codec["psnr16"], ".2f"),
        number(codec["ssim"], ".4f"),
        Cell("", None, "measured"),
        Cell(RD_COMMAND),
    ]
