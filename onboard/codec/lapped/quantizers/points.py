"""Points: what the indices of a tile stand for, as its tile state says (SPEC.md, section 10)."""

from collections.abc import Sequence
from dataclasses import dataclass

from onboard.codec.lapped import trellis
from onboard.codec.lapped.context import STEP, Ints
from onboard.codec.lapped.transform import SUB_STEPS
from onboard.codec.tile import DEPENDENT, SIGN_HIDING


@dataclass(frozen=True)
class Points:
    """Where the points of a quantizer lie, and how tables follow them.

    Attributes:
        flag: what is added to the tile state.
        unit: unit of values and predictions, in 1/64 step.
        sets: sets of tables that a group of layers has.
        states: states in which a position may begin.
        finer: step codes by which a plain tile is finer whose error is as large.
    """

    flag: int
    unit: int
    sets: int
    states: int
    finer: int

    @property
    def in_steps(self) -> float:
        """Unit of values and predictions, in steps."""
        return self.unit / STEP

    @property
    def steered(self) -> bool:
        """Whether a trellis says which points an index has."""
        return self.states > 1

    @property
    def hides(self) -> bool:
        """Whether signs are hidden."""
        return self.flag == SIGN_HIDING

    @property
    def plain_share(self) -> float:
        """Step of a plain tile whose error is as large, as a share of the step."""
        return float(2 ** (-self.finer / SUB_STEPS))

    def first(self, position: int, state: int) -> int:
        """Return the `first` of a segment that begins at a position, in a state."""
        return self.states * position + state

    def begin(self, first: int) -> tuple[int, int]:
        """Return position and state where a segment begins, from its `first`."""
        return divmod(first, self.states)

    def values(self, indices: Ints, odd: Ints) -> Ints:
        """Return what indices stand for.

        Args:
            indices: signed indices, as coded.
            odd: 1 where the state before an index was odd, else 0.
        """
        return trellis.points(indices, odd) if self.steered else indices

    def odd_before(self, state: int, indices: Sequence[int]) -> list[int]:
        """Return 1 where the state before an index is odd, else 0, from a state on."""
        return trellis.odd_before(state, indices) if self.steered else [0] * len(indices)


PLAIN = Points(0, STEP, 1, 1, 0)
"""Whole steps."""
HIDING = Points(SIGN_HIDING, STEP, 1, 1, 0)
"""Whole steps, some of whose signs are hidden."""
STEERED = Points(DEPENDENT, STEP // 2, trellis.SETS, trellis.STATES, 3)
"""Even or odd half steps, as the state of a trellis says."""
_ALL = {points.flag: points for points in (PLAIN, HIDING, STEERED)}


def points_of(state: int) -> Points:
    """Return the points of a tile by its tile state, which is not all nodata."""
    return _ALL[state & (DEPENDENT | SIGN_HIDING)]
