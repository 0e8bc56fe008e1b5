"""Tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from benchmarks.baselines import LABELS

HEAD = f"{'codec':<30}{'PSNR16':>9}{'SSIM':>9}{'ratio':>8}{'bytes':>11}"


def table_row(name: str, figures: Mapping[str, Any]) -> str:
    """Return one line: PSNR with peak 65535 in dB, SSIM, compression ratio, bytes."""
    return (
        f"{name:<30}{figures['psnr16']:>9.2f}{figures['ssim']:>9.4f}"
        f"{figures['ratio']:>8.2f}{figures['bytes']:>11.0f}"
    )


def codec_table(codecs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of codecs on one scene."""
    rows = [table_row(LABELS.get(name, name), figures) for name, figures in codecs.items()]
    return "\n".join([HEAD, *rows])


def summary_table(document: Mapping[str, Any]) -> str:
    """Return the means of `rate_distortion`, a block per group and bundle."""
    blocks = []
    for group in ("summary", "patches", "spyndex"):
        for bundle, figures in document[group].items():
            title = f"{group}: {figures['scenes']} scenes, {figures['places']} places"
            rows = [table_row(bundle, figures)]
            rows += [table_row(label, figures[name]) for name, label in LABELS.items()]
            if figures["seam_ratio"] is not None:
                rows.append(
                    f"error at tile borders over error elsewhere: {figures['seam_ratio']:.3f}"
                )
            blocks.append("\n".join([title, HEAD, *rows]))
    return "\n\n".join(blocks)
