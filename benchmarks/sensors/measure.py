"""Rate and distortion of one bundle on many sensors, beside JPEG 2000 and JPEG 2000 after a KLT."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import Codec, Coded
from benchmarks.codecs.skybook import BundleCodec, bundle_codecs
from benchmarks.codecs.table import BASELINES, BETTER_KLT, KLTS
from benchmarks.quality.bdrate import bd_rate
from benchmarks.quality.figures import mean_over_places
from benchmarks.sensors.bayer import demosaic, planes_of
from benchmarks.sensors.contents import CONTENTS, PER_BAND, Content, Sample, for_rivals
from ground import metrics
from ground.scene import Scene
from ground.train.profile.trial import Trial, learn
from onboard.bundle import find
from onboard.codec.lapped.codec import WIDE_BANDS
from onboard.errors import InputError, LimitError
from onboard.image.bayer import PLANES, join

BITS = (0.4, 0.6, 0.9, 1.35, 2.0)
"""Bits a sample that rivals are coded at: compression ratios 40 to 8 of 16-bit samples."""
OUR_BITS = (0.178, 0.267, *BITS)
"""Ours go lower, to be compared over all that rivals reach."""
NEAR = 7.0
"""Bits a sample at which 8-bit samples should come back nearly as they were."""
MODES = ("plain", "trellis")

Point = dict[str, Any]
Points = list[Point]


def measure(
    bundle: str,
    samples: Iterable[Sample],
    report: Callable[[str], None] = lambda _text: None,
    tile: int | None = None,
) -> dict[str, Any]:
    """Measure a bundle on scenes.

    Args:
        bundle: name or path of a bundle of variable rate.
        samples: scenes.
        report: called with the name of each scene before it is measured.
        tile: rows and columns of tiles of scenes of two to four bands, other than usual.

    Returns:
        `rows`, one a scene, with the name of its spectral profile or None; `summary` by content,
        see `summarise`.
    """
    usual = bundle_codecs(bundle)
    rows = []
    for sample in samples:
        report(sample.name)
        trial = _profile(bundle, sample)
        trellis, plain = bundle_codecs(bundle, trial.profile) if trial else usual
        codecs = {"plain": plain, "trellis": trellis}
        if 1 < len(sample.scene.image) <= WIDE_BANDS and not sample.scene.bayer:
            codecs = {mode: replace(codec, asked_tile=tile) for mode, codec in codecs.items()}
        row = measure_scene(codecs, sample)
        rows.append(row | {"profile": trial and trial.profile.digest.hex()})
    summary = {
        content.key: summarise(content, of)
        for content in CONTENTS
        if (of := [row for row in rows if row["content"] == content.key])
    }
    return {"bundle": bundle, "rows": rows, "summary": summary}


def _profile(bundle: str, sample: Sample) -> Trial | None:
    """Return the spectral profile of a sample's sensor; None where none is made, or is better."""
    if not sample.earlier:
        return None
    try:
        trial = learn(sample.earlier, find(bundle))
    except InputError:
        return None  # too few pixels: then a user has none either
    return trial if trial.better else None


def measure_scene(codecs: Mapping[str, BundleCodec], sample: Sample) -> dict[str, Any]:
    """Return one row: `points` of every codec, and BD-rates of ours.

    Args:
        codecs: our codec by mode.
        sample: scene to measure.

    Returns:
        `content`, `scene`, `place`, `shape`, `bits` of a sample; `rivals`: their points; and by
        mode `points`, `bd_rate_vs_<rival>` and `bd_rate_vs_jp2_klt`, percent; of 8-bit samples
        `near`, the point at `NEAR` bits a sample.
    """
    scene = sample.scene
    row: dict[str, Any] = {"content": sample.content, "scene": sample.name, "place": sample.place}
    row["shape"], row["bits"] = list(scene.image.shape), scene.header().significant_bits
    row["rivals"] = _rivals(sample)
    for mode, codec in codecs.items():
        points = _points(codec, sample, OUR_BITS)
        row[mode] = {"points": points, **_deltas(points, row["rivals"])}
        if row["bits"] <= 8:
            row[mode]["near"] = _points(codec, sample, (NEAR,))[0]
    return row


def _rivals(sample: Sample) -> dict[str, Points]:
    """Return the points of the rivals; of one band there is no KLT, of a mosaic that of colours."""
    image, added = for_rivals(sample.scene)
    names = (PER_BAND, *KLTS) if len(image) > 1 else (PER_BAND,)
    forms = dict.fromkeys(names, image)
    if sample.scene.bayer:
        colours = demosaic(image, np.iinfo(np.uint16).max if added else sample.scene.peak)
        forms |= dict.fromkeys(KLTS, colours)
    return {name: _rival(BASELINES[name], form, added, sample) for name, form in forms.items()}


def _rival(codec: Codec, image: NDArray[np.uint16], added: int, sample: Sample) -> Points:
    """Return the points of a rival.

    Args:
        codec: the rival.
        image: what it codes, of a mosaic its planes or colours.
        added: what was added to samples for it.
        sample: what is measured.
    """
    limits = np.iinfo(sample.scene.image.dtype)
    most = min(sample.scene.peak, limits.max)
    points = []
    for bits in BITS:
        ratio = 8 * image.nbytes / (bits * sample.scene.image.size)
        coded = codec.one_pass(Scene(image), ratio).encode()
        decoded = codec.decode(coded).astype(np.int32) - added
        if sample.scene.bayer:
            decoded = join(decoded if len(decoded) == PLANES else planes_of(decoded))
        points.append(_point(sample, coded, np.clip(decoded, limits.min, most)))
    return points


def _points(codec: BundleCodec, sample: Sample, rates: Sequence[float]) -> Points:
    """Return our points; a rate that the scene is too small for is left out."""
    points: Points = []
    for bits in rates:
        try:
            coded = codec.encode(sample.scene, int(sample.scene.image.size * bits / 8))
        except LimitError:
            continue
        points.append(_point(sample, coded, codec.decode(coded)))
    return points


def _point(sample: Sample, coded: Coded, decoded: NDArray[Any]) -> Point:
    """Return bytes, bits a sample, RMSE, PSNR with a peak of 65535 and with the source's."""
    original = sample.original
    rmse = metrics.rmse(original.image, decoded, original.valid)
    return {
        "bytes": coded.length,
        "bits": 8 * coded.length / original.image.size,
        "rmse": rmse,
        "psnr16": _psnr(rmse, metrics.PEAK_16_BIT),
        "psnr": _psnr(rmse, sample.scene.peak),
    }


def _psnr(rmse: float, peak: float) -> float | None:
    """Return a PSNR, dB; None of what is as it was."""
    return 20 * math.log10(peak / rmse) if rmse else None


def _deltas(ours: Points, rivals: Mapping[str, Points]) -> dict[str, float | None]:
    """Return BD-rates, percent; against the better KLT, that of the one that leaves us less."""
    found = {name: bd_rate(_curve(ours), _curve(points)) for name, points in rivals.items()}
    known = [rate for klt in KLTS if (rate := found.get(klt)) is not None]
    found[BETTER_KLT] = max(known, default=None)
    return {f"bd_rate_vs_{name}": rate for name, rate in found.items()}


def _curve(points: Points) -> list[tuple[float, float]]:
    return [(p["bytes"], p["psnr16"]) for p in points if p["psnr16"] is not None]


def summarise(content: Content, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Average the rows of one content, per place, then over places.

    Returns:
        `reference`, `scenes`, `places`; and by mode `bd_rate` against the reference, `worst`, the
        scene where it is largest, `bd_rate_vs_jp2`, `bd_rate_vs_jp2_klt`, and of 8-bit samples
        `psnr8_near`, the PSNR of all at `NEAR` bits a sample with a peak of 255, None if exact.
    """
    found: dict[str, Any] = {"reference": content.reference, "scenes": len(rows)}
    found["places"] = len({row["place"] for row in rows})
    for mode in MODES:
        rates = {
            name: mean_over_places((r["place"], r[mode][f"bd_rate_vs_{name}"]) for r in rows)
            for name in (PER_BAND, BETTER_KLT)
        }
        key = f"bd_rate_vs_{content.reference}"
        known = [row for row in rows if row[mode][key] is not None]
        worst = max(known, key=lambda row: float(row[mode][key]), default=None)
        found[mode] = {
            "bd_rate": rates[content.reference],
            "worst": worst and {"scene": worst["scene"], "bd_rate": worst[mode][key]},
            **{f"bd_rate_vs_{name}": rate for name, rate in rates.items()},
        }
        if near := [row[mode]["near"]["rmse"] for row in rows if row["bits"] <= 8]:
            found[mode]["psnr8_near"] = _psnr(float(np.sqrt(np.mean(np.square(near)))), 255)
    return found
