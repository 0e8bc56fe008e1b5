"""What each part of the flagship codec is worth: one part changed, bytes at equal PSNR16."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import exp, log
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.ablation.families import Code, families
from benchmarks.ablation.training import training_tiles
from benchmarks.ablation.variants import Tiles, Variant, linear_decoder, variants
from benchmarks.codecs.codec import Codec, round_trip
from benchmarks.codecs.skybook import BundleCodec
from benchmarks.quality.bdrate import Point, bd_rate
from benchmarks.quality.curves import RATIOS
from benchmarks.quality.figures import mean_over_places
from benchmarks.scenes import BenchmarkScene
from ground import metrics
from ground.decode.decoder import Decoder
from ground.scene import Scene, raw_bytes
from onboard.bundle import Bundle, find, known, load
from onboard.codec.lapped.codec import LappedCodec
from onboard.encoder import Encoder, Options
from onboard.errors import LimitError, UsageError

GROUPS = ("summary", "patches", "spyndex")
REFERENCE, SHIPPED, REFINED = "full", "shipped", "refined"
REFINED_LABEL = "refinement network (against shipped)"
FIGURES = ("ratio", "psnr16", "our_psnr16", "bytes_at_equal_psnr16")
_COARSER, _MOST_STEPS = 1.4, 20


def stream_of(encoder: Encoder, scene: Scene, budget: int, trellis: bool = False) -> bytes:
    """Return the stream of a scene within a budget, in the tiles that all variants have."""
    options = Options(budget=budget, trellis=trellis)
    header = replace(scene.header(), tile=encoder.bundle.tile)
    return b"".join(encoder.encode(scene.image, header, options))


@dataclass
class Ablation:
    """Curves of all variants on all scenes.

    Attributes:
        path: path of the bundle.
        scenes: scenes to be measured.
        report: function called with what is being done.
        labels: what each variant changes, in words.
        curves: points of each curve, by variant and name of the scene.
    """

    path: Path
    scenes: Sequence[BenchmarkScene]
    report: Callable[[str], None] = lambda _text: None
    labels: dict[str, str] = field(default_factory=dict)
    curves: dict[str, dict[str, list[Point]]] = field(default_factory=dict)

    def measure(self, training: Sequence[Tiles]) -> None:
        """Measure every variant, its tables fitted to training tiles."""
        full = load(str(self.path))
        for name, variant in variants(LappedCodec.of(full.codec).model, training):
            self._measure(name, variant.label, partial(self._code, full, variant))
            if name == REFERENCE:
                self.report("quantizer families: training")
                for family in families(variant.coder, full.tile, training):
                    self._measure(*family)
        self._measure(REFINED, REFINED_LABEL, self.refined())

    def refined(self) -> Callable[[Scene], Code]:
        """Return what codes a scene by the bundle as shipped, decoder and all."""
        codec = BundleCodec.open(str(self.path))
        return lambda scene: partial(round_trip, codec, scene)

    def _measure(self, name: str, label: str, code_of: Callable[[Scene], Code]) -> None:
        self.labels[name] = label
        self.curves[name] = {}
        for item in self.scenes:
            self.report(f"{label}: {item.name}")
            self.curves[name][item.name] = list(_points(item.scene.image, code_of(item.scene)))

    def _code(self, full: Bundle, variant: Variant, scene: Scene) -> Code:
        """Code real streams of a variant and decode them linearly."""
        image, extra = scene.image, variant.scene_bytes
        codecs: dict[int, tuple[Encoder, Decoder]] = {}

        def code(budget: int) -> tuple[int, NDArray[Any]]:
            found = []
            for coder in variant.coders(image, budget):
                if id(coder) not in codecs:
                    bundle = variant.bundle(full, coder, image)
                    codecs[id(coder)] = Encoder(bundle), linear_decoder(self.path, bundle)
                encoder, decoder = codecs[id(coder)]
                stream = stream_of(encoder, scene, budget - extra, variant.trellis)
                found.append((len(stream) + extra, decoder.decode(stream).scene.image))
            return max(found, key=lambda coded: _psnr(image, coded[1]))

        return code

    def bd_rates(self) -> dict[str, dict[str, float | None]]:
        """Return percent of bytes at equal PSNR16 by variant and group; positive is worse."""
        return {name: {g: self._bd_rate(name, g) for g in self.groups} for name in self.curves}

    def _bd_rate(self, name: str, group: str) -> float | None:
        base = self.curves[SHIPPED if name == REFINED else REFERENCE]
        ours = self.curves[name]
        return mean_over_places(
            (item.place, bd_rate(ours[item.name], base[item.name]))
            for item in self.scenes
            if item.group == group
        )

    @property
    def groups(self) -> list[str]:
        """Groups that have a scene."""
        return [group for group in GROUPS if any(item.group == group for item in self.scenes)]


def _points(image: NDArray[Any], code: Code) -> Iterator[Point]:
    """Yield bytes and PSNR16 at each of `RATIOS` that can be had."""
    for ratio in RATIOS:
        try:
            length, decoded = code(int(raw_bytes(image) / ratio))
        except LimitError:
            continue
        yield length, _psnr(image, decoded)


def _psnr(image: NDArray[Any], decoded: NDArray[Any]) -> float:
    return metrics.psnr(image, decoded, metrics.PEAK_16_BIT)


def fixed_rivals(bands: int) -> list[str]:
    """Return the known bundles of so many bands that have one rate."""
    bundles = {name: load(name) for name in sorted(known())}
    return [n for n, b in bundles.items() if not b.variable_rate and b.bands == bands]


def compare_fixed(name: str, ours: Code, item: BenchmarkScene, rival: Codec) -> dict[str, Any]:
    """Compare a bundle of one rate with ours at its bytes, and the bytes at its PSNR16.

    Returns:
        `ratio`, `psnr16`, `our_psnr16` at equal bytes, and `bytes_at_equal_psnr16`, percent of
        its own, or None if ours cannot be made that bad.
    """
    image = item.scene.image
    length, decoded = round_trip(rival, item.scene)
    wanted = _psnr(image, decoded)
    found: dict[str, Any] = {"bundle": name, "scene": item.name, "place": item.place}
    found |= {"group": item.group, "ratio": raw_bytes(image) / length, "psnr16": wanted}
    points = [_point(image, ours, length)]
    found["our_psnr16"] = points[0][1]
    factor = _COARSER if points[0][1] < wanted else 1 / _COARSER
    try:
        while (points[-1][1] - wanted) * (points[0][1] - wanted) > 0:
            if len(points) > _MOST_STEPS:
                return found | {"bytes_at_equal_psnr16": None}
            points.append(_point(image, ours, int(length * factor ** len(points))))
    except LimitError:
        return found | {"bytes_at_equal_psnr16": None}
    if len(points) == 1:
        return found | {"bytes_at_equal_psnr16": 100.0}
    (one, one_psnr), (other, other_psnr) = points[-2:]
    share = (wanted - one_psnr) / (other_psnr - one_psnr)
    needed = exp(log(one) + share * log(other / one))
    return found | {"bytes_at_equal_psnr16": 100 * needed / length}


def _point(image: NDArray[Any], code: Code, budget: int) -> Point:
    length, decoded = code(budget)
    return length, _psnr(image, decoded)


def run_ablation(
    name: str,
    scenes: Callable[[int], Iterator[BenchmarkScene]],
    train: Path | None,
    report: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Measure what each part of a bundle is worth, and the bundles of one rate beside it.

    Args:
        name: name or path of the bundle.
        scenes: function that gives the scenes of a number of bands.
        train: folder of scenes that tables are fitted to; None takes what needs no download.
        report: function called with what is being done.

    Returns:
        `bd_rate`: percent by variant and group, see `Ablation.bd_rates`; `labels`; `fixed`: means
        by bundle and group; `rows` of these by scene; `curves`; what was measured on.

    Raises:
        InputError: no scene to fit to.
        UsageError: a bundle that is not of variable rate, or no scene to measure.
    """
    path = find(name)
    full = load(name)
    if not full.variable_rate:
        raise UsageError(f"ablation: expected a bundle of variable rate, found {full.name}")
    training = training_tiles(train, full.bands, full.tile)
    found = Ablation(path, list(scenes(full.bands)), report)
    if not found.scenes:
        raise UsageError(f"ablation: expected a scene of {full.bands} bands, found none")
    found.measure(training)
    rows = _fixed_rows(found, full)
    return {
        "bundle": full.name,
        "training_tiles": sum(map(len, training)),
        "training_scenes": len(training),
        "scenes": {g: sum(item.group == g for item in found.scenes) for g in found.groups},
        "labels": found.labels,
        "bd_rate": found.bd_rates(),
        "fixed": {
            rival: {group: _mean_row(rows, rival, group) for group in found.groups}
            for rival in dict.fromkeys(row["bundle"] for row in rows)
        },
        "rows": rows,
        "curves": found.curves,
    }


def _fixed_rows(found: Ablation, full: Bundle) -> list[dict[str, Any]]:
    rows = []
    refined = found.refined()
    for rival in fixed_rivals(full.bands):
        codec = BundleCodec.open(rival)
        for item in found.scenes:
            found.report(f"{rival}: {item.name}")
            rows.append(compare_fixed(rival, refined(item.scene), item, codec))
    return rows


def _mean_row(rows: Sequence[Mapping[str, Any]], rival: str, group: str) -> dict[str, float | None]:
    chosen = [row for row in rows if row["bundle"] == rival and row["group"] == group]
    return {key: mean_over_places((row["place"], row[key]) for row in chosen) for key in FIGURES}
