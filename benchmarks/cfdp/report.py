"""What became of CFDP transfers, for people."""

from collections.abc import Mapping
from typing import Any


def cfdp_text(found: Mapping[str, Any]) -> str:
    """Return what `cfdp` prints."""
    lines = [
        f"{'loss':<8}{'transfers':>10}{'passes':>8}{'most':>7}{'contact s':>11}{'sent/file':>11}"
    ]
    lines += [
        f"{float(loss):<8.0%}{row['transfers']:>10}{row['passes']:>8g}{row['most_passes']:>7}"
        f"{row['contact_s']:>11.1f}{row['overhead']:>11.2f}"
        for loss, row in found["losses"].items()
    ]
    lines.append(
        f"{found['transfers']} transfers, {found['ended_processes']} by receiving processes that "
        f"ended with each pass, {found['several_naks']} with more gaps than a NAK holds: "
        f"{_count(found['stalled'], 'stalled')}, {_count(found['wrong'], 'wrong')}, "
        f"{_count(found['undelivered'], 'undelivered')}"
    )
    return "\n".join(lines)


def _count(seeds: list[int], what: str) -> str:
    shown = ", ".join(str(seed) for seed in seeds[:10])
    return f"{len(seeds)} {what}" + f" ({shown})" * bool(seeds)
