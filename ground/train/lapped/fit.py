"""Trained weights of the lapped codec to integers, and the tables fitted to what they give."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from math import ceil, log2
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.projection import ANALYSIS_UNIT
from ground.decode.lapped.synthesis import SYNTHESIS_UNIT
from ground.train.lapped.steps import codes_of
from onboard.codec import rans
from onboard.codec.lapped.context import BLOCK, FREQUENCIES, LEVELS, ContextModel, ContextWeights
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.kinds import PLAIN, QUANTIZERS, TRELLIS
from onboard.codec.lapped.quantizers.quantisation import LARGEST_WORD, Quantisation
from onboard.codec.lapped.scan import Layer, Scanner
from onboard.codec.lapped.tables import BIT, ESCAPE, LARGEST, SYMBOLS, Tables, rows_of
from onboard.codec.lapped.transform import SUB_STEPS, LappedTransform
from onboard.codec.lapped.trellis import SETS
from onboard.errors import BundleError

if TYPE_CHECKING:  # so that tables can be fitted without torch
    from ground.train.lapped.model import ContextModel as TrainedContexts
    from ground.train.lapped.model import LappedTransform as TrainedTransform

SCALE = 440
"""int8 units of a filter weight."""
RATE_WEIGHT = 0.12
"""Squared steps that a bit is worth when a residual is rounded."""
_LARGE_SHARE = 4.0
ROUNDS = 3
Draw = Callable[[PreparedTiles, np.random.Generator], NDArray[np.int64]]
_PRIOR = 20
"""Residuals that a point as it is counts as."""
_GROUPS = (1, 3, 7, 12)
"""Those that pay most with 20 layers of AC."""


def integer_transform(trained: "TrainedTransform") -> LappedTransform:
    """Round the filters; those that should ignore a constant do so exactly."""
    analysis = trained.symmetric(trained.analysis.detach())[:, 0].numpy().astype(np.float64)
    weights = np.stack([_balanced(f * SCALE, i > 0) for i, f in enumerate(analysis)])
    synthesis = trained.symmetric(trained.synthesis.detach())[:, 0].numpy()
    octave = 2.0 ** (-np.arange(SUB_STEPS) / SUB_STEPS)
    mantissas = np.rint(octave * ANALYSIS_UNIT / SCALE).astype(np.int32)
    if np.abs(weights).max() > 127:
        raise BundleError(f"transform: weights reach {np.abs(weights).max():.0f}, int8 ends at 127")
    return LappedTransform(
        weights.astype(np.int8), np.rint(synthesis * SYNTHESIS_UNIT).astype(np.int16), mantissas
    )


def _balanced(weights: NDArray[np.float64], to_zero: bool) -> NDArray[np.float64]:
    """Round a filter so that it keeps its symmetry and, if asked, its sum is zero."""
    rounded = np.rint(weights)
    rest = (weights - rounded)[:BLOCK, :BLOCK].copy()
    while to_zero and abs(excess := float(rounded.sum())) >= 4:
        place = np.unravel_index(int((np.sign(excess) * rest).argmin()), rest.shape)
        change = -np.sign(excess)
        row, col, last = int(place[0]), int(place[1]), 2 * BLOCK - 1
        for r, c in product((row, last - row), (col, last - col)):
            rounded[r, c] += change
        rest[place] -= change
    return rounded


def integer_contexts(trained: "TrainedContexts") -> ContextModel:
    """Round the weights of the context model to 1/256 and order its channels by layer."""
    bands = trained.bands
    order = [b * FREQUENCIES for b in range(bands)]
    cuts = [bands]
    for members in trained.channels:
        order += members
        cuts.append(len(order))
    weights = trained.integer_weights()
    ac = order[bands:]
    by_class = ContextWeights(
        np.array(order),
        tuple(cuts),
        weights["same"][np.ix_(ac, order)].T.copy(),
        weights["near"][np.ix_(ac, order)].T.copy(),
        weights["slope"][ac].T.copy(),
        weights["bias"][ac],
        weights["dc"],
        weights["dc_bias"],
    )
    return ContextModel(by_class, bands)


def level_scale(level: int) -> float:
    """Return the Laplace scale in the middle of a level."""
    return float(2 ** (2 + level // 4) * (1 + (level % 4 + 0.5) / 4) / 256)


def groups_of(layers: int) -> tuple[int, ...]:
    """Return the first layers of groups that are coded with tables of their own."""
    return tuple(first for first in _GROUPS if first <= layers)


def start_tables(groups: tuple[int, ...]) -> Tables:
    """Return tables of Laplace laws for groups of layers."""
    shifts = np.array([max(0, ceil(log2(level_scale(n) / 4))) for n in range(LEVELS)], np.uint8)
    return tables_of(np.tile(_laws(shifts), (rows_of(len(groups)) // LEVELS, 1)), shifts, groups)


def _laws(shifts: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (64, 64) Laplace laws of the symbols of each level."""
    values = np.arange(-LARGEST, LARGEST + 1)
    counts = np.zeros((LEVELS, SYMBOLS))
    for level in range(LEVELS):
        scale = level_scale(level) / 2.0 ** float(shifts[level])
        counts[level, :ESCAPE] = np.exp(-np.abs(values) / scale)
        counts[level, LARGEST] = (
            (1 - np.exp(-0.5 / scale))
            * 2
            / (np.exp(-0.5 / scale) * (1 - np.exp(-1 / scale)))
            * np.exp(-1 / scale)
        )
    return counts


def tables_of(
    counts: NDArray[np.float64], shifts: NDArray[np.uint8], groups: tuple[int, ...]
) -> Tables:
    """Return tables of 4096 from counts of symbols; too rare a symbol is left to the escape."""
    frequencies = np.zeros(counts.shape, np.int64)
    for row, count in enumerate(counts):
        share = count / count.sum() * rans.TOTAL
        kept = share >= 0.5
        kept[ESCAPE] = True
        wanted = np.where(kept, np.maximum(share, 1), 0)
        wanted[ESCAPE] = max(1.0, share[~kept].sum() + share[ESCAPE])
        whole = np.maximum(np.rint(wanted / wanted.sum() * rans.TOTAL), kept).astype(np.int64)
        whole[int(whole.argmax())] += rans.TOTAL - whole.sum()
        frequencies[row] = whole
    return Tables(frequencies.astype(np.uint16), shifts, groups)


def fit_quantizer(tables: Tables, skip: int) -> Quantisation:
    """Return the dead zone and rounding that trade squared error for bits (RATE_WEIGHT).

    Between k and k + 1 the choice turns at k + 1/2 + RATE_WEIGHT / 2 (bits(k + 1) - bits(k)).
    """
    plain = LEVELS * len(tables.groups)
    bits = np.empty((plain, 4))
    for row in range(plain):
        for size in range(4):
            pair = np.array([size, -size], np.int32)
            bits[row, size] = tables.cost(np.full(2, row), pair).mean() / BIT
    # Low bits coded as they are make the cost of small residuals equal.
    dead = 0.5 + RATE_WEIGHT / 2 * np.maximum(bits[:, 1] - bits[:, 0], 0)
    later = np.clip(RATE_WEIGHT / 2 * (bits[:, 3] - bits[:, 1]) / 2, 0, 0.35)
    rounding = np.rint((0.5 - later) * 64).astype(np.int32)
    dead_units = np.maximum(np.rint(dead * 64).astype(np.int32), 64 - rounding)
    return Quantisation(dead_units, rounding, skip, point_codewords(tables))


def draw_codes(
    batch: PreparedTiles,
    rng: np.random.Generator,
    octaves: tuple[float, float] = (-0.5, 4.0),
    other_share: float = 0.5,
) -> NDArray[np.int64]:
    """Draw step codes around the detail of each tile, so that all rates are met.

    Args:
        batch: tiles.
        rng: what draws.
        octaves: steps over the detail of a tile, from and to.
        other_share: share of the tiles whose step has nothing to do with their detail.
    """
    ac = np.concatenate(batch.latents.parts[1:], axis=3, dtype=np.int32)
    detail = np.abs(ac).mean(axis=(1, 2, 3))
    detail = np.maximum(detail * 2.0**batch.latents.shifts / 14, 1)
    step = detail * 2 ** rng.uniform(*octaves, len(detail))
    other = 2 ** rng.uniform(2.5, 8, len(detail))
    step = np.where(rng.random(len(detail)) < other_share, other, step)
    return codes_of(np.clip(step, 1, 4000))


def fit(
    coder: LappedModel,
    batches: Sequence[PreparedTiles],
    seed: int,
    rounds: int = ROUNDS,
    decide: Callable[[Tables, int], Quantisation] = fit_quantizer,
    draw: Draw = draw_codes,
    quantizers: Sequence[str] = (PLAIN, TRELLIS),
    before: NDArray[np.float64] | None = None,
    report: Callable[[int, int], None] = lambda _round, _of: None,
) -> LappedModel:
    """Fit tables, dead zones and reconstruction codewords to prepared training tiles.

    Args:
        coder: codec to start from; transform, contexts and `skip` stay.
        batches: training tiles, each batch of any number of bands.
        seed: seed of what `draw` draws.
        rounds: rounds of fitting, each to what the last one gives.
        decide: function that gives dead zone and rounding for tables and `skip`.
        draw: function that gives the step codes that a batch is coded at.
        quantizers: kinds of tiles to fit to.
        before: counts of symbols that were seen before; None takes a few of a Laplace law, for
            what is never seen.
        report: called after each round with its number and how many there are.
    """
    rng = np.random.default_rng(seed)
    start = coder.quantisation.codewords / 256
    if before is None:
        laws = _laws(coder.tables.shifts)
        laws *= _LARGE_SHARE / laws.sum(axis=1, keepdims=True)
        before = np.tile(laws, (len(coder.tables.frequencies) // LEVELS, 1))
    for number in range(1, rounds + 1):
        counts = np.zeros(coder.tables.frequencies.shape)
        numbers = np.full(start.shape, float(_PRIOR))
        sums = start * numbers
        views = {n: coder.of_bands(n) for n in {batch.means.shape[1] for batch in batches}}
        for batch in batches:
            view = views[batch.means.shape[1]]
            steps = np.maximum(draw(batch, rng), batch.finest(view))
            for kind in quantizers:
                layers = Scanner(view, QUANTIZERS[kind](view)).scan(batch.latents, steps)
                _count(view, layers, counts, sums, numbers)
        tables = tables_of(_even(counts) + before, coder.tables.shifts, coder.tables.groups)
        decided = decide(tables, coder.quantisation.skip)
        codewords = np.rint(np.clip(sums / numbers, 0.25, 5) * 256).astype(np.uint16)
        coder = replace(coder, tables=tables, quantisation=replace(decided, codewords=codewords))
        report(number, rounds)
    return coder


def point_codewords(tables: Tables) -> NDArray[np.uint16]:
    """Return the codewords of points as they are: odd ones are half a step nearer to zero."""
    found = np.tile(np.arange(1, LARGEST_WORD + 1) * 256, (len(tables.frequencies), 1))
    odd = np.arange(len(found)) // LEVELS - len(tables.groups)
    found[(odd > 0) & (odd % SETS == 1)] -= 128
    return found.astype(np.uint16)


def _count(
    coder: LappedModel,
    layers: Iterable[Layer],
    counts: NDArray[np.float64],
    sums: NDArray[np.float64],
    numbers: NDArray[np.float64],
) -> None:
    """Add what one batch shows: symbols of each row, sums of magnitudes behind residuals."""
    for layer in layers:
        rows, residual = layer.quantised.rows, layer.quantised.indices
        high = residual >> coder.tables.shifts[rows % LEVELS].astype(np.int32)
        symbol = np.where(np.abs(high) > LARGEST, ESCAPE, high + LARGEST)
        flat = np.bincount(rows * SYMBOLS + symbol, minlength=counts.size)
        counts += flat.reshape(counts.shape)
        size = np.abs(residual)
        kind = np.minimum(size, LARGEST_WORD)
        # Larger ones count as if they were 4.
        centre = np.abs(layer.pending.away) / 64 - size + kind
        chosen = size > 0
        place = (rows * LARGEST_WORD + kind - 1)[chosen]
        sums += np.bincount(place, centre[chosen], sums.size).reshape(sums.shape)
        numbers += np.bincount(place, minlength=sums.size).reshape(sums.shape)


def _even(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make counts even in sign."""
    even = counts.copy()
    even[:, :ESCAPE] = (counts[:, :ESCAPE] + counts[:, ESCAPE - 1 :: -1]) / 2
    return even
