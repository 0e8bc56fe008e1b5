"""Bytes of scenes at each bound, ours and the rivals', and the largest error that was seen."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.bounded.coders import Coders, largest_error, mean
from benchmarks.bounded.twoparts import in_two_parts, key_of, summary_of
from benchmarks.codecs.exactrivals import EXACT_RIVALS, ExactRival
from ground.scene import Scene
from onboard.codec.bound import Bound
from onboard.encoder import Options
from onboard.errors import InputError, UsageError
from onboard.link.segment import MAX_SEGMENT_BYTES

BOUNDS = (0, 1, 2, 4, 8, 16)
OURS = "skybook"


def measure(
    coders: Coders,
    scenes: Iterable[tuple[str, Scene]],
    bounds: Sequence[int],
    report: Callable[[str, int], None],
    firsts: Sequence[int] = (),
) -> dict[str, Any]:
    """Measure scenes; return what the benchmark prints.

    Args:
        coders: ours.
        scenes: scenes by name, of 1 to 16 bands.
        bounds: bounds on the error, DN.
        report: called with a scene and a bound before they are measured.
        firsts: first bounds of scenes in two parts, whose bound of both is the least of `bounds`.

    Raises:
        UsageError: a first bound below that; the bundle has no part `bounded`.
        InputError: there is no scene.
    """
    if coders.encoder.bundle.bounded is None:
        raise UsageError(f"bundle {coders.encoder.bundle.name}: expected a part `bounded`")
    if min(firsts, default=min(bounds)) < min(bounds):
        raise UsageError(f"first bounds: expected none below {min(bounds)}, found {min(firsts)}")
    rivals = [rival for rival in EXACT_RIVALS if not rival.reason]
    found: dict[str, dict[str, Any]] = {}
    for name, scene in scenes:
        try:
            coders.encoder.for_scene(scene.header())
        except InputError:
            continue  # of more bands than the bundle takes
        bands, rows, cols = scene.image.shape
        of_scene: dict[str, Any] = {"bands": bands, "rows": rows, "columns": cols}
        for bound in bounds:
            report(name, bound)
            of_scene[f"D{bound}"] = _at_bound(coders, rivals, scene, bound)
        for first in firsts:
            report(name, first)
            of_scene[key_of(first)] = in_two_parts(coders, scene, first, min(bounds))
        found[name] = of_scene
    if not found:
        raise InputError("bounded: expected at least one scene of 1 to 16 bands, found none")
    summary = {f"D{bound}": _summary(found, f"D{bound}", rivals) for bound in bounds}
    left_out = {rival.key: rival.reason for rival in EXACT_RIVALS if rival.reason}
    parts = summary_of(found, f"D{min(bounds)}", firsts)
    return {"scenes": found, "summary": summary, "two_parts": parts, "left_out": left_out}


def _at_bound(
    coders: Coders, rivals: Sequence[ExactRival], scene: Scene, bound: int
) -> dict[str, Any]:
    """Return bytes and largest error of each codec; samples of nodata count in none of ours."""
    options = Options(segment_bytes=MAX_SEGMENT_BYTES, max_error=Bound((bound,)))
    stream = b"".join(coders.encoder.encode(scene.image, scene.header(), options))
    decoded = coders.decoder.decode(stream).scene.image
    result: dict[str, Any] = {
        OURS: len(stream),
        "max_error_seen": largest_error(scene, decoded),
    }
    image = scene.image
    offset = min(int(image.min()), 0)
    shifted = (image.astype(np.int64) - offset).astype(np.uint16) if offset else image
    for rival in rivals:
        parts = rival.codec.encode(shifted, bound)
        back = rival.codec.decode(parts, image.shape, bound).astype(np.int64) + offset
        if (error := int(np.abs(back - image).max())) > bound:
            raise InputError(f"{rival.label}: an error of {error} at a bound of {bound}")
        result[rival.key] = sum(map(len, parts))
    return result


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
            summary[key], summary[f"worst_{key}"] = mean(ratios), max(ratios)
    summary["bytes_over"] = {
        rival.key: mean([row[OURS] / row[rival.key] for row in rows]) for rival in rivals
    }
    return summary
