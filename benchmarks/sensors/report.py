"""Table of a measured document for a terminal."""

from collections.abc import Mapping
from typing import Any

from benchmarks.codecs.table import BASELINE_LABELS
from benchmarks.sensors.contents import CONTENTS
from benchmarks.sensors.measure import BITS, MODES, NEAR

_HEAD = (
    f"{'content':<22}{'against':<24}{'scenes':>7}{'plain':>9}{'worst':>8}{'trellis':>9}{'worst':>8}"
)


def sensors_table(document: Mapping[str, Any]) -> str:
    """Return BD-rates by content, and what was left out."""
    rows = [
        f"bytes at equal PSNR, %, JPEG 2000 at {BITS[0]} to {BITS[-1]} bits a sample (negative: "
        f"{document['bundle']} needs fewer)",
        _HEAD,
    ]
    for content in CONTENTS:
        if content.key in document["summary"]:
            rows.append(_row(content.label, document["summary"][content.key]))
    for key, summary in document["summary"].items():
        near = {mode: s["psnr8_near"] for mode in MODES if "psnr8_near" in (s := summary[mode])}
        if near:
            shown = ", ".join(
                f"{m} {'exact' if db is None else f'{db:.1f} dB'}" for m, db in near.items()
            )
            rows.append(f"{key} at {NEAR:g} bits a sample, PSNR with a peak of 255: {shown}")
    return "\n".join([*rows, *(f"left out: {text}" for text in document["left_out"])])


def _row(label: str, summary: Mapping[str, Any]) -> str:
    cells = ""
    for mode in MODES:
        worst = summary[mode]["worst"]
        cells += f"{_percent(summary[mode]['bd_rate']):>9}"
        cells += f"{_percent(worst and worst['bd_rate']):>8}"
    against = BASELINE_LABELS[summary["reference"]]
    return f"{label:<22}{against:<24}{summary['scenes']:>7}{cells}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"
