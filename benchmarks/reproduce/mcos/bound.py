"""What one quality of all blocks costs by itself, however it is told: a bound by code lengths.

One step for all spends each byte where it lessens the error of the scene most. Blocks of equal
error do not, and that costs bytes even if nothing had to be said of their steps and all contexts
were as good as where neighbours have the same step. All tiles are coded at each of many steps; of
each block the ideal code length of its symbols counts where its error is the one asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ground.scene import Scene
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.context import BLOCK, LATTICES
from onboard.codec.lapped.contextstate import ContextState
from onboard.codec.lapped.scan import Scanner
from onboard.codec.lapped.tables import BIT
from onboard.codec.lapped.transform import Latents
from onboard.codec.tile import STEPS
from onboard.encoder import Encoder
from onboard.encoder.aim import Aim
from onboard.encoder.batches import Batches
from onboard.encoder.fixedquality import goals_of
from onboard.encoder.options import Options
from onboard.encoder.quality import quality_of_psnr, squared_error

SMALLEST = 16
"""Rows and columns of the smallest blocks, pixels."""
_FINER, _COARSER, _STRIDE = 8, 32, 2
"""Step codes around the one at which all is rounded alike that are tried, each so many."""
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Ladder:
    """Blocks of tiles at step codes: arrays (codes, tiles, rows, cols).

    Attributes:
        bits: ideal code length of their symbols.
        errors: squared error they are expected to have.
        goals: (tiles, rows, cols), what it is to be.
    """

    bits: Reals
    errors: Reals
    goals: Reals

    def of_blocks(self, factor: int) -> "Ladder":
        """Return that of blocks of so many times the rows and columns."""
        return Ladder(*(_by_block(part, factor) for part in (self.bits, self.errors, self.goals)))

    def at_goals(self) -> tuple[float, float]:
        """Return bits and error of all blocks, each as near to its goal as the codes take it."""
        flat = (part.reshape(len(part), -1).T for part in (self.bits, self.errors))
        bits = error = 0.0
        for of_bits, of_errors, goal in zip(*flat, self.goals.ravel(), strict=True):
            rising = np.log(np.maximum.accumulate(np.maximum(of_errors, 1)))
            wanted = np.clip(np.log(max(goal, 1)), rising[0], rising[-1])
            bits += np.interp(wanted, rising, of_bits)
            error += np.exp(wanted)
        return bits, error


def least_percent(ladders: Sequence[Ladder]) -> float:
    """Return the percentage of bits that blocks of equal error take over those of one step.

    One step for all, between two of the codes, with the same error of all blocks together.
    """
    bits, error = np.sum([ladder.at_goals() for ladder in ladders], axis=0)
    totals = [[part.sum(axis=(1, 2, 3)) for part in (one.bits, one.errors)] for one in ladders]
    total_bits, total_errors = np.log(np.maximum(np.sum(totals, axis=0), 1))
    alike = np.interp(np.log(error), np.maximum.accumulate(total_errors), total_bits)
    return float(100 * (bits / np.exp(alike) - 1))


def ladders_of(encoder: Encoder, scene: Scene, options: Options, psnr: float) -> list[Ladder]:
    """Return the smallest blocks of a scene of whole ones, by batches of tiles.

    Args:
        encoder: that of the flagship, in numpy.
        scene: scene.
        options: say how symbols are chosen.
        psnr: quality of blocks, dB of peak 65535.
    """
    header = scene.header()
    own = encoder.for_scene(header)
    coder = own.coder.using(options.quantizer) if options.quantizer else own.coder
    assert isinstance(coder, LappedTileCoder)
    target = np.array(squared_error(quality_of_psnr(psnr)))
    batches = Batches.analyse(coder, [scene.image], header, own.bundle.tile, 0).batches
    found: list[Ladder] = []
    codes: NDArray[np.int64] | None = None
    for batch in batches:
        blocks = coder.blocks(batch.prepared, SMALLEST)
        goals = goals_of(target, blocks.samples, blocks.fixed[:, None, None], coder.fraction)
        if codes is None:
            samples = np.broadcast_to(blocks.samples, goals.shape)
            first = int(Aim.at(goals, samples, np.zeros_like(goals)).codes.max())
            codes = np.arange(max(first - _FINER, 0), min(first + _COARSER, STEPS), _STRIDE)
        bits, errors = [], []
        for code in codes.tolist():
            steps = np.full(len(batch.indices), code)
            errors.append(coder.error(batch.prepared, steps, SMALLEST))
            bits.append(_bits(coder.scanner, batch.prepared.latents, steps))
        by_block = _by_block(np.array(bits), SMALLEST // BLOCK)
        found.append(Ladder(by_block, np.array(errors, np.float64), goals.astype(np.float64)))
    return found


def _bits(scanner: Scanner, latents: Latents, steps: NDArray[np.int64]) -> Reals:
    """Return the code length of each position of tiles (tiles, rows, cols) at steps."""
    tiles, rows, cols = latents.shape
    found = np.zeros((tiles, rows * cols))
    lattices = ContextState(scanner.model.contexts, 1, rows, cols)
    for number, layer in enumerate(scanner.scan(latents, steps), 1):
        cost = scanner.model.tables.cost(layer.quantised.rows, layer.quantised.indices)
        _, positions, channels = layer.pending.shape
        each = np.bincount(layer.pending.coded // channels, cost, minlength=tiles * positions)
        here = lattices.lattice(number) if number <= LATTICES else slice(None)
        found[:, here] += each.reshape(tiles, positions) / BIT
    return found.reshape(tiles, rows, cols)


def _by_block(values: Reals, side: int) -> Reals:
    """Return sums (..., rows, cols) over blocks of so many rows and columns."""
    rows, cols = values.shape[-2:]
    cut = values.reshape(*values.shape[:-2], rows // side, side, cols // side, side)
    return np.asarray(cut.sum(axis=(-3, -1)))
