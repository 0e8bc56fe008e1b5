"""Tables and plot of what the link costs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.link.sending import LABELS

PASS_HEAD = (
    f"{'loss':>6}{'passes':>8}{'arrived':>9}{'lost area':>11}{'masked':>9}{'ring':>8}{'wrong':>7}"
    f"{'PSNR received':>15}{'loss-free':>11}{'whole':>8}"
)
COMPARED_HEAD = (
    f"{'loss':>6}{'bit errors':>12}  {'codec':<28}{'median':>8}{'tenth':>8}{'decoded':>9}"
)
HEADERS_HEAD = (
    f"{'packet':>7}{'packets':>9}{'segments':>10}{'bytes':>9}{'ratio':>8}{'headers':>9}"
    f"{'without time':>14}{'target':>8}"
)


def link_text(found: Mapping[str, Any]) -> str:
    """Return passes and comparison for people."""
    return "\n".join([*_pass_lines(found), "", *_compared_lines(found)])


def _pass_lines(found: Mapping[str, Any]) -> list[str]:
    wrong = ", ".join(map(str, found["wrong_passes"][:10]))
    return [
        f"{found['bundle']}: {found['passes']} passes, seed {found['seed']}; procedural scenes and "
        "crops of the spyndex scene",
        found["machine"],
        "PSNR in dB, peak 65535: over the received area (mask 0), with losses elsewhere and in the",
        "loss-free decode; median over whole images with concealment. Areas: share of pixels.",
        PASS_HEAD,
        *map(_pass_row, found["losses"]),
        "",
        f"wrong pixels outside the mask: {found['wrong_pixels_outside_mask']}"
        + (f" (passes {wrong}; see --pass)" if wrong else ""),
        f"masked over lost area: {found['masked_over_lost_area']:.3f}; without the ring "
        f"{found['marked_over_lost_area']:.3f}; at most 1 + {found['ring_over_lost_area']:.3f} "
        f"for the ring of {found['ring']} pixels, of masked pixels {found['stray_pixels']} lie "
        "beyond it",
        f"largest change of PSNR over the received area: "
        f"{found['largest_psnr_change_received']:.4f} dB",
        _salvaged_line(found["salvaged"]),
    ]


def _salvaged_line(found: Mapping[str, Any]) -> str:
    return (
        f"salvaged: {found['area']} pixels of {found['tiles']} tiles (mask 5), "
        f"{_decibels(found['psnr16'])} dB; {_decibels(found['psnr16_without'])} dB without; "
        f"worse than without in {found['worse_tiles']} tiles"
    )


def _pass_row(row: Mapping[str, Any]) -> str:
    return (
        f"{row['loss']:>6.0%}{row['passes']:>8}{row['packets_arrived']:>9.1%}"
        f"{row['lost_area']:>11.1%}{row['masked_area']:>9.1%}{row['ring_area']:>8.1%}"
        f"{row['wrong_pixels']:>7}{_decibels(row['psnr16_received']):>15}"
        f"{_decibels(row['psnr16_received_without_loss']):>11}{row['psnr16_median']:>8.2f}"
    )


def _decibels(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _compared_lines(found: Mapping[str, Any]) -> list[str]:
    shape = " x ".join(map(str, found["compared_shape"]))
    lengths = (f"{LABELS[codec]} {length}" for codec, length in found["bytes"].items())
    return [
        f"spyndex scene mirrored to {shape} uint16, {found['compared_passes']} passes a row, "
        f"packets of {found['packet_bytes']} bytes",
        f"bytes on the link: {', '.join(lengths)}",
        *([f"repair packets: {found['repair']:.0%} of the plain ones"] if found["repair"] else []),
        "PSNR of the whole image, median and tenth percentile; a pass of which nothing decodes",
        "counts as the mean of the scene. JPEG 2000 follows the gradient KLT and has no mask: what",
        "is wrong in its images cannot be told from what is right.",
        COMPARED_HEAD,
        *(
            f"{row['loss']:>6.0%}{row['bit_errors']:>12g}  {LABELS[row['codec']]:<28}"
            f"{row['psnr16_median']:>8.2f}{row['psnr16_tenth']:>8.2f}{row['decoded']:>9.0%}"
            for row in found["compared"]
        ),
    ]


def headers_text(found: Mapping[str, Any]) -> str:
    """Return the shares of headers for people."""
    shape = " x ".join(map(str, found["shape"]))
    rows = [
        f"{row['packet_bytes']:>7}{row['packets']:>9}{row['segments']:>10}{row['bytes']:>9}"
        f"{row['ratio']:>8.2f}{row['header_share']:>9.2%}{row['header_share_without_time']:>14.2%}"
        f"{row['target']:>8.0%}"
        for row in found["headers"]
    ]
    title = f"{found['bundle']}: spyndex scene mirrored to {shape} uint16"
    return "\n".join([title, found["machine"], HEADERS_HEAD, *rows])


def mixed_text(found: Mapping[str, Any]) -> str:
    """Return what came of mixed recordings for people."""
    wrong = ", ".join(map(str, found["wrong_recordings"][:10]))
    return "\n".join(
        [
            f"{found['bundle']}: {found['recordings']} recordings, seed {found['seed']}, of "
            f"{found['encodings']} encodings of one scene id, {found['encodings_found']} of them "
            f"found; a picture came of {found['recordings_decoded']}",
            found["machine"],
            f"pixels called complete: {found['complete_pixels']}; not of the encoding chosen: "
            f"{found['wrong_pixels']}; other than where it came alone: {found['differing_pixels']}"
            + (f" (recordings {wrong})" if wrong else ""),
            f"salvaged segments: {found['salvaged']}; not of the encoding chosen: "
            f"{found['strange_segments']}",
        ]
    )


def pass_text(found: Mapping[str, Any]) -> str:
    """Return what one pass drew and all its figures, a line each."""
    return "\n".join(f"{name:<20} {value}" for name, value in found.items())


def plot_link(found: Mapping[str, Any], path: Path) -> None:
    """Draw PSNR against packet loss as a PNG: medians, and bands down to the tenth percentile.

    Args:
        found: result of `compare`.
        path: path of the file.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import)

    figure = Figure(figsize=(8, 5), layout="constrained", dpi=120)
    axes = figure.add_subplot()
    for codec in found["bytes"]:
        rows = [row for row in found["compared"] if row["codec"] == codec and not row["bit_errors"]]
        losses = [100 * row["loss"] for row in rows]
        medians = [row["psnr16_median"] for row in rows]
        style = "-" if codec.startswith("skybook") else "--"
        (line,) = axes.plot(losses, medians, style, marker="o", markersize=4, label=LABELS[codec])
        tenths = [row["psnr16_tenth"] for row in rows]
        axes.fill_between(losses, tenths, medians, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_xscale("function", functions=(np.sqrt, np.square))
    axes.set_xticks(losses, [f"{loss:g}" for loss in losses])
    axes.set_xlim(0, max(losses))
    axes.set_xlabel("packets lost (%)")
    axes.set_ylabel("PSNR of the whole image, peak 65535 (dB)")
    shape = " x ".join(map(str, found["compared_shape"]))
    axes.set_title(
        f"Spyndex scene mirrored to {shape}; equal bytes in packets of {found['packet_bytes']}\n"
        f"median of {found['compared_passes']} passes, shaded down to the tenth percentile"
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, format="png")
