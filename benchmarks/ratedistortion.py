"""Rate and distortion: our bundles and JPEG 2000 on the same scenes at equal bytes."""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines import BASELINES
from benchmarks.scenes import BenchmarkScene
from ground import metrics
from ground.decoder import Decoder
from ground.geotiff import Scene
from onboard.bundle import find, load
from onboard.encoder import Encoder

METRICS = ("psnr16", "psnr10k", "rmse", "ssim", "spectral_angle_deg")


def figures(original: NDArray[Any], decoded: NDArray[Any], length: int) -> dict[str, Any]:
    """Return quality, bytes and ratio (raw: bands x rows x cols x 2 bytes)."""
    quality = asdict(metrics.measure(original, decoded))
    histogram = quality.pop("histogram_distance")
    raw = 2 * original.size
    return {
        **quality,
        "histogram_distance": list(histogram),
        "bytes": length,
        "ratio": raw / length,
    }


class Codec:
    """A bundle with its encoder and decoder."""

    def __init__(self, name: str) -> None:
        self.encoder = Encoder(load(name))
        self.decoder = Decoder(find(name))
        self.name = self.encoder.bundle.name

    def code(self, scene: Scene) -> tuple[int, NDArray[Any]]:
        """Encode and decode; return the bytes on disk and the decoded image."""
        with tempfile.TemporaryFile() as stream:
            for segment in self.encoder.encode(scene.image, scene.header()):
                stream.write(segment)
            length = stream.tell()
            stream.seek(0)
            return length, self.decoder.decode(stream.read()).scene.image


def measure_scene(codec: Codec, item: BenchmarkScene) -> dict[str, Any]:
    """Return one row: our figures, and those of each baseline at no more than our bytes."""
    image = item.scene.image
    length, decoded = codec.code(item.scene)
    row: dict[str, Any] = {"scene": item.name, "place": item.place, "group": item.group}
    row["shape"] = list(image.shape)
    row["codecs"] = {codec.name: figures(image, decoded, length)}
    tile = codec.encoder.bundle.tile
    seam_ratio = metrics.seam_ratio(image, decoded, tile)
    row["codecs"][codec.name]["seam_ratio"] = None if np.isnan(seam_ratio) else seam_ratio
    for name, code in BASELINES.items():
        spent, back = code(image.astype(np.uint16), length)
        row["codecs"][name] = figures(image, back, spent)
    return row


def summarise(rows: Iterable[dict[str, Any]], bundle: str) -> dict[str, Any]:
    """Average rows per place, then over places; baselines beside the bundle.

    Returns:
        The bundle's means on top level, `<baseline>` objects below, `psnr_gain_vs_<baseline>` in
        dB, `scenes` and `places`.
    """
    places: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        places[row["place"]].append(row["codecs"])
    keys = (*METRICS, "bytes", "ratio")
    means: dict[str, dict[str, float]] = {}
    for name in (bundle, *BASELINES):
        per_place = [
            {key: float(np.mean([codecs[name][key] for codecs in at])) for key in keys}
            for at in places.values()
        ]
        means[name] = {key: float(np.mean([p[key] for p in per_place])) for key in keys}
    summary: dict[str, Any] = dict(means[bundle])
    seams = [codecs[bundle].get("seam_ratio") for at in places.values() for codecs in at]
    seams = [ratio for ratio in seams if ratio is not None]
    summary["seam_ratio"] = float(np.mean(seams)) if seams else None
    for name in BASELINES:
        summary[name] = means[name]
        summary[f"psnr_gain_vs_{name}"] = means[bundle]["psnr16"] - means[name]["psnr16"]
        summary[f"ssim_gain_vs_{name}"] = means[bundle]["ssim"] - means[name]["ssim"]
    summary["places"] = len(places)
    summary["scenes"] = sum(len(at) for at in places.values())
    return summary


def rate_distortion(
    bundles: Iterable[str],
    scenes: Callable[[int], Iterable[BenchmarkScene]],
    report: Callable[[str, str], None] = lambda _bundle, _scene: None,
) -> dict[str, Any]:
    """Measure each bundle on each scene.

    Args:
        bundles: names or paths.
        scenes: gives the scenes of a number of bands.
        report: called with bundle and scene before each is measured.

    Returns:
        `rows`, and `summary`, `patches`, `spyndex`, each by bundle.
    """
    document: dict[str, Any] = {"rows": [], "summary": {}, "patches": {}, "spyndex": {}}
    for name in bundles:
        codec = Codec(name)
        rows = []
        for item in scenes(codec.encoder.bundle.bands):
            report(codec.name, item.name)
            rows.append(measure_scene(codec, item))
        document["rows"] += rows
        for group in ("summary", "patches", "spyndex"):
            if chosen := [row for row in rows if row["group"] == group]:
                document[group][codec.name] = summarise(chosen, codec.name)
    return document
