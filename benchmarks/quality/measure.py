"""Rate and distortion: our bundles and classical codecs on the same scenes at equal bytes."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.codecs.codec import NamedCodec
from benchmarks.codecs.learned.model import MIXTURE, WEIGHTS, load
from benchmarks.codecs.skybook import bundle_codecs
from benchmarks.codecs.table import BASELINES, BASELINES_LEFT_OUT
from benchmarks.quality.curves import curve_summary, measure_curve, own_figures
from benchmarks.quality.figures import BaselineCache, mean_figures, mean_over_places
from benchmarks.scenes import BenchmarkScene


def codecs_of(name: str) -> Sequence[NamedCodec]:
    """Return what is measured of a bundle, or of the weights of a learned codec.

    Raises:
        SkybookError: there is none of that name, or it cannot run here.
    """
    if name == MIXTURE or name.endswith(WEIGHTS.suffix):
        return [load(WEIGHTS if name == MIXTURE else Path(name)).codec()]
    return bundle_codecs(name)


def measure_scene(
    codec: NamedCodec, item: BenchmarkScene, cache: BaselineCache | None = None
) -> dict[str, Any]:
    """Return one row: our figures, and those of each baseline at no more than our bytes.

    A codec of variable rate adds its curve, see `measure_curve`.
    """
    cache = cache or BaselineCache()
    image = item.scene.image
    row: dict[str, Any] = {"scene": item.name, "place": item.place, "group": item.group}
    row["shape"] = list(image.shape)
    if codec.variable_rate:
        return row | measure_curve(codec, item, cache)
    ours = own_figures(codec, item.scene)
    return row | {"codecs": {codec.name: ours, **cache.figures(image, ours["bytes"])}}


def summarise(rows: Iterable[dict[str, Any]], bundle: str) -> dict[str, Any]:
    """Average rows per place, then over places; baselines beside the bundle.

    Returns:
        The bundle's means on top level, `<baseline>` objects below, `psnr_gain_vs_<baseline>` in
        dB, `scenes` and `places`; the means of curves where the rows have them.
    """
    rows = list(rows)
    means = {
        name: mean_figures([(row["place"], row["codecs"][name]) for row in rows])
        for name in (bundle, *BASELINES)
    }
    summary: dict[str, Any] = dict(means[bundle])
    seams = ((str(i), row["codecs"][bundle].get("seam_ratio")) for i, row in enumerate(rows))
    summary["seam_ratio"] = mean_over_places(seams)
    for name in BASELINES:
        summary[name] = means[name]
        for key in ("psnr16", "ssim"):
            ours, other = means[bundle][key], means[name][key]
            gain = None if ours is None or other is None else ours - other
            summary[f"{key.removesuffix('16')}_gain_vs_{name}"] = gain
    summary["places"] = len({row["place"] for row in rows})
    summary["scenes"] = len(rows)
    if any("points" in row for row in rows):
        summary |= curve_summary(rows, bundle)
    return summary


def rate_distortion(
    bundles: Iterable[str],
    scenes: Callable[[int], Iterable[BenchmarkScene]],
    report: Callable[[str, str], None] = lambda _bundle, _scene: None,
    open_codecs: Callable[[str], Sequence[NamedCodec]] = codecs_of,
) -> dict[str, Any]:
    """Measure each bundle on each scene.

    Args:
        bundles: names or paths of the bundles, or of weights of learned codecs.
        scenes: function that gives the scenes of a number of bands.
        report: function called with bundle and scene before each is measured.
        open_codecs: function that opens the codecs of a name.

    Returns:
        `rows`, and `summary`, `patches`, `spyndex`, each by bundle; `left_out`: the baselines that
        cannot run here, with the reason.
    """
    groups = ("summary", "patches", "spyndex")
    document: dict[str, Any] = {"rows": [], **{group: {} for group in groups}}
    document["left_out"] = dict(BASELINES_LEFT_OUT)
    cache = BaselineCache()
    for codec in (codec for name in bundles for codec in open_codecs(name)):
        rows = []
        for item in scenes(codec.bands):
            report(codec.name, item.name)
            rows.append({"bundle": codec.name, **measure_scene(codec, item, cache)})
        document["rows"] += rows
        for group in groups:
            if chosen := [row for row in rows if row["group"] == group]:
                document[group][codec.name] = summarise(chosen, codec.name)
    return document
