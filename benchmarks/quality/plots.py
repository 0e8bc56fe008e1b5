"""Rate-distortion plots of a measured document: one per scene, one of each group's means."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.codecs.table import BASELINE_LABELS, BASELINES

Series = dict[str, set[tuple[float, float]]]
"""Points (bits per pixel per band, PSNR16 in dB) of each codec."""


def write_plots(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots as PNG files; return their paths.

    Args:
        document: result of `rate_distortion`.
        folder: folder to write to, made where it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for scene, series in _scene_series(document["rows"]).items():
        path = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', scene)}.png"
        written.append(_plot(path, scene, series))
    for group in ("summary", "patches", "spyndex"):
        if document[group]:
            path = folder / f"mean-{group}.png"
            scenes = max(figures["scenes"] for figures in document[group].values())
            title = f"mean of {group}, {scenes} scenes"
            written.append(_plot(path, title, _mean_series(document[group])))
    return written


def _scene_series(rows: Iterable[Mapping[str, Any]]) -> dict[str, Series]:
    """Gather the points of every codec on each scene from the rows of all bundles."""
    scenes: dict[str, Series] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        for point in row.get("points", [row]):
            _add(scenes[row["scene"]], point["codecs"])
    return scenes


def _mean_series(summaries: Mapping[str, Mapping[str, Any]]) -> Series:
    """Gather the points of every codec from the summaries of all bundles of a group."""
    series: Series = defaultdict(set)
    for bundle, summary in summaries.items():
        shown = {bundle: summary, **{name: summary[name] for name in BASELINES}}
        for point in summary.get("points", [{"codecs": shown}]):
            codecs = point["codecs"]
            _add(series, {name: codecs[name] for name in (bundle, *BASELINES)})
    return series


def _add(series: Series, codecs: Mapping[str, Mapping[str, Any]]) -> None:
    for name, figures in codecs.items():
        series[name].add((figures["raw_bits"] / figures["ratio"], figures["psnr16"]))


def _plot(path: Path, title: str, series: Series) -> Path:
    """Draw every point of every codec, baselines dashed, ours in full."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import)

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.add_subplot()
    for name, points in sorted(series.items(), key=lambda entry: entry[0] in BASELINES):
        rates, psnrs = zip(*sorted(points), strict=True)
        style, label = "--" if name in BASELINES else "-", BASELINE_LABELS.get(name, name)
        axes.plot(rates, psnrs, style, marker="o", markersize=4, label=label)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda bits, _: f"{bits:g}")
    axes.set_xlabel("bits per pixel per band")
    axes.set_ylabel("PSNR, peak 65535 (dB)")
    axes.set_title(title)
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path)
    return path
