"""Fixed quality: the step codes at which windows, or blocks of tiles, have the error asked for.

(SPEC.md, section 22.) What the ground will find follows from the symbols; nothing is decoded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onboard.codec.blocks import UNIT, Blocks
from onboard.codec.tile import Steps
from onboard.encoder.aim import ROUNDED, TRIES, Aim, Ints64
from onboard.encoder.batches import Batch, Share
from onboard.encoder.blockaim import BlockAim
from onboard.encoder.budget import within
from onboard.encoder.options import Options
from onboard.encoder.outcome import BlocksOutcome, Outcome
from onboard.encoder.quality import Quality
from onboard.encoder.search import scattered
from onboard.encoder.windows import RateWindows
from onboard.errors import SkybookError
from onboard.link.framing import Strip

_POSITION = 8
_NONE = np.zeros(1, np.int64)
_LARGEST_GOAL = 1 << 36
"""Of a sample, so that sums of a row of tiles stay below 2^63."""
_MOST_SAMPLES = 1 << 23
"""Of a window whose sums do."""


def at_quality(
    windows: RateWindows, options: Options, budgets: Sequence[int], spare: int, written: int
) -> tuple[list[Strip], Outcome]:
    """Return the segments at the quality asked for, and what came of it.

    Args:
        windows: the windows, analysed.
        options: what the caller chose; a ratio or a budget bounds the bytes.
        budgets: as of `within`, which has the word on bytes, and so on.
        spare: likewise.
        written: segments of the scene before these.
    """
    if options.quality is None:
        raise SkybookError("quality: none was asked for")
    aimed = Aimed.at(windows, options.quality, options.trellis)
    if options.limited:
        least = replace(windows, fields=aimed.windows.fields, least=aimed.steps)
        return within(least, budgets, spare, written, options.budget is not None)
    outcomes = [aimed.outcome(window) for window in windows.analysed.ranges]
    return aimed.windows.at(aimed.steps, written), sum(outcomes, Outcome())


@dataclass(frozen=True)
class Aimed:
    """Windows whose tiles have step codes by the quality asked for.

    Attributes:
        windows: the windows, with the fields of their tiles.
        steps: step code of each tile that has data.
        errors: squared error that each is expected to have, in units of `Blocks`.
        missed: blocks of each that are out of reach; of windows 1 for all tiles of one.
        eased: whether all blocks of a tile, or all tiles of a window, are better than was asked.
        blocks: what is expected of blocks, by tile.
    """

    windows: RateWindows
    steps: Steps
    errors: Ints64
    missed: Ints64
    eased: NDArray[np.bool_]
    blocks: list[BlocksOutcome]

    @classmethod
    def at(cls, windows: RateWindows, quality: Quality, trellis: bool = False) -> "Aimed":
        """Aim at a quality, with indices along a trellis or without."""
        count = windows.analysed.count
        steps, errors, missed = np.zeros((3, count), np.int64)
        found = cls(
            windows, steps, errors, missed, np.ones(count, np.bool_), [BlocksOutcome()] * count
        )
        if quality.block:
            for share in windows.analysed.shares(np.arange(count)):
                found._take_blocks(share, quality, trellis)
        else:
            for window in windows.analysed.ranges:
                tiles = windows.analysed.tiles(window)
                if len(tiles):
                    found._take_window(tiles, quality)
        return found

    def outcome(self, window: range) -> Outcome:
        """Return what became of the quality of a window."""
        tiles = self.windows.analysed.tiles(window)
        if not len(tiles):
            return Outcome()
        coarser = [int(self.windows.fields.get(tile, _NONE).max()) for tile in tiles.tolist()]
        return Outcome(
            (int(self.steps[tiles].min()), int((self.steps[tiles] + coarser).max())),
            int(self.errors[tiles].sum()) // UNIT,
            self.windows.samples(window),
            1,
            int(self.missed[tiles].any()),
            int(self.eased[tiles].all()),
            self.windows.coder.fraction,
            sum((self.blocks[tile] for tile in tiles), BlocksOutcome()),
        )

    def _take_blocks(self, share: Share, quality: Quality, trellis: bool) -> None:
        """Aim at the quality of each block of a batch."""
        coder, (batch, places, _) = self.windows.coder, share
        side = min(quality.block, self.windows.analysed.tile)
        blocks = coder.blocks(batch.prepared, side)
        targets = self._targets(batch, quality, side, blocks.samples.shape)
        fixed = blocks.fixed[:, None, None]
        goals = goals_of(targets, blocks.samples, fixed, coder.fraction)
        finest = _each(coder.finest(batch.prepared), goals)
        shape = batch.nodata.shape[1:]

        def measure(tiles: NDArray[np.int64], codes: Steps) -> Ints64:
            steps = _of_positions(codes, side, shape)
            return coder.error(batch.prepared.take(tiles), steps, side)

        samples = np.broadcast_to(blocks.samples, goals.shape)
        aim = BlockAim(side, goals, samples, measure, trellis)
        aimed = aim.shared(aim.own(finest), finest)
        self.steps[places] = aimed.codes.min(axis=(1, 2))
        self.missed[places] = aimed.missed.sum(axis=(1, 2))
        self.eased[places] = aimed.eased.all(axis=(1, 2))
        self._note(share, blocks, aimed.errors)
        expected = (aimed.errors / blocks.samples + fixed) / 4**coder.fraction + ROUNDED
        for number, place in enumerate(places.tolist()):
            away = 10 * np.log10(np.maximum(targets[number], 1) / expected[number])
            missed, eased = aimed.missed[number].sum(), aimed.eased[number].sum()
            self.blocks[place] = BlocksOutcome.of(away, int(missed), int(eased))
            coarser = _of_positions(aimed.codes[number : number + 1], side, shape)[0]
            coarser -= coarser.min()
            if coarser.any():
                self.windows.fields[place] = coarser

    def _targets(self, batch: Batch, quality: Quality, side: int, shape: tuple[int, ...]) -> Ints64:
        """Return the squared errors that samples of blocks may have, in units of `Blocks`."""
        analysed = self.windows.analysed
        found = np.empty((len(batch.indices), *shape), np.int64)
        rows, cols = batch.nodata.shape[1:]
        for number, index in enumerate(batch.indices.tolist()):
            top = index // analysed.columns * analysed.tile
            left = index % analysed.across * analysed.tile
            for row, col in np.ndindex(*shape):
                y, x = row * side, col * side
                box = top + y, left + x, min(side, rows - y), min(side, cols - x)
                found[number, row, col] = quality.goal(*box)
        return found

    def _take_window(self, tiles: NDArray[np.int64], quality: Quality) -> None:
        """Aim at the quality of all tiles of a window together."""
        windows, count = self.windows, len(tiles)
        samples, goals = np.zeros((2, count), np.int64)
        for share, blocks in self._shares(tiles):
            samples[share.places] = blocks.samples.sum()
            target = np.array(quality.goal(0, 0, 1, 1))
            own = goals_of(target, samples[share.places], blocks.fixed, windows.coder.fraction)
            goals[share.places] = own
        shift = max(int(samples.sum()) // _MOST_SAMPLES, 1).bit_length() - 1
        finest = windows.finest(tiles)
        one = np.array([int((goals >> shift).sum())]), np.array([int((samples >> shift).sum())])
        aim = Aim.at(*one, finest.min(keepdims=True))
        known: dict[int, Ints64] = {}
        for _ in range(TRIES):
            if not aim.open.any():
                break
            code = int(aim.codes[0])
            known[code] = self._errors(tiles, np.maximum(code, finest)) >> shift
            aim.take(known[code].sum(keepdims=True))
        aim.settle()
        steps = np.full(count, aim.codes[0])
        if not (aim.missed | aim.eased).any():
            finer, coarser = (known[int(code[0])] for code in (aim.low, aim.high))
            steps[:] = aim.high
            steps[_nearest(finer, coarser, int(aim.goals[0]))] = aim.low
        errors = np.select([steps == code for code in known], [known[code] for code in known])
        self.steps[tiles] = np.maximum(steps, finest)
        self.missed[tiles] = aim.missed
        self.eased[tiles] = aim.eased
        for share, blocks in self._shares(tiles):
            whole = errors[share.places] << shift
            self._note(share._replace(places=tiles[share.places]), blocks, whole[:, None, None])

    def _shares(self, tiles: NDArray[np.int64]) -> Iterator[tuple[Share, Blocks]]:
        """Yield what each batch has of some tiles, each a block."""
        for share in self.windows.analysed.shares(tiles):
            prepared = share.batch.prepared.take(share.own)
            yield share, self.windows.coder.blocks(prepared, self.windows.analysed.tile)

    def _errors(self, tiles: NDArray[np.int64], steps: Steps) -> Ints64:
        """Return the squared errors that tiles will have because of their steps."""
        found = np.zeros(len(tiles), np.int64)
        side = self.windows.analysed.tile
        for batch, places, own in self.windows.analysed.shares(tiles):
            errors = self.windows.coder.error(batch.prepared.take(own), steps[places], side)
            found[places] = errors.sum(axis=(1, 2))
        return found

    def _note(self, share: Share, blocks: Blocks, errors: Ints64) -> None:
        """Note the errors of tiles, of their samples that have data alone, less one rounding."""
        batch, places, own = share
        coded = int(blocks.samples.sum())
        whole = errors.sum(axis=(1, 2)) / coded + blocks.fixed - ROUNDED
        valid = self.windows.coder.bands * (~batch.nodata[own]).sum(axis=(1, 2))
        self.errors[places] = (whole * valid).astype(np.int64)


def goals_of(targets: Ints64, samples: Ints64, fixed: Ints64, fraction: int) -> Ints64:
    """Return the squared errors that steps may make in blocks.

    Args:
        targets: squared errors that samples may have.
        samples: samples of blocks.
        fixed: squared errors of samples that no step changes, see `Blocks`.
        fraction: fraction bits that samples get, below 0 where they are coarser than a DN.
    """
    finer, coarser = max(2 * fraction, 0), max(-2 * fraction, 0)
    own = np.minimum((targets - ROUNDED) << finer >> coarser, _LARGEST_GOAL)
    return np.asarray(samples * (own - fixed))


def _each(values: Ints64, like: Ints64) -> Ints64:
    """Return a value of each tile for each of its blocks."""
    return np.broadcast_to(values[:, None, None], like.shape)


def _of_positions(codes: Steps, side: int, shape: tuple[int, ...]) -> Steps:
    """Return the codes of positions from those of blocks of `side` pixels, of tiles of a shape."""
    rows, cols = (-(-pixels // _POSITION) for pixels in shape)
    return codes.repeat(side // _POSITION, 1).repeat(side // _POSITION, 2)[:, :rows, :cols].copy()


def _nearest(finer: Ints64, coarser: Ints64, goal: int) -> NDArray[np.int64]:
    """Return the tiles that are to have the finer code, so that all come nearest to a goal.

    Args:
        finer: errors of tiles with the finer code.
        coarser: those with the coarser.
        goal: squared error that all may have.
    """
    order = scattered(len(finer))
    totals = np.concatenate([[0], np.cumsum((finer - coarser)[order])]) + int(coarser.sum())
    return order[: int(np.argmin(np.abs(totals - goal)))]
