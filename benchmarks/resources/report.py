"""Results of `measure_resources` and `measure_streaming` for people: tables, and a plot."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.codecs.table import TIMED_LABELS
from benchmarks.resources.stages import LABELS as STAGE_LABELS
from benchmarks.resources.streaming import WARM
from benchmarks.resources.timing import RATIO

Found = Mapping[str, Any]


def resources_text(found: Found) -> str:
    """Return all tables. Every figure is measured here, by the command that prints it."""
    runtimes = {n: r for n, r in found["runtimes"].items() if "reason" not in r}
    blocks = [
        _head(found),
        _speeds(found),
        _processes(runtimes),
        _stages(found["bundle"], runtimes),
        _codecs(found),
        _sizes(found, runtimes),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def _head(found: Found) -> Iterable[str]:
    bands, rows, cols = found["shape"]
    rate = f"{'' if found['variable_rate'] else 'fixed '}ratio {found['encode_ratio']:.2f}"
    return [
        f"{found['bundle']} ({found['engine']}, {rate})",
        f"spyndex scene mirrored to {bands} x {rows} x {cols} uint16, {found['raw_bytes']} bytes "
        f"raw; OpenJPEG at ratio {RATIO}; median of {found['runs']} interleaved runs",
        f"{found['machine']}; all figures {found['kind']}",
    ]


def _speeds(found: Found) -> Iterable[str]:
    """Return speeds on one core and on all of them."""
    yield (
        f"{'one core, one thread':<24}{'Mpixel/s':>9}{'lowest':>9}{'highest':>9}{'Msample/s':>11}"
        f"{'over OpenJPEG':>22}{'all cores':>11}"
    )
    bands = found["shape"][0]
    for task in (task for task in found["tasks"] if task.startswith("trellis_")):
        speed, over = found["tasks"][task], found["tasks"][task]["speed_over_openjpeg"]
        between = f"{over['median']:.2f} ({over['lowest']:.2f}..{over['highest']:.2f})"
        yield _speed(f"trellis, {task.removeprefix('trellis_')}", speed, bands) + f"{between:>22}"
    for name, runtime in found["runtimes"].items():
        if "reason" in runtime:
            yield f"{f'encode, {name}':<24} {runtime['reason']}"
            continue
        over = runtime["speed_over_openjpeg"]
        between = f"{over['median']:.2f} ({over['lowest']:.2f}..{over['highest']:.2f})"
        yield _speed(f"encode, {name}", runtime, bands) + (
            f"{between:>22}{runtime['all_cores']['mpixel_per_s']:>11.2f}"
        )
    ours = {"decode": "decode, ours", "decode_trellis": "decode, trellis"}
    ours |= {"decode_fast": "decode, fast"}
    for task, label in (TIMED_LABELS | ours).items():
        if task in found["tasks"]:
            yield _speed(label.split(" (")[0], found["tasks"][task], bands)
    yield f"encode over OpenJPEG: {found['encode_speed_over_openjpeg']:.2f}"
    labels = {"c": "C", "c_trellis": "C, trellis"}
    labels |= {"engine_c": "engine c", "engine_c_trellis": "engine c, trellis"}
    for key, label in labels.items():
        for name, figure in found[key].items():
            told = f"{figure:.2f}" if name.startswith("speed") else f"{figure:.0f}"
            yield f"{label} {name.removeprefix('speed_').replace('_', ' ')}: {told}"
    for grade, own in found["decode"].items():
        over = own.get("speed_over_previous")
        yield f"decode {grade}: {own['mpixel_per_s']:.2f} Mpixel/s" + (
            f", over previous: {over:.2f}" if over else ""
        )


def _speed(label: str, speed: Found, bands: int) -> str:
    return (
        f"{label:<24}{speed['mpixel_per_s']:>9.2f}{speed['lowest']:>9.2f}{speed['highest']:>9.2f}"
        f"{bands * speed['mpixel_per_s']:>11.2f}"
    )


def _processes(runtimes: Mapping[str, Found]) -> Iterable[str]:
    """Return latency, start-up and memory of each runtime."""
    yield (
        f"{'runtime':<10}{'tile alone, ms':>15}{'p99':>8}{'start-up, s':>13}{'peak RSS, MiB':>15}"
        f"{'over idle':>11}{'weights, B':>12}{'tables, B':>11}{'arena, B':>10}"
    )
    for name, runtime in runtimes.items():
        tile, arena = runtime.get("tile_ms") or {}, runtime["arena_bytes"]
        yield (
            f"{name:<10}{_number(tile.get('median')):>15}{_number(tile.get('p99')):>8}"
            f"{runtime['start_up_s']['median']:>13.3f}{runtime['peak_rss_mb']:>15.1f}"
            f"{runtime['peak_over_idle_mb']:>11.1f}{runtime['weight_bytes']:>12}"
            f"{runtime['table_bytes']:>11}{'-' if arena is None else arena:>10}"
        )
    for name, runtime in runtimes.items():
        if runtime["arena_bytes"] is None:
            yield f"arena: {runtime['arena_reason']}"
        else:
            yield f"{name}: weights are its code and tables, the arena is all static memory"
        if "tile_reason" in runtime:
            yield f"{name}: no tile alone: {runtime['tile_reason']}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _stages(bundle: str, runtimes: Mapping[str, Found]) -> Iterable[str]:
    runtimes = {name: runtime for name, runtime in runtimes.items() if "stages" in runtime}
    yield f"{f'{bundle}: share of an encode, %':<52}" + "".join(f"{name:>9}" for name in runtimes)
    for stage, label in STAGE_LABELS.items():
        shares = [100 * runtime["stages"][stage]["share"] for runtime in runtimes.values()]
        yield f"{label:<52}" + "".join(f"{share:>9.1f}" for share in shares)


def _codecs(found: Found) -> Iterable[str]:
    yield f"{'codec':<32}{'ratio':>8}{'PSNR16, dB':>12}{'bytes':>10}  setting"
    for name, codec in found["codecs"].items():
        label = TIMED_LABELS.get(name, name)
        if "reason" in codec:
            yield f"{label:<32} {codec['reason']}"
            continue
        quality = "lossless" if codec["lossless"] else f"{codec['psnr16']:.2f}"
        yield (
            f"{label:<32}{codec['ratio']:>8.2f}{quality:>12}{codec['bytes']:>10}  "
            f"{codec['setting']}"
        )


def _sizes(found: Found, runtimes: Mapping[str, Found]) -> Iterable[str]:
    strip = " x ".join(map(str, found["strip_shape"]))
    state = found["encode_state_bytes"]
    idle = runtimes[found["engine"]]["idle_rss_mb"]
    return [
        f"encoder: {found['encoder_mac_per_pixel']} MAC/pixel, bundle {found['bundle_bytes']} "
        f"bytes, state {'-' if state is None else state} bytes at {found['strip_shape'][2]} "
        "columns",
        f"encoding {strip} ({found['engine']}): peak RSS {found['peak_rss_mb']:.1f} MiB, "
        f"{found['rss_over_loaded_mb']:.1f} MiB over bundle, engine and image loaded; an idle "
        f"interpreter takes {idle:.1f} MiB",
    ]


def streaming_text(found: Found) -> str:
    """Return what `stream` prints."""
    return (
        f"{found['lines']} lines of {found['width']} columns through a pipe: ratio "
        f"{found['ratio']:.2f}, {found['pass_mpixel_per_s']:.2f} Mpixel/s\n"
        f"memory in use {found['rss_level_mb']:.1f} MiB after {WARM} lines, "
        f"{found['rss_growth_mb']:+.1f} MiB at the end, peak {found['peak_rss_mb']:.1f} MiB\n"
        f"from a strip's last line to its last packet {found['latency_median_s']:.2f} s, at most "
        f"{found['latency_max_s']:.2f} s\n"
        f"one CPU: streamed {found['stream_mpixel_per_s']:.2f} Mpixel/s, whole scene "
        f"{found['scene_mpixel_per_s']:.2f}: {100 * found['stream_over_scene']:.0f} % side by side "
        f"({100 * found['stream_over_scene_lowest']:.0f}.."
        f"{100 * found['stream_over_scene_highest']:.0f})"
    )


def plot_streaming(found: Found, path: Path) -> None:
    """Write memory against lines as a PNG."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import)

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*found["rss_mb"], strict=True))
    axes.set(
        xlabel=f"lines of {found['width']} columns, 4 bands, u16",
        ylabel="memory in use (MiB)",
        ylim=(0, None),
        title="onboard stream: resident memory along a pass",
    )
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
