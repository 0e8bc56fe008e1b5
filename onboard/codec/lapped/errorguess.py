"""Error guess: what squared error a tile will have at a step, from some of its latents.

It decides no byte: it is what an encoder tells of the quality at the steps that a rate led to,
within a dB of the error of the symbols themselves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.scan import tile_codes
from onboard.codec.lapped.transform import EIGHTH_OCTAVES, Latents, in_squared_dn
from onboard.codec.tile import Steps

_STRIDE = 7
"""Every seventh position is looked at: prime to the 8 of a row, so all columns take part."""
_LOST = 44
"""1/64 steps below which a latent is taken to become 0, and its whole size to be lost."""
_ROUNDED = 341
"""Mean square of the error of others, in (1/64 step)^2: a twelfth of the step's."""
_STEERED_SHARE = 173
"""Error along a trellis over that of plain tiles, in 1/256: 2^(-9/16)."""


@dataclass(frozen=True)
class ErrorGuess:
    """What the error depends on besides the latents.

    Attributes:
        mantissas: reciprocals of the steps of one octave.
        weight: squared length of a synthesis filter, on average, in 1/256, times the error on the
            ground over that of the rounding.
    """

    mantissas: NDArray[np.int32]
    weight: int

    @classmethod
    def of(cls, model: LappedModel, error_permille: int) -> "ErrorGuess":
        """Return the guess for a model whose error on the ground is corrected so."""
        weight = int(model.power.sum()) * error_permille // (1000 * len(model.power))
        return cls(model.transform.mantissas, weight)

    def errors(self, latents: Latents, steps: Steps, steered: bool) -> NDArray[np.int64]:
        """Return the squared error of each tile in DN^2.

        Args:
            latents: latents of the tiles.
            steps: step code of each, or (tiles, rows, cols) of each position.
            steered: whether indices are chosen along a trellis.
        """
        tiles, rows, cols = latents.shape
        base = tile_codes(steps)
        each = steps.reshape(tiles, -1, 1)[:, ::_STRIDE] if steps.ndim == 3 else base
        some = tuple(
            part.reshape(tiles, rows * cols, 1, -1)[:, ::_STRIDE] for part in latents.parts
        )
        looked_at = Latents(some, latents.largest, latents.shifts)
        lost = np.zeros(tiles, np.int64)
        for part in range(len(some)):
            codes = each if part else base  # the DC has the step of the tile
            sizes = looked_at.scaled(codes, self.mantissas, part)
            np.clip(sizes, -_LOST, _LOST, out=sizes)
            squares = np.where(np.abs(sizes) < _LOST, sizes * sizes, _ROUNDED).astype(np.int64)
            if codes.ndim == 3:
                coarser = (codes - base[:, None, None])[..., None]
                squares = (squares * EIGHTH_OCTAVES[coarser % 8] >> 12) << (coarser // 8)
            lost += squares.sum(axis=(1, 2, 3))
        return self.of_lost(lost, rows * cols, base, steered)

    def of_lost(
        self, lost: NDArray[np.int64], positions: int, steps: Steps, steered: bool
    ) -> NDArray[np.int64]:
        """Return the same from the squared errors of the positions that are looked at.

        Args:
            lost: of each tile, in (1/64 step)^2.
            positions: of a tile.
            steps: step code of each.
            steered: whether indices are chosen along a trellis.
        """
        lost = lost * self.weight * positions // -(-positions // _STRIDE)
        if steered:
            lost = lost * _STEERED_SHARE >> 8
        return in_squared_dn(lost >> 8, steps)
