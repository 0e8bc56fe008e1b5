"""Tables of what each part of the flagship codec is worth."""

from collections.abc import Mapping
from typing import Any

from benchmarks.ablation.measure import FIGURES

_COLUMNS = tuple(zip(FIGURES, (".2f", ".2f", ".2f", ".0f"), (8, 9, 8, 9), strict=True))


def ablation_text(found: Mapping[str, Any]) -> str:
    """Return the tables of `run_ablation`."""
    groups = list(found["scenes"])
    where = ", ".join(f"{group} {count}" for group, count in found["scenes"].items())
    fitted = f"{found['training_tiles']} tiles of {found['training_scenes']} scenes"
    lines = [
        f"{found['bundle']} without its network; scenes: {where}; tables fitted to {fitted}",
        "bytes at equal PSNR16 against the full codec, percent (positive: more are needed)",
        f"{'variant':<44}" + "".join(f"{group:>10}" for group in groups),
    ]
    for name, rates in found["bd_rate"].items():
        shown = "".join(_cell(rates[group], "+.1f", 10) for group in groups)
        lines.append(f"{found['labels'][name]:<44}{shown}")
    lines += [
        "",
        "bundles of one rate; ours, refinement network included, at their bytes, and the bytes",
        "that ours needs for their PSNR16, percent of theirs",
        f"{'bundle':<24}{'scenes':>9}{'ratio':>8}{'PSNR16':>9}{'ours':>8}{'bytes':>9}",
    ]
    for rival, by_group in found["fixed"].items():
        for group, row in by_group.items():
            cells = (_cell(row[key], form, width) for key, form, width in _COLUMNS)
            lines.append(f"{rival:<24}{group:>9}{''.join(cells)}")
    return "\n".join(lines)


def _cell(value: float | None, form: str, width: int) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"
