"""Scores of masks, and how sure they are: places are drawn again and again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.reproduce.segmentation.tasks import UNKNOWN

DRAWS, INTERVAL = 2_000, (2.5, 97.5)
"""Draws of places, and between which percentiles of them 95 of 100 lie."""


@dataclass(frozen=True)
class Counts:
    """Pixels by what they are and what they are taken for.

    Attributes:
        hits: found, and rightly.
        false: found, and wrongly.
        missed: not found, and wrongly.
        clear: not found, and rightly.
    """

    hits: int
    false: int
    missed: int
    clear: int

    @classmethod
    def of(cls, mask: NDArray[np.uint8], found: NDArray[np.bool_]) -> "Counts":
        """Count the pixels of a mask that are known."""
        is_it, is_not = mask == 1, mask == 0
        assert UNKNOWN not in (0, 1)
        pairs = ((is_it, found), (is_not, found), (is_it, ~found), (is_not, ~found))
        return cls(*(int((a & b).sum()) for a, b in pairs))

    @property
    def row(self) -> NDArray[np.int64]:
        """The four numbers, in their order."""
        return np.array([self.hits, self.false, self.missed, self.clear])


def scores(counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return accuracy, precision, recall and IoU of counts (..., 4); 0 where nothing is."""
    hits, false, missed, clear = np.moveaxis(counts.astype(np.float64), -1, 0)

    def share(part: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = part / np.maximum(of, 1)
        return found

    return {
        "accuracy": share(hits + clear, hits + false + missed + clear),
        "precision": share(hits, hits + false),
        "recall": share(hits, hits + missed),
        "iou": share(hits, hits + false + missed),
    }


def figures(
    counts: Mapping[str, Sequence[Counts | None]],
    places: Sequence[str],
    reference: str,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Return the scores of all pixels together, and what is lost against the reference.

    Args:
        counts: of each sample, or sample and seed, by codec; None of what it did not code, which
            counts neither for it nor for what it is held against.
        places: of each.
        reference: codec that others are held against, which coded all.
        seed: of the draws.

    Returns:
        By codec: scores; `iou_lost`, and `iou_lost_low` and `iou_lost_high`, between which it lies
        in 95 of 100 draws of as many places as there are.
    """
    names = sorted(set(places))
    rows = np.array([names.index(place) for place in places])
    drawn = np.random.default_rng(seed).integers(len(names), size=(DRAWS, len(names)))
    result = {}
    for codec, found in counts.items():
        coded = [c is not None for c in found]
        at = _by_place(found, rows, len(names))
        base = _by_place(
            [c if own else None for c, own in zip(counts[reference], coded, strict=True)],
            rows,
            len(names),
        )
        total = {key: float(value) for key, value in scores(at.sum(axis=0)).items()}
        lost = float(scores(base.sum(axis=0))["iou"]) - total["iou"]
        draws = scores(base[drawn].sum(axis=1))["iou"] - scores(at[drawn].sum(axis=1))["iou"]
        low, high = (float(x) for x in np.percentile(draws, INTERVAL))
        result[codec] = {**total, "iou_lost": lost, "iou_lost_low": low, "iou_lost_high": high}
    return result


def _by_place(
    counts: Sequence[Counts | None], rows: NDArray[np.int64], places: int
) -> NDArray[np.int64]:
    """Return the sums (places, 4) of counts, each of the place `rows` has."""
    total = np.zeros((places, 4), np.int64)
    for count, row in zip(counts, rows, strict=True):
        if count is not None:
            total[row] += count.row
    return total
