"""Rate-distortion curves: a bundle of variable rate and the baselines at the same budgets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.codecs.codec import NamedCodec, round_trip
from benchmarks.codecs.table import BASELINES, BETTER_KLT, KLTS
from benchmarks.quality.bdrate import Point, bd_psnr, bd_rate
from benchmarks.quality.figures import BaselineCache, figures, mean_figures, mean_over_places
from benchmarks.scenes import BenchmarkScene
from ground import metrics
from ground.scene import Scene
from onboard.errors import LimitError, SkybookError

RATIOS = (8, 10, 12.8, 16, 20.48, 25.6, 32, 40)
SHOWN = 20.48
"""The compression ratio that a curve is quoted at where one point stands for it."""


def own_figures(codec: NamedCodec, scene: Scene, budget: int | None = None) -> dict[str, Any]:
    """Encode and decode a scene; return the figures, `seam_ratio` (or None) among them.

    Raises:
        SkybookError: the stream is longer than the budget.
    """
    length, decoded = round_trip(codec, scene, budget)
    if budget is not None and length > budget:
        raise SkybookError(f"{codec.name}: expected at most {budget} bytes, found {length}")
    seam_ratio = metrics.seam_ratio(scene.image, decoded, codec.tile_of(scene))
    found = figures(scene.image, decoded, length)
    return found | {"seam_ratio": None if np.isnan(seam_ratio) else seam_ratio}


def measure_curve(codec: NamedCodec, item: BenchmarkScene, cache: BaselineCache) -> dict[str, Any]:
    """Return what a row says of a scene at all of `RATIOS`.

    Returns:
        `codecs`: figures at `SHOWN`; `points`; `left_out`: ratios that a codec cannot reach on
        this scene, with the reason; and the deltas, see `deltas`.

    Raises:
        LimitError: a codec cannot reach `SHOWN`.
    """
    scene = item.scene
    points: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    for ratio in RATIOS:
        budget = int(scene.raw_bytes / ratio)
        try:
            codecs = {codec.name: own_figures(codec, scene, budget)}
            codecs |= cache.figures(scene.image, budget)
        except LimitError as error:
            if ratio == SHOWN:
                raise
            left_out.append({"ratio": ratio, "reason": str(error)})
            continue
        points.append({"ratio": ratio, "budget": budget, "codecs": codecs})
    shown = next(point["codecs"] for point in points if point["ratio"] == SHOWN)
    row = {"codecs": shown, "points": points, "left_out": left_out}
    return row | deltas(points, codec.name)


def deltas(points: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Return `bd_rate_vs_*` in percent, `bd_psnr_vs_*` in dB and `better_klt` of a scene."""
    curves: dict[str, list[Point]] = {
        codec: [(p["codecs"][codec]["bytes"], p["codecs"][codec]["psnr16"]) for p in points]
        for codec in (name, *BASELINES)
    }
    ours = curves[name]
    rates = {other: bd_rate(ours, curves[other]) for other in BASELINES}
    gains = {other: bd_psnr(ours, curves[other]) for other in BASELINES}
    known_rates = {klt: rate for klt in KLTS if (rate := rates[klt]) is not None}
    known_gains = [gain for klt in KLTS if (gain := gains[klt]) is not None]
    mean_psnr = {klt: float(np.mean([psnr for _, psnr in curves[klt]])) for klt in KLTS}
    better = max(known_rates or mean_psnr, key=lambda klt: (known_rates or mean_psnr)[klt])
    rates[BETTER_KLT] = known_rates.get(better)
    gains[BETTER_KLT] = min(known_gains, default=None)
    return {
        "better_klt": better,
        **{f"bd_rate_vs_{other}": rate for other, rate in rates.items()},
        **{f"bd_psnr_vs_{other}": gain for other, gain in gains.items()},
    }


def curve_summary(rows: Sequence[Mapping[str, Any]], bundle: str) -> dict[str, Any]:
    """Average the curves of scenes, per place, then over places.

    Returns:
        `bd_rate_vs_*`, `bd_psnr_vs_*`, `psnr_gain_vs_jp2_at_cr20`, `worst_scene_bd_rate_vs_jp2_klt`
        and `points`: means of each codec at each ratio.
    """
    summary: dict[str, Any] = {}
    for other in (*BASELINES, BETTER_KLT):
        for key in (f"bd_rate_vs_{other}", f"bd_psnr_vs_{other}"):
            summary[key] = mean_over_places((row["place"], row[key]) for row in rows)
    gains = ((r["place"], _gain(r["codecs"][bundle], r["codecs"]["jp2"])) for r in rows)
    summary["psnr_gain_vs_jp2_at_cr20"] = mean_over_places(gains)
    key = f"bd_rate_vs_{BETTER_KLT}"
    known = [row for row in rows if row[key] is not None]
    worst = max(known, key=lambda row: float(row[key]), default=None)
    summary[f"worst_scene_{key}"] = worst and {"scene": worst["scene"], "bd_rate": worst[key]}
    summary["points"] = [point for ratio in RATIOS if (point := _mean_point(rows, ratio, bundle))]
    return summary


def _gain(ours: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    return float(ours["psnr16"] - other["psnr16"])


def _mean_point(
    rows: Sequence[Mapping[str, Any]], ratio: float, bundle: str
) -> dict[str, Any] | None:
    """Return the means of each codec at a ratio over the scenes that reach it."""
    found = [(row, p["codecs"]) for row in rows for p in row["points"] if p["ratio"] == ratio]
    if not found:
        return None
    codecs = {
        name: mean_figures([(row["place"], point[name]) for row, point in found])
        for name in (bundle, *BASELINES)
    }
    better = [(row["place"], point[row["better_klt"]]) for row, point in found]
    codecs[BETTER_KLT] = mean_figures(better)
    return {"ratio": ratio, "scenes": len(found), "codecs": codecs}
