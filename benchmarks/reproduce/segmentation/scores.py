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
    counts: Mapping[str, Sequence[Counts]], places: Sequence[str], reference: str, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return the scores of all pixels together, and what is lost against the reference.

    Args:
        counts: of each sample, or sample and seed, by codec.
        places: of each.
        reference: codec that others are held against.
        seed: of the draws.

    Returns:
        By codec: scores; `iou_lost`, and `iou_lost_low` and `iou_lost_high`, between which it lies
        in 95 of 100 draws of as many places as there are.
    """
    names = sorted(set(places))
    rows = np.array([names.index(place) for place in places])
    by_place = {
        codec: np.stack(
            [
                np.sum([c.row for c, row in zip(found, rows, strict=True) if row == at], axis=0)
                for at in range(len(names))
            ]
        )
        for codec, found in counts.items()
    }
    drawn = np.random.default_rng(seed).integers(len(names), size=(DRAWS, len(names)))
    base = by_place[reference]
    result = {}
    for codec, at in by_place.items():
        total = {key: float(value) for key, value in scores(at.sum(axis=0)).items()}
        lost = float(scores(base.sum(axis=0))["iou"]) - total["iou"]
        draws = scores(base[drawn].sum(axis=1))["iou"] - scores(at[drawn].sum(axis=1))["iou"]
        low, high = (float(x) for x in np.percentile(draws, INTERVAL))
        result[codec] = {**total, "iou_lost": lost, "iou_lost_low": low, "iou_lost_high": high}
    return result
