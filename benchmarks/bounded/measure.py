"""Bytes of scenes at each bound, ours and the rivals', and the largest error that was seen."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.exactrivals import EXACT_RIVALS, ExactRival
from ground.decode.decoder import Decoder
from ground.scene import Scene
from onboard.codec.bound import Bound
from onboard.encoder import Encoder, Options
from onboard.errors import InputError, UsageError
from onboard.image.nodata import has_data
from onboard.link.segment import MAX_SEGMENT_BYTES

BOUNDS = (0, 1, 2, 4, 8, 16)
OURS = "skybook"


@dataclass(frozen=True)
class Coders:
    """A bundle's encoder and decoder."""

    encoder: Encoder
    decoder: Decoder


def measure(
    coders: Coders,
    scenes: Iterable[tuple[str, Scene]],
    bounds: Sequence[int],
    report: Callable[[str, int], None],
) -> dict[str, Any]:
    """Measure scenes; return what the benchmark prints.

    Args:
        coders: ours.
        scenes: scenes by name, of 1 to 16 bands.
        bounds: bounds on the error, DN.
        report: called with a scene and a bound before they are measured.

    Raises:
        UsageError: the bundle has no part `bounded`.
        InputError: there is no scene.
    """
    if coders.encoder.bundle.bounded is None:
        raise UsageError(f"bundle {coders.encoder.bundle.name}: expected a part `bounded`")
    rivals = [rival for rival in EXACT_RIVALS if not rival.reason]
    found: dict[str, dict[str, Any]] = {}
    for name, scene in scenes:
        try:
            coders.encoder.for_scene(len(scene.image), scene.header().significant_bits)
        except InputError:
            continue  # of more bands than the bundle takes
        bands, rows, cols = scene.image.shape
        of_scene: dict[str, Any] = {"bands": bands, "rows": rows, "columns": cols}
        for bound in bounds:
            report(name, bound)
            of_scene[f"D{bound}"] = _at_bound(coders, rivals, scene, bound)
        found[name] = of_scene
    if not found:
        raise InputError("bounded: expected at least one scene of 1 to 16 bands, found none")
    summary = {f"D{bound}": _summary(found, f"D{bound}", rivals) for bound in bounds}
    left_out = {rival.key: rival.reason for rival in EXACT_RIVALS if rival.reason}
    return {"scenes": found, "summary": summary, "left_out": left_out}


def _at_bound(
    coders: Coders, rivals: Sequence[ExactRival], scene: Scene, bound: int
) -> dict[str, Any]:
    """Return bytes and largest error of each codec; samples of nodata count in none of ours."""
    options = Options(segment_bytes=MAX_SEGMENT_BYTES, max_error=Bound((bound,)))
    stream = b"".join(coders.encoder.encode(scene.image, scene.header(), options))
    valid = has_data(scene.image, scene.nodata)
    decoded = coders.decoder.decode(stream).scene.image
    result: dict[str, Any] = {OURS: len(stream), "max_error_seen": _error(scene, decoded, valid)}
    image = scene.image
    offset = min(int(image.min()), 0)
    shifted = (image.astype(np.int64) - offset).astype(np.uint16) if offset else image
    for rival in rivals:
        parts = rival.codec.encode(shifted, bound)
        back = rival.codec.decode(parts, image.shape, bound).astype(np.int64) + offset
        if (error := _error(scene, back, np.ones_like(valid))) > bound:
            raise InputError(f"{rival.label}: an error of {error} at a bound of {bound}")
        result[rival.key] = sum(map(len, parts))
    return result


def _error(scene: Scene, decoded: NDArray[Any], valid: NDArray[np.bool_]) -> int:
    off = np.abs(decoded.astype(np.int64) - scene.image)
    return int((off * valid).max())


def _summary(
    found: Mapping[str, Mapping[str, Any]], bound: str, rivals: Sequence[ExactRival]
) -> dict[str, Any]:
    """Return geometric means over scenes of our bytes over those of others."""
    rows = [of_scene[bound] for of_scene in found.values()]
    summary: dict[str, Any] = {"max_error_seen": max(row["max_error_seen"] for row in rows)}
    for key, some in (
        ("bytes_over_best_rival", rivals),
        ("bytes_over_best_flying_rival", [rival for rival in rivals if rival.flies]),
    ):
        if some:
            ratios = [row[OURS] / min(row[rival.key] for rival in some) for row in rows]
            summary[key], summary[f"worst_{key}"] = _mean(ratios), max(ratios)
    summary["bytes_over"] = {
        rival.key: _mean([row[OURS] / row[rival.key] for row in rows]) for rival in rivals
    }
    return summary


def _mean(ratios: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))
