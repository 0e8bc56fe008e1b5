"""Tables of `benchmarks bounded`."""

from collections.abc import Mapping
from typing import Any

from benchmarks.bounded.measure import OURS
from benchmarks.codecs.exactrivals import EXACT_RIVALS


def text(document: Mapping[str, Any]) -> str:
    """Return bits a sample of each scene and bound, then the means."""
    rivals = [rival for rival in EXACT_RIVALS if rival.key not in document["left_out"]]
    names = [OURS, *(rival.key for rival in rivals)]
    lines = [f"{'bits a sample':<34}{'D':>4}" + "".join(f"{name:>12}" for name in names)]
    for scene, figures in document["scenes"].items():
        samples = figures["bands"] * figures["rows"] * figures["columns"]
        for bound in document["summary"]:
            bits = [8 * figures[bound][name] / samples for name in names]
            row = "".join(f"{value:>12.3f}" for value in bits)
            lines.append(f"{scene[:33]:<34}{bound[1:]:>4}{row}")
    lines.append("\nour bytes over the best rival's, of each scene (geometric mean; worst)")
    for bound, figures in document["summary"].items():
        words = [f"{bound:<4} largest error {figures['max_error_seen']}"]
        for key, who in (("rival", "all"), ("flying_rival", "all but JPEG XL")):
            mean = figures.get(f"bytes_over_best_{key}")
            if mean is not None:
                worst = figures[f"worst_bytes_over_best_{key}"]
                words.append(f"{who}: {mean:.3f} ({worst:.3f})")
        lines.append("; ".join(words))
    for key, figures in document["two_parts"].items():
        lines.append(
            f"first within {key.removeprefix('first_D')} DN: "
            f"{figures['first_bytes_over_at_once']:.3f} of the bytes at once, both parts "
            f"{figures['bytes_over_at_once']:.3f} ({figures['worst_bytes_over_at_once']:.3f}); "
            f"largest errors {figures['first_max_error_seen']}, {figures['max_error_seen']}"
        )
    lines += [f"left out: {key}: {reason}" for key, reason in document["left_out"].items()]
    lines += [f"{rival.key}: {rival.label}" for rival in rivals]
    return "\n".join(lines)
