"""Dead zone: the quantizer of plain tiles, whose dead zone depends on the level (SPEC.md, 10)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onboard.codec.lapped.context import LEVELS, STEP, Ints
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.quantizers.points import HIDING, PLAIN, Points
from onboard.codec.lapped.quantizers.quantisation import Quantisation
from onboard.codec.lapped.quantizers.quantizer import Pending, Quantised
from onboard.codec.lapped.quantizers.signs import OwnSigns, Runs, SignHiding

_FRACTION = STEP.bit_length() - 1


@dataclass(frozen=True)
class DeadZone:
    """Uniform quantizer with a dead zone; each symbol alone, unless signs are hidden.

    Attributes:
        quantisation: dead zones and rounding by row of the tables.
        hiding: hides signs; None if none are hidden.
    """

    quantisation: Quantisation
    hiding: SignHiding | None = None
    tiles_at_once: int = 32

    @classmethod
    def of(cls, model: LappedModel) -> "DeadZone":
        """Return the quantizer of a model that hides no signs."""
        return cls(model.quantisation)

    @classmethod
    def that_hides(cls, model: LappedModel) -> "DeadZone":
        """Return the quantizer of a model that hides signs."""
        chosen = model.quantisation
        hiding = SignHiding(OwnSigns.of(model.tables), chosen.dead, chosen.rounding)
        return cls(chosen, hiding)

    @property
    def points(self) -> Points:
        """What its indices stand for."""
        return PLAIN if self.hiding is None else HIDING

    def check(self, positions: int) -> None:
        """Refuse nothing: every model that can be read will do."""

    @cached_property
    def _least(self) -> Ints:
        """Least magnitude before rounding of which anything is left, by row."""
        least = self.quantisation.dead.copy().reshape(-1, LEVELS)
        least[:, : self.quantisation.skip + 1] = np.iinfo(np.int32).max
        return least.reshape(-1)

    def choose(self, pending: Pending) -> Quantised:
        """Round magnitudes, those in the dead zone to 0."""
        away, rows = pending.away, pending.rows
        size = np.abs(away)
        if (beside := pending.beside) is not None:
            size += self.quantisation.ease * beside
        residual: Ints = np.take(self.quantisation.rounding, rows)
        residual += size
        residual >>= _FRACTION
        residual *= (size >= np.take(self._least, rows)).astype(np.int32)
        sign = away >> 31
        residual ^= sign
        residual -= sign
        if self.hiding is None or pending.borders is None:
            return Quantised(residual, rows, residual)
        runs = Runs.of(pending.coded, rows, pending.shape[2], pending.counts)
        hidden = self.hiding.hide(runs, residual, away, size, rows)
        found = hidden.residuals
        return Quantised(found, rows, found, derived=hidden.derived, signs=hidden.signs)
