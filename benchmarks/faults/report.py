"""What flipped bits and hostile input came to, for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def upsets_text(found: Mapping[str, Any]) -> str:
    """Return what `upsets` prints."""
    lines = [
        f"{found['bundle']}: of {found['flips']} bits flipped in {found['memory_bytes']} bytes of "
        f"memory the checksums found {found['found_in_memory']}"
    ]
    for engine, counts in found["engines"].items():
        if "reason" in counts:
            lines.append(f"{engine}: {counts['reason']}")
            continue
        lines.append(
            f"{engine}, {found['flips']} bits in its graph: golden tile found {counts['found']}, "
            f"engine refused {counts['refused']}, missed {counts['missed']}"
        )
    return "\n".join(lines)


def running_text(found: Mapping[str, Any]) -> str:
    """Return what `upsets --c` prints."""
    names = ("same", "reported", "marked", "silent", "gross", "crash", "hang")
    how = "along a trellis" if found["trellis"] else "plain"
    how = how if found["max_error"] is None else f"within {found['max_error']} DN"
    lines = [
        f"{found['bundle']} in C, {how}: bits flipped at any of {found['basic_blocks']:,} blocks",
        f"{'of flips in':<12}{'bytes':>10}" + "".join(f"{name:>10}" for name in names),
    ]
    for kind in ("state", "constants"):
        counts = found[kind]
        shown = "".join(f"{counts[name]:>10}" for name in names)
        lines.append(f"{kind:<12}{counts['bytes']:>10}{shown}")
    lines.append(
        f"state: {found['silent_percent']:.2f} % silent, {found['silent_gross_percent']:.2f} % "
        f"gross; constants: {found['constants_silent_percent']:.2f} % silent"
    )
    return "\n".join(lines)


def fuzz_text(found: Mapping[str, Any], output: Path) -> str:
    """Return the result of `fuzz` for people."""
    lines = [
        found["machine"],
        "",
        f"{'parser':<10}{'executions':>12}{'per second':>12}{'new inputs':>12}"
        f"{'slowest ms':>12}{'limit MiB':>12}",
    ]
    lines += [
        f"{name:<10}{executions:>12}{found['executions_per_s'][name]:>12.0f}"
        f"{found['new_inputs'][name]:>12}{found['slowest_ms'][name]:>12.1f}"
        f"{found['allocation_mib'][name]:>12.0f}"
        for name, executions in found["executions"].items()
    ]
    verdict = f"crashes: {found['crashes']}, hangs (above 1 s): {found['hangs']}"
    kept = f"; inputs and logs in {output}" if found["crashes"] or found["hangs"] else ""
    return "\n".join([*lines, "", verdict + kept])
