"""Rate: what was asked for and what came of it, as figures and in words."""

import argparse
from typing import Any

from onboard.encoder.options import DEFAULT_RATIO
from onboard.encoder.outcome import PEAK, Outcome

_KINDS = {"bytes": "{:.0f} bytes", "ratio": "ratio {:.4g}", "psnr": "PSNR16 {:.4g} dB"} | {
    "rmse": "RMSE {:.3g} DN"
}
"""Options that ask for a rate or a quality, and how a value of each reads."""
_WORSE = {"psnr": 1 / 1.005, "rmse": 1.05}
"""Shares of what was asked that still count as met, since what is expected comes from a model."""


def rate_figures(
    arguments: argparse.Namespace, outcome: Outcome, raw: int, taken: int, peak: int
) -> dict[str, Any]:
    """Return what was asked for, whether it is met, steps, how indices are chosen, expected error.

    Args:
        arguments: those of `add_coding_options`.
        outcome: what became of the rate.
        raw: bytes of the image.
        taken: bytes of the stream.
        peak: that of the source's own PSNR.
    """
    kind, value = _asked(arguments)
    reached = {"bytes": taken, "ratio": raw / taken, "psnr": outcome.psnr16, "rmse": outcome.rmse}
    found = reached[kind]
    met = not outcome.missed
    if kind == "psnr" and found is not None:
        met = met and found >= value * _WORSE[kind]
    if kind == "rmse" and found is not None:
        met = met and found <= value * _WORSE[kind]
    return {
        "asked": {kind: value} if outcome.windows else None,
        "reached": {kind: found} if outcome.windows else None,
        "met": met,
        "windows": outcome.windows,
        "windows_missed": outcome.missed,
        "windows_eased": outcome.eased,
        "step_codes": outcome.steps,
        "steps_dn": outcome.steps_dn,
        "expected_psnr16_db": outcome.psnr16,
        "peak": peak,
        "expected_psnr_db": outcome.psnr(peak),
        "expected_rmse_dn": outcome.rmse,
        "indices": None if outcome.steps is None else "trellis" if arguments.trellis else "plain",
        "max_error": arguments.max_error,
        "max_error_first": arguments.max_error_first,
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
    own = ""
    if figures["peak"] != PEAK:
        own = f"PSNR {figures['expected_psnr_db']:.1f} dB of peak {figures['peak']}, "
    return (
        f"step {steps} DN ({codes}, {how}), expected PSNR16 {figures['expected_psnr16_db']:.1f} dB "
        f"({own}RMSE {figures['expected_rmse_dn']:.3g} DN)"
    )


def rate_remarks(figures: dict[str, Any]) -> list[str]:
    """Return what to warn of: a rate or a quality that is out of reach."""
    if figures["asked"] is None:
        return []
    ((kind, value),) = figures["asked"].items()
    found = figures["reached"][kind]
    words = f"{_KINDS[kind].format(value)} asked, {_KINDS[kind].format(found)} "
    words += "reached" if kind in ("bytes", "ratio") else "expected"
    by_rate = kind in ("bytes", "ratio")
    if figures["windows_missed"]:
        step = "coarsest" if by_rate else "finest"
        where = ""
        if figures["windows"] > 1:
            where = f" in {figures['windows_missed']} of {figures['windows']} rows of tiles"
        return [f"{words}: out of reach, at the {step} step{where}"]
    if figures["windows_eased"] == figures["windows"]:
        return [f"{words}: at the {'finest' if by_rate else 'coarsest'} step"]
    return [] if figures["met"] else [words]


def _asked(arguments: argparse.Namespace) -> tuple[str, float]:
    """Return which rate or quality was asked for, and its value."""
    for kind in _KINDS:
        value = getattr(arguments, kind)
        if value is not None:
            return kind, value
    return "ratio", DEFAULT_RATIO
