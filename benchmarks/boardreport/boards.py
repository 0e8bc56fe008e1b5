"""Sections of the HTML report about boards: speed and latency from the roofline, and profiles."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.boards.profiles import Profile
from benchmarks.boards.roofline import IMPLEMENTATIONS, Estimate, estimate
from benchmarks.boards.workload import workload_of
from benchmarks.pages.bars import Range, range_bars
from benchmarks.pages.page import (
    UNKNOWN,
    Cell,
    Table,
    between,
    bullets,
    paragraph,
    plain,
    section,
)
from onboard.bundle import load
from onboard.errors import BundleError

HERE = "this machine"
LINES, WIDTH = 64, 2_048
STRIP_MPIXEL = LINES * WIDTH / 1e6
_MODEL = "roofline model, see `python -m benchmarks roofline`"
_ENCODER = {"numpy": "Python on numpy", "c": "C99"}

Found = Mapping[str, Any]


@dataclass(frozen=True)
class Speed:
    """How fast a board encodes with one core, in Mpixel/s.

    Attributes:
        board: name of the board.
        encoder: encoder that runs on it.
        fits: whether memory holds the encoder, in words.
        low: lowest speed; None where there is no estimate.
        high: highest speed; None where there is no estimate.
        all_cores: lowest and highest speed with all cores; None where there is no estimate.
        note: what bounds the speed, or what is missing.
        kind: `measured` or `estimated`.
        source: source of the figures.
    """

    board: str
    encoder: str
    fits: str
    low: float | None
    high: float | None
    all_cores: tuple[float, float] | None
    note: str
    kind: str
    source: str


def board_section(
    profiles: Sequence[Profile], resources: Sequence[Found], boards: Sequence[Found], bundle: str
) -> str:
    """Return speed and latency of each board beside what was measured here and on others."""
    title = "Latency and speed by board"
    speeds = [*_measured(resources), *_on_boards(boards)]
    try:
        workload = workload_of(load(bundle))
    except BundleError as error:
        return section(title, [paragraph(f"No estimates: {error}."), _table(speeds).html()])
    ram = {name: need for doc in resources for name, need in _needs(doc).items()}
    for profile in profiles:
        for name, made in IMPLEMENTATIONS.items():
            speeds.append(_estimated(profile, estimate(profile, workload, made), ram.get(name)))
    text = (
        f"Time to encode a row of tiles, {LINES} lines of {WIDTH} columns and all bands, on one "
        "core, whole chain. Outlined bars are estimated ranges of a roofline model, full bars "
        "measured here or on a board. Boards whose memory does not hold an encoder are left out of "
        "the plot."
    )
    chart = range_bars("latency by board", "ms per row of tiles, one core", list(_bars(speeds)))
    return section(title, [paragraph(text), chart, _table(speeds).html()])


def _needs(found: Found) -> dict[str, float]:
    """Return the bytes that each encoder was measured to need: its arena, or else its peak."""
    return {
        name: runtime["arena_bytes"] or runtime["peak_rss_mb"] * 2**20
        for name, runtime in found["runtimes"].items()
        if "peak_rss_mb" in runtime
    }


def _measured(resources: Sequence[Found]) -> Iterator[Speed]:
    for found in resources:
        for name, runtime in found["runtimes"].items():
            if "reason" in runtime:
                continue
            cores = runtime.get("all_cores")
            yield Speed(
                HERE,
                f"{found['bundle']}, {name}",
                "yes",
                runtime["lowest"],
                runtime["highest"],
                (cores["lowest"], cores["highest"]) if cores else None,
                f"median {runtime['mpixel_per_s']:.2f} Mpixel/s",
                found["kind"],
                found["source"],
            )


def _on_boards(boards: Sequence[Found]) -> Iterator[Speed]:
    """Yield what the C encoder did on boards: plain, along a trellis, and lossless if it can."""
    for found in boards:
        for how in ("plain", "trellis", *(("lossless",) if "lossless" in found else ())):
            speed, stack = found[how], found["peak_stack_bytes"]
            note = f"median {speed['mpixel_per_s']:.2f} Mpixel/s, {found['state_bytes']:,} B state"
            if stack is not None:
                note += f", {stack:,} B stack"
            if speed["cycles_per_pixel"] is not None:
                note += f", {speed['cycles_per_pixel']:,.0f} cycles a pixel ({found['cycles']})"
            yield Speed(
                f"{found.get('host', 'board')} ({found.get('machine', 'no system')})",
                f"{found['bundle']}, C99 {how}",
                "yes",
                speed["lowest"],
                speed["highest"],
                None,
                note,
                "measured",
                f"`skybook bench`, compiler {found.get('compiler', 'not told')}",
            )


def _estimated(profile: Profile, found: Estimate, need: float | None) -> Speed:
    """Return an estimate; whether the board's memory holds what was measured here."""
    one, every = found.one_core, found.all_cores
    note = f"bound: {found.bound}" if found.bound else ""
    if found.missing:
        note += f"{'; ' if note else ''}not known: {', '.join(found.missing)}"
    return Speed(
        profile.name,
        _ENCODER[found.implementation],
        _fits(profile, need),
        one.low if one else None,
        one.high if one else None,
        (every.low, every.high) if every else None,
        note,
        "estimated",
        _MODEL,
    )


def _fits(profile: Profile, need: float | None) -> str:
    have = profile.base("ram")
    if need is None:
        return "need not measured"
    if have is None:
        return "not known"
    shown = f"{plain(need / 2**20)} of {plain(have / 2**20)} MiB"
    return f"yes: {shown}" if need <= have else f"no: {shown}"


def _bars(speeds: Iterable[Speed]) -> Iterator[Range]:
    for speed in speeds:
        if speed.low is None or speed.high is None or speed.fits.startswith("no:"):
            continue
        low, high = 1e3 * STRIP_MPIXEL / speed.high, 1e3 * STRIP_MPIXEL / speed.low
        measured = speed.kind == "measured"
        yield Range(
            speed.encoder if measured else speed.board,
            low,
            high,
            speed.board if measured else speed.encoder,
            measured,
            f"{plain(low)} to {plain(high)} ms",
        )


def _table(speeds: Iterable[Speed]) -> Table:
    rows = []
    for speed in speeds:
        low, high = speed.low, speed.high
        slow = 1e3 * STRIP_MPIXEL / low if low else None
        fast = 1e3 * STRIP_MPIXEL / high if high else None
        known = low is not None
        rows.append(
            [
                Cell(speed.board),
                Cell(speed.encoder),
                between(fast, slow),
                between(low, high),
                between(*(speed.all_cores or (None, None))),
                Cell(speed.fits),
                Cell(speed.note),
                Cell("", None, speed.kind) if known else Cell(UNKNOWN),
                Cell(speed.source),
            ]
        )
    heads = ["board", "encoder", "ms per row of tiles", "Mpixel/s, one core"]
    heads += ["Mpixel/s, all cores", "memory holds it", "bound, or what is missing"]
    heads += ["kind", "source"]
    return Table("boards", "Lowest to highest; sort by a click on a head.", heads, rows)


def profiles_section(profiles: Sequence[Profile]) -> str:
    """Return every figure of every board with kind, source and date."""
    rows = [
        [
            Cell(profile.name),
            Cell(name.replace("_", " ")),
            Cell(str(figure), figure.base),
            Cell("", None, figure.kind),
            Cell(figure.date.isoformat()),
            Cell(figure.source),
        ]
        for profile in profiles
        for name, figure in profile.figures.items()
    ]
    rows += [
        [
            Cell(profile.name),
            Cell("runtime"),
            Cell(runtime.name),
            Cell("", None, runtime.kind),
            Cell(runtime.date.isoformat()),
            Cell(runtime.source),
        ]
        for profile in profiles
        for runtime in profile.runtimes
    ]
    heads = ("board", "figure", "value", "kind", "date", "source")
    caption = "What is not in the table was not found in a source, and is not assumed."
    parts = bullets(
        f"{p.name}: {p.processor}{f', {p.accelerator}' if p.accelerator else ''}" for p in profiles
    )
    table = Table("figures", caption, heads, rows)
    return section("Boards: figures and sources", [parts, table.html()])
