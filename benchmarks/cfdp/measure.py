"""Many transfers, and what became of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cfdp.transfer import LOSSES, Outcome, Plan, transfer


def measure_cfdp(
    seeds: Sequence[int], progress: Callable[[str], None] = lambda _text: None
) -> dict[str, Any]:
    """Send a file for each seed.

    Args:
        seeds: numbers of the transfers.
        progress: function that is called with what is under way.

    Returns:
        Transfers that stalled (some time later one side does not know that it ended), files that
        a side calls complete and that are not the one sent, files not delivered, and medians by
        loss.
    """
    found: dict[int, Outcome] = {}
    for seed in seeds:
        progress(f"transfer {seed}")
        with TemporaryDirectory() as folder:
            found[seed] = transfer(Plan.of(seed), Path(folder))
    groups = {
        loss: [outcome for seed, outcome in found.items() if Plan.of(seed).loss == loss]
        for loss in LOSSES
    }
    return {
        "transfers": len(found),
        "stalled": [seed for seed, o in found.items() if not o.ended],
        "wrong": [seed for seed, o in found.items() if o.claimed and not o.right],
        "undelivered": [seed for seed, o in found.items() if not o.claimed],
        "ended_processes": sum(Plan.of(seed).killed and o.passes > 1 for seed, o in found.items()),
        "several_naks": sum(o.most_naks > 1 for o in found.values()),
        "losses": {
            f"{loss:g}": _summary(outcomes) for loss, outcomes in groups.items() if outcomes
        },
    }


def _summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    return {
        "transfers": len(outcomes),
        "passes": median(o.passes for o in outcomes),
        "most_passes": max(o.passes for o in outcomes),
        "contact_s": median(o.contact_s for o in outcomes),
        "overhead": round(median(o.overhead for o in outcomes), 2),
    }
