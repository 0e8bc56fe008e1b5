"""Sections of the HTML report on what was measured: runtimes, stages, memory, other codecs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.codecs.table import TIMED_LABELS
from benchmarks.pages.bars import Range, share_bars, size_bars
from benchmarks.pages.page import Cell, Table, number, paragraph, section, spread
from benchmarks.resources.stages import LABELS as STAGES

Found = Mapping[str, Any]


def resources_sections(found: Found) -> Iterator[str]:
    """Return the sections of one result of `benchmarks resources`."""
    runtimes = {n: r for n, r in found["runtimes"].items() if "reason" not in r}
    bundle = found["bundle"]
    yield section(f"Runtimes: {bundle}", [_setting(found), *_runtimes(found), *_left_out(found)])
    shares = {
        name: {STAGES[stage]: part["share"] for stage, part in runtime["stages"].items()}
        for name, runtime in runtimes.items()
        if "stages" in runtime
    }
    text = (
        "Where the time of an encode goes, space packets included: shares of the whole, median of "
        "runs on one core. Measured by wrapping the functions of the onboard chain."
    )
    parts = [paragraph(text), share_bars(f"stages of {bundle}", shares), *_stages(found, runtimes)]
    yield section(f"Stages: {bundle}", parts)
    yield section(f"Memory: {bundle}", _memory(found, runtimes))
    yield section(f"Beside other codecs: {bundle}", _codecs(found))


def _setting(found: Found) -> str:
    bands, rows, cols = found["shape"]
    return paragraph(
        f"spyndex scene mirrored to {bands} x {rows} x {cols} uint16, {found['raw_bytes']:,} bytes "
        f"raw; ratio {found['encode_ratio']:.2f}; one CPU and one thread, median of "
        f"{found['runs']} interleaved runs; {found['encoder_mac_per_pixel']:,} MAC per pixel. "
        f"{found['machine']}."
    )


def _origin(found: Found) -> list[Cell]:
    return [Cell("", None, found["kind"]), Cell(found["source"])]


def _left_out(found: Found) -> Iterator[str]:
    for name, runtime in found["runtimes"].items():
        for key in ("reason", "tile_reason"):
            if key in runtime:
                what = "not measured" if key == "reason" else "no tile alone, no stages"
                yield paragraph(f"{name}: {what}: {runtime[key]}.")


def _runtimes(found: Found) -> Iterator[str]:
    rows = []
    for name, runtime in found["runtimes"].items():
        if "reason" in runtime:
            continue
        tile, start = runtime.get("tile_ms") or {}, runtime.get("start_up_s") or {}
        cores, over = runtime.get("all_cores") or {}, runtime["speed_over_openjpeg"]
        rows.append(
            [
                Cell(name),
                Cell(runtime.get("version") or "-"),
                spread(runtime["mpixel_per_s"], runtime["lowest"], runtime["highest"]),
                number(runtime["msample_per_s"]),
                spread(over["median"], over["lowest"], over["highest"]),
                number(cores.get("mpixel_per_s")),
                number(tile.get("median")),
                number(tile.get("p99")),
                number(start.get("median")),
                *_origin(found),
            ]
        )
    heads = ["runtime", "version", "Mpixel/s, one core", "Msample/s", "times OpenJPEG"]
    heads += ["Mpixel/s, all cores", "tile alone, ms", "p99, ms", "start-up, s", "kind", "source"]
    caption = (
        "Median (lowest to highest). A tile alone is coded at a known step, without rate search; "
        "start-up is a fresh process until it can encode."
    )
    yield Table(f"runtimes-{found['bundle']}", caption, heads, rows).html()


def _stages(found: Found, runtimes: Mapping[str, Found]) -> Iterator[str]:
    names = [name for name, runtime in runtimes.items() if "stages" in runtime]
    rows = []
    for stage, label in STAGES.items():
        parts = [runtimes[name]["stages"][stage] for name in names]
        shown = [
            Cell(f"{1e3 * part['seconds']:.1f} ({part['share']:.1%})", part["seconds"])
            for part in parts
        ]
        rows.append([Cell(label), *shown, *_origin(found)])
    heads = ["stage", *(f"{name}, ms" for name in names), "kind", "source"]
    caption = "Of the whole image, median of runs; stages add up."
    yield Table(f"stages-{found['bundle']}", caption, heads, rows).html()


def _memory(found: Found, runtimes: Mapping[str, Found]) -> Iterator[str]:
    strip = " x ".join(map(str, found["strip_shape"]))
    yield paragraph(
        f"Encoding {strip} uint16 in a fresh process: peak resident memory, and what of it is "
        "above an interpreter that does nothing. Weights and tables are bytes of the bundle that "
        "the runtime uses; of C its code with all tables. Arenas are told where a runtime tells "
        "them; of C all static memory."
    )
    rows, bars = [], []
    for name, runtime in runtimes.items():
        if "peak_over_idle_mb" not in runtime:
            continue
        arena, over = runtime["arena_bytes"], runtime["rss_over_loaded_mb"]
        rows.append(
            [
                Cell(name),
                number(runtime["peak_rss_mb"], ".1f"),
                number(runtime["idle_rss_mb"], ".1f"),
                number(runtime["peak_over_idle_mb"], ".1f"),
                number(over, ".1f"),
                number(runtime["weight_bytes"], ",.0f"),
                number(runtime["table_bytes"], ",.0f"),
                Cell(runtime["arena_reason"]) if arena is None else number(arena, ",.0f"),
                *_origin(found),
            ]
        )
        for label, mib in (
            ("peak over idle", runtime["peak_over_idle_mb"]),
            ("peak over bundle, engine and image loaded", over),
        ):
            if mib is not None:
                bars.append(Range(name, mib, mib, label, True, f"{mib:.1f} MiB"))
    yield size_bars("memory by runtime", "MiB", bars)
    heads = ["runtime", "peak, MiB", "idle, MiB", "over idle, MiB", "over loaded, MiB"]
    heads += ["weights, bytes", "tables, bytes", "arena, bytes", "kind", "source"]
    state = found["encode_state_bytes"]
    shown = "-" if state is None else f"{state:,}"
    columns = found["strip_shape"][2]
    caption = f"State of an encoder for a row of tiles of {columns} columns: {shown} bytes."
    yield Table(f"memory-{found['bundle']}", caption, heads, rows).html()


def _quality(codec: Found) -> Cell:
    return Cell("lossless", 1e3) if codec["lossless"] else number(codec["psnr16"], ".2f")


def _codecs(found: Found) -> Iterator[str]:
    rows = []
    reasons: Sequence[str] = []
    for name, codec in found["codecs"].items():
        label = TIMED_LABELS.get(name, name)
        if "reason" in codec:
            reasons = [*reasons, f"{label}: not measured: {codec['reason']}."]
            continue
        over = codec["speed_over_openjpeg"]
        rows.append(
            [
                Cell(label),
                number(codec["ratio"], ".2f"),
                _quality(codec),
                number(codec["bytes"], ",.0f"),
                spread(codec["mpixel_per_s"], codec["lowest"], codec["highest"]),
                number(codec["msample_per_s"]),
                spread(over["median"], over["lowest"], over["highest"]),
                Cell("", None, found["kind"]),
                Cell(f"{codec['setting']}; {found['source']}"),
            ]
        )
    heads = ["codec", "ratio", "PSNR16, dB", "bytes", "Mpixel/s, one core", "Msample/s"]
    caption = (
        "The same array in the same run, one CPU and one thread. PSNR: peak 65535, MSE over all "
        "bands. Our row is the engine that a caller gets who names none."
    )
    heads += ["times OpenJPEG", "kind", "setting and source"]
    yield Table(f"codecs-{found['bundle']}", caption, heads, rows).html()
    yield from map(paragraph, reasons)
