"""Probe and roofline for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.boards.check import WITHIN
from benchmarks.boards.profiles import FIGURES, Profile
from benchmarks.boards.roofline import PROBED_RATES, Estimate, model_text
from benchmarks.boards.workload import COUNTS, RATIO, Span, Workload


def probe_text(found: Profile, output: Path, meters: Sequence[str]) -> str:
    """Return the profile of this machine, and where it tells power."""
    rows = [f"{key:<18}{figure!s:<18}{figure.source}" for key, figure in found.figures.items()]
    runtimes = ", ".join(f"{runtime.name} ({runtime.source})" for runtime in found.runtimes)
    power = ", ".join(meters) or "no powercap, hwmon power or battery file"
    return "\n".join(
        [found.processor, *rows, f"runtimes: {runtimes}", f"power: {power}", f"wrote {output}"]
    )


def roofline_text(
    work: Workload, rows: Sequence[tuple[Profile, Estimate]], checks: Sequence[dict[str, Any]]
) -> str:
    """Return the model, the work per pixel, the estimates, and what was measured beside them."""
    lines = [
        model_text(),
        "",
        f"{work.name} at ratio {RATIO}, per pixel: "
        + ", ".join(
            f"{span.low:.4g}..{span.high:.4g} {name}"
            for name in COUNTS
            if isinstance(span := getattr(work, name), Span)
        ),
        "",
        f"{'Mpixel/s, estimated':<24}{'':<7}{'one core':>16}{'all cores':>16}  bound by",
        *(_row(found) for _, found in rows),
    ]
    if checks:
        lines += ["", "this machine, one core, Mpixel/s of processor time"]
        lines += [
            f"{row['implementation']:<8}estimated {row['estimated']:.3g} "
            f"({row['low']:.3g}..{row['high']:.3g}), measured {row['measured']:.3g}, ratio "
            f"{row['ratio']:.2f}: {'within' if row['within'] else 'NOT within'} {WITHIN:g} x"
            for row in checks
        ]
    unknown = {profile.key: _unknown(profile) for profile, _ in rows}
    lines += ["", "not published, or not found:"]
    lines += [f"  {key}: {', '.join(names) or 'nothing'}" for key, names in unknown.items()]
    return "\n".join(lines)


def _unknown(profile: Profile) -> list[str]:
    """Return figures of a board that nobody published; rates are measured by probes alone."""
    probed = (*PROBED_RATES, "int8_mac_rate")
    return [name for name in FIGURES if name not in profile.figures and name not in probed]


def _row(found: Estimate) -> str:
    spans = "".join(f"{_span(span):>16}" for span in (found.one_core, found.all_cores))
    missing = f" (missing: {', '.join(found.missing)})" if found.missing else ""
    return f"{found.profile:<24}{found.implementation:<7}{spans}  {found.bound or '-'}{missing}"


def _span(span: Span | None) -> str:
    return f"{span.low:.2g}..{span.high:.2g}" if span else "-"
