"""Energy for people: a table with the kind and source of every figure."""

from collections.abc import Mapping, Sequence

from benchmarks.energy.measure import HOUR, SIDE, Cost
from benchmarks.resources.timing import RATIO


def energy_text(costs: Sequence[Cost], reasons: Mapping[str, str], notes: Sequence[str]) -> str:
    """Return a table with the kind of every figure, its sources, and what could not be said."""
    width = 2 + max((len(cost.board) for cost in costs), default=0)
    lines = [
        *notes,
        f"spyndex scene mirrored to 4 x {SIDE} x {SIDE} uint16, ratio {RATIO}; measured: one CPU, "
        "median (lowest .. highest); estimated: all cores, a range",
        "",
        f"{'board':<{width}}{'codec':<14}{'kind':<11}{'J/Mpixel':>24}{'above idle':>12}"
        f"{'Mpixel per W h':>18}",
    ]
    sources: list[str] = []
    for cost in costs:
        if cost.source not in sources:
            sources.append(cost.source)
        lines.append(f"{cost.board:<{width}}{_row(cost)}  [{sources.index(cost.source) + 1}]")
    lines += [f"[{n}] {source}" for n, source in enumerate(sources, 1)]
    lines += [f"{board}: no estimate: {reason}" for board, reason in reasons.items()]
    return "\n".join(lines)


def _row(cost: Cost) -> str:
    """Return a line of the table, after the board."""
    middle, above = cost.joules_per_mpixel, cost.above_idle
    joules = f"{_short(cost.lowest)} .. {_short(cost.highest)}"
    per_hour = f"{_short(HOUR / cost.highest)} .. {_short(HOUR / cost.lowest)}"
    if middle is not None:
        joules, per_hour = f"{_short(middle)} ({joules})", _short(HOUR / middle)
    rest = "-" if above is None else _short(above)
    return f"{cost.codec:<14.13}{cost.kind:<11}{joules:>24}{rest:>12}{per_hour:>18}"


def _short(value: float) -> str:
    """Return three figures, or all before the point."""
    return f"{value:.3g}" if abs(value) < 1e3 else f"{value:.0f}"
