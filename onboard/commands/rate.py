"""Rate: what was asked for and what came of it, as figures and in words."""

import argparse
from typing import Any

from onboard.encoder.options import DEFAULT_RATIO, Options
from onboard.encoder.outcome import PEAK, BlocksOutcome, Outcome

_KINDS = {"psnr": "PSNR16 {:.4g} dB", "rmse": "RMSE {:.3g} DN"} | {
    "bytes": "{:.0f} bytes",
    "ratio": "ratio {:.4g}",
}
"""Options that ask for a rate or a quality, and how a value of each reads."""
_WORSE = {"psnr": 1 / 1.005, "rmse": 1.05}
"""Shares of what was asked that still count as met, since what is expected comes from a model."""


def rate_figures(
    arguments: argparse.Namespace,
    options: Options,
    outcome: Outcome,
    raw: int,
    taken: int,
    peak: int,
) -> dict[str, Any]:
    """Return what was asked for, whether it is met, steps, how indices are chosen, expected error.

    Args:
        arguments: those of `add_coding_options`.
        options: what the encoder was told, of them and by default.
        outcome: what became of the rate.
        raw: bytes of the image.
        taken: bytes of the stream.
        peak: that of the source's own PSNR.
    """
    asked, stepped = _asked(arguments), outcome.steps is not None
    told = bool(asked and outcome.windows)
    reached = {"bytes": taken, "ratio": raw / taken, "psnr": outcome.psnr16, "rmse": outcome.rmse}
    return {
        "asked": asked if told else None,
        "reached": {kind: reached[kind] for kind in asked} if told else None,
        "met": not outcome.missed and all(_is_met(k, v, reached[k]) for k, v in asked.items()),
        "windows": outcome.windows,
        "windows_missed": outcome.missed,
        "windows_eased": outcome.eased,
        "step_codes": outcome.steps,
        "steps_dn": outcome.steps_dn,
        "expected_psnr16_db": outcome.psnr16,
        "peak": peak,
        "expected_psnr_db": outcome.psnr(peak),
        "expected_rmse_dn": outcome.rmse,
        "indices": (options.quantizer or "plain") if stepped else None,
        "indices_by_default": arguments.trellis is None if stepped else None,
        "quality_blocks": _blocks(outcome.blocks, options.quality_block),
        "max_error": arguments.max_error,
        "max_error_first": arguments.max_error_first,
    }


def _is_met(kind: str, asked: float, found: float | None) -> bool:
    """Return whether a quality is as asked for; bytes have a say of their own."""
    if found is None or kind not in _WORSE:
        return True
    return found >= asked * _WORSE[kind] if kind == "psnr" else found <= asked * _WORSE[kind]


def _blocks(found: BlocksOutcome, side: int) -> dict[str, Any] | None:
    """Return what is expected of blocks that each have a quality; None where there are none."""
    if not found.count:
        return None
    return {
        "side": side,
        "count": found.count,
        "missed": found.missed,
        "eased": found.eased,
        "expected_mean_db": found.mean,
        "expected_std_db": found.deviation,
    }


def rate_text(figures: dict[str, Any]) -> str:
    """Return steps and expected error in words; nothing where no step was chosen."""
    if figures["max_error_first"] is not None:
        return f"max error {figures['max_error_first']} DN first, then {figures['max_error']} DN"
    if figures["max_error"] is not None:
        return f"max error {figures['max_error']} DN"
    if figures["step_codes"] is None:
        return ""
    finest, coarsest = figures["step_codes"]
    codes = f"code {finest}" if finest == coarsest else f"codes {finest} to {coarsest}"
    steps = " to ".join(f"{step:.3g}" for step in dict.fromkeys(figures["steps_dn"]))
    how = "along a trellis" if figures["indices"] == "trellis" else "plain"
    how += " by default" if figures["indices_by_default"] else ""
    own = ""
    if figures["peak"] != PEAK:
        own = f"PSNR {figures['expected_psnr_db']:.1f} dB of peak {figures['peak']}, "
    return (
        f"step {steps} DN ({codes}, {how}), expected PSNR16 {figures['expected_psnr16_db']:.1f} dB "
        f"({own}RMSE {figures['expected_rmse_dn']:.3g} DN){_blocks_text(figures)}"
    )


def _blocks_text(figures: dict[str, Any]) -> str:
    """Return what is expected of blocks in words, after a comma."""
    blocks = figures["quality_blocks"]
    if blocks is None:
        return ""
    return (
        f", {blocks['count']} blocks of {blocks['side']} pixels off by "
        f"{blocks['expected_mean_db']:+.2f} dB in the mean, deviation "
        f"{blocks['expected_std_db']:.2f} dB"
    )


def rate_remarks(figures: dict[str, Any], options: Options) -> list[str]:
    """Return what to warn of: a rate or a quality that is out of reach.

    Args:
        figures: those of `rate_figures`.
        options: what the encoder was told.
    """
    if not figures["windows"]:
        return []
    if options.quality is None:
        return _remarks(figures, _words(figures, -1), "coarsest", "finest")
    quality = _words(figures, 0) if figures["asked"] else "quality map"
    if not options.limited:
        return _remarks(figures, quality, "finest", "coarsest")
    if figures["windows_missed"]:
        return _remarks(figures, _words(figures, -1), "coarsest", "finest")
    # Bytes that are left where each tile is as fine as its quality asks for decide nothing.
    why = "bytes are left" if figures["windows_eased"] == figures["windows"] else "the bytes win"
    return [] if figures["met"] else [f"{quality}: {why}"]


def _words(figures: dict[str, Any], number: int) -> str:
    """Return what was asked for and what came of it, of the first or the last that was."""
    kind, value = [*figures["asked"].items()][number]
    found = figures["reached"][kind]
    came = "reached" if kind in ("bytes", "ratio") else "expected"
    return f"{_KINDS[kind].format(value)} asked, {_KINDS[kind].format(found)} {came}"


def _remarks(figures: dict[str, Any], words: str, missed: str, eased: str) -> list[str]:
    """Return what to warn of where one thing was asked for: steps at which it is out of reach."""
    blocks = figures["quality_blocks"]
    if blocks is not None and blocks["missed"]:
        of_all = f"{blocks['missed']} of {blocks['count']} blocks"
        return [f"{words}: out of reach of {of_all}, at the finest step"]
    if figures["windows_missed"]:
        where = ""
        if figures["windows"] > 1:
            where = f" in {figures['windows_missed']} of {figures['windows']} rows of tiles"
        return [f"{words}: out of reach, at the {missed} step{where}"]
    if figures["windows_eased"] == figures["windows"]:
        return [f"{words}: at the {eased} step"]
    return [] if figures["met"] else [words]


def _asked(arguments: argparse.Namespace) -> dict[str, float]:
    """Return which quality and rate were asked for, and their values; the quality first.

    Nothing where a map alone tells it.
    """
    given = {kind: getattr(arguments, kind) for kind in _KINDS}
    asked = {kind: value for kind, value in given.items() if value is not None}
    return asked if asked or arguments.quality_map is not None else {"ratio": DEFAULT_RATIO}
