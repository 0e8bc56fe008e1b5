"""Tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from benchmarks.codecs.table import BASELINE_LABELS, BASELINES, BETTER_KLT
from benchmarks.quality.curves import SHOWN

HEAD = f"{'codec':<30}{'PSNR16':>9}{'PSNR':>9}{'SSIM':>9}{'ratio':>8}{'bytes':>11}"
CURVE_HEAD = (
    f"{'ratio':>6}  {'codec':<24}{'PSNR16':>8}{'SSIM':>8}{'NDVI':>9}{'bias':>8}"
    f"{'angle':>8}{'worst':>8}"
)
DELTA_HEAD = f"{'against':<30}{'BD-rate':>10}{'BD-PSNR':>10}"


def table_row(name: str, figures: Mapping[str, Any]) -> str:
    """Return one line: PSNR of peak 65535 and of the source's own in dB, SSIM, ratio, bytes."""
    return (
        f"{name:<30}{figures['psnr16']:>9.2f}{figures['psnr']:>9.2f}{figures['ssim']:>9.4f}"
        f"{figures['ratio']:>8.2f}{figures['bytes']:>11.0f}"
    )


def codec_table(codecs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of codecs on one scene."""
    rows = [table_row(BASELINE_LABELS.get(name, name), figures) for name, figures in codecs.items()]
    return "\n".join([HEAD, *rows])


def summary_table(document: Mapping[str, Any]) -> str:
    """Return the means of `rate_distortion`, a block per group and bundle."""
    blocks = []
    for group in ("summary", "patches", "spyndex"):
        for bundle, figures in document[group].items():
            curve = "points" in figures
            title = f"{group}: {figures['scenes']} scenes, {figures['places']} places"
            rows = [f"{title}, at ratio {SHOWN}" if curve else title, HEAD]
            rows.append(table_row(bundle, figures))
            rows += [table_row(BASELINE_LABELS[name], figures[name]) for name in BASELINES]
            if figures["seam_ratio"] is not None:
                rows.append(
                    f"error at tile borders over error elsewhere: {figures['seam_ratio']:.3f}"
                )
            blocks.append("\n".join(rows))
            if curve:
                blocks += [delta_table(figures), curve_table(bundle, figures)]
    absent = document["left_out"].items()
    blocks += [f"{BASELINE_LABELS[name]} left out: {reason}" for name, reason in absent]
    blocks += _left_out(document)
    return "\n\n".join(blocks)


def delta_table(summary: Mapping[str, Any]) -> str:
    """Return the Bjontegaard deltas of a bundle against each baseline."""
    rows = ["bytes at equal PSNR (negative: we need fewer) and dB at equal bytes", DELTA_HEAD]
    for name in (*BASELINES, BETTER_KLT):
        rate, gain = summary[f"bd_rate_vs_{name}"], summary[f"bd_psnr_vs_{name}"]
        shown = f"{_number(rate, '+.1f', ' %'):>10}{_number(gain, '+.2f', ' dB'):>10}"
        rows.append(f"{BASELINE_LABELS[name]:<30}{shown}")
    if worst := summary[f"worst_scene_bd_rate_vs_{BETTER_KLT}"]:
        rows.append(
            f"worst scene against the better KLT: {worst['scene']} {worst['bd_rate']:+.1f} %"
        )
    return "\n".join(rows)


def curve_table(bundle: str, summary: Mapping[str, Any]) -> str:
    """Return quality and spectral truth at every ratio, ours above the better KLT."""
    rows = [
        "NDVI: mean absolute error; bias: of the worst band, DN; angle: spectral, degrees;",
        "worst: PSNR16 of the worst 64x64 pixels, dB",
        CURVE_HEAD,
    ]
    for point in summary["points"]:
        for name in (bundle, BETTER_KLT):
            f = point["codecs"][name]
            rows.append(
                f"{point['ratio']:>6}  {BASELINE_LABELS.get(name, name):<24}"
                f"{_number(f['psnr16'], '.2f'):>8}{_number(f['ssim'], '.4f'):>8}"
                f"{_number(f['ndvi_error'], '.5f'):>9}{_number(f['bias'], '.2f'):>8}"
                f"{_number(f['spectral_angle_deg'], '.3f'):>8}"
                f"{_number(f['worst_tile_psnr16'], '.2f'):>8}"
            )
    return "\n".join(rows)


def _number(value: float | None, form: str, unit: str = "") -> str:
    """Return a number as text, or a dash for none."""
    return "-" if value is None else f"{value:{form}}{unit}"


def _left_out(document: Mapping[str, Any]) -> list[str]:
    """Return a line for every scene that a codec could not code at some ratio."""
    return [
        f"{row['bundle']}: {row['scene']} left out at ratio {point['ratio']}: {point['reason']}"
        for row in document["rows"]
        for point in row.get("left_out", ())
    ]
