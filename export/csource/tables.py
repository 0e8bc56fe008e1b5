"""Constants of the C encoder: the integers of a bundle as arrays of C types."""

import numpy as np
from numpy.typing import NDArray

from export.csource.arrays import SMALL_BUILD, USUAL_BUILD, Table
from export.csource.hiddentables import hidden_starts, own_signs, starts
from onboard.bundle import Bundle
from onboard.codec import rans
from onboard.codec.lapped import bandtransform
from onboard.codec.lapped.codec import MOST_BITS, LappedCodec
from onboard.codec.lapped.context import (
    BLOCK,
    FREQUENCIES,
    HALF_SIZE_CAP,
    LEVELS,
    SIZE_CAP,
    SLOPE_CAP,
    ContextModel,
    ContextWeights,
)
from onboard.codec.lapped.errorguess import ErrorGuess
from onboard.codec.lapped.frontends import alignment
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.part import MAX_BANDS
from onboard.codec.lapped.quantizers.quantisation import LARGEST_WORD
from onboard.codec.lapped.quantizers.trellis import Trellis
from onboard.codec.lapped.sizeguess import FIRST_BIN, SizeGuess
from onboard.codec.lapped.tables import ESCAPE, Tables
from onboard.codec.lapped.transform import LATENT_SHIFT, PLANE_LIMIT, SUB_STEPS, LappedTransform
from onboard.codec.lapped.trellis import SETS
from onboard.codec.tile import STEPS
from onboard.errors import BundleError

_HALF_AT_MOST = 1 << 22
"""Half of the largest divisor by which latents are scaled (SPEC.md, section 9)."""
_GUESS_BINS = 96
"""Quarter octaves of a latent, from 1 to below 2^24."""
_GUESS_SHIFTS = 9
"""Octaves by which planes are scaled down, at most: those of 16 bands, or a mosaic, of 16 bits."""
_GUESS_ORIGIN = 4 * (_GUESS_BINS - 1) + SUB_STEPS * _GUESS_SHIFTS


def numbers(bundle: Bundle) -> dict[str, int]:
    """Return every constant number by its name."""
    codec = LappedCodec.of(bundle.codec)
    lapped = codec.model
    return {
        "CLASSES": lapped.weights.classes,
        "TILE": codec.usual_tile,
        "AC_LAYERS": len(lapped.weights.cuts) - 1,
        "AC_LAYERS_OF_ONE": len(lapped.weights.first(1).cuts) - 1,
        "SKIP": lapped.quantisation.skip,
        "LEAST_SUM": _least_sum(lapped.quantisation.skip),
        "MOST_TERMS": int(np.diff(_sparse(lapped.weights)[0]).max()),
        "PAIRS_FIT": int(_pairs_fit(lapped.weights)),
        "WHOLE_LEVELS": int(np.argmax(np.append(lapped.tables.shifts, 1) > 0)),
        "LARGEST_MANTISSA": int(lapped.transform.mantissas.max()),
        "PLAIN_ROWS": len(lapped.quantisation.dead),
        "HIDDEN_ROW": len(lapped.tables.frequencies),
        "EVEN_LEVELS": 1 + int((np.flatnonzero(own_signs(lapped.tables)) % LEVELS).max(initial=0)),
        "ERROR_WEIGHT": ErrorGuess.of(lapped, codec.error_permille).weight,
        "GUESS_BINS": _GUESS_BINS,
        "GUESS_ORIGIN": _GUESS_ORIGIN,
        "GUESS_AT_ONCE": (2**32 - 1) // int(_guess(lapped).max()),
    }


def widest_layers(bundle: Bundle) -> list[int]:
    """Return the channels of the widest layer of scenes of 1, 2, ... bands or fewer but for one."""
    weights = LappedCodec.of(bundle.codec).model.weights
    widest = [ContextModel(weights, bands).widest_layer for bands in range(1, MAX_BANDS + 1)]
    return [widest[0], *(max(widest[1 : bands + 1]) for bands in range(1, MAX_BANDS))]


def constants(bundle: Bundle) -> list[Table]:
    """Return every constant array."""
    lapped = LappedCodec.of(bundle.codec).model
    weights, quantizer, tables = lapped.weights, lapped.quantisation, lapped.tables
    circle = bandtransform.matrix(np.arange(bandtransform.ANGLES, dtype=np.uint8)[:, None], 2)
    terms, planes, in_use = _sparse(weights)
    filters = _quarters(lapped.transform)
    near_used = np.zeros(weights.cuts[-1], np.int64)
    places = np.unique(lapped.contexts.order % FREQUENCIES, return_index=True)[1]
    near_used[np.flatnonzero(weights.near.any(axis=1))] = 1
    return [
        Table("model", "uint8_t", np.frombuffer(bundle.tag, np.uint8)),
        Table("cosines", "int16_t", circle[:, 0, 0]),
        Table("sines", "int16_t", circle[:, 0, 1]),
        Table("alignment", "int16_t", alignment.MATRICES),
        Table("pairs", "int16_t", filters.reshape(4, 16, 32, 2).swapaxes(1, 2)),
        Table("bounds", "int32_t", _bounds(lapped.transform)),
        Table("mantissas", "uint16_t", lapped.transform.mantissas),
        Table("order", "uint16_t", weights.order),
        Table("cuts", "uint16_t", np.array(weights.cuts)),
        Table("dc", "uint16_t", weights.dc),
        Table("dc_bias", "uint16_t", weights.dc_bias),
        Table("bias", "uint16_t", weights.bias),
        Table("terms", "uint32_t", terms),
        Table("addends", "uint32_t", planes | in_use << 16),
        Table("near_used", "uint8_t", near_used),
        Table("dead", "uint8_t", quantizer.dead),
        Table("rounding", "uint8_t", quantizer.rounding),
        Table("shifts", "uint8_t", tables.shifts),
        Table("first_rows", "uint16_t", _first_rows(lapped)),
        Table("own", "uint32_t", own_signs(tables)),
        Table("starts", "uint16_t", starts(tables), SMALL_BUILD),
        Table(
            "starts",
            "uint16_t",
            np.concatenate([starts(tables), hidden_starts(tables)]),
            USUAL_BUILD,
        ),
        Table("inverses", "uint64_t", _inverses(), USUAL_BUILD),
        Table("costs", "uint16_t", _costs(tables), USUAL_BUILD),
        Table("bits", "uint16_t", _bits(tables), SMALL_BUILD),
        Table("power", "uint16_t", lapped.border_power[:, places]),
        *_choosing(bundle),
        Table("guess", "uint32_t", _guess(lapped)),
    ]


def _quarters(transform: LappedTransform) -> NDArray[np.int64]:
    """Return the upper left 8x8 weights of filters that are even or odd along each axis.

    Returns:
        (4, 16, 64): by parity (2 row + column), number among the filters of that parity, weight.

    Raises:
        BundleError: they are not, or latents times a step's mantissa do not fit 32 bits.
    """
    filters = transform.analysis.astype(np.int64)
    for number, weights in enumerate(filters):
        row_sign, col_sign = (1 - 2 * (place % 2) for place in divmod(number, BLOCK))
        if (weights != row_sign * weights[::-1]).any() or (
            weights != col_sign * weights[:, ::-1]
        ).any():
            raise BundleError(f"transform: filter {number} is neither even nor odd along an axis")
    largest = int(_bounds(transform).max())
    if largest * int(transform.mantissas.max()) + _HALF_AT_MOST >= 1 << 31:
        raise BundleError("transform: latents times a step's mantissa do not fit 32 bits")
    quarters = filters[:, :BLOCK, :BLOCK].reshape(4, 2, 4, 2, FREQUENCIES)
    return quarters.transpose(1, 3, 0, 2, 4).reshape(4, 16, FREQUENCIES)


def _bounds(transform: LappedTransform) -> NDArray[np.int64]:
    """Return what no latent of each filter passes: its weights' magnitudes times the largest plane.

    One more than that, as latents are rounded.
    """
    weights = np.abs(transform.analysis.astype(np.int64)).sum(axis=(1, 2))
    return np.asarray((weights * PLANE_LIMIT >> LATENT_SHIFT) + 1, np.int64)


def _sparse(
    weights: ContextWeights,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return where the terms of each AC channel begin, and plane and weight of all that count.

    Planes are the sizes of the channels, the sums over their neighbours, and the DC slopes.
    """
    same, near = weights.same.astype(np.int64), weights.near.astype(np.int64)
    for first, stop in zip(weights.cuts[:-1], weights.cuts[1:], strict=True):
        part = slice(first - weights.classes, stop - weights.classes)
        same[first:, part] = near[first:, part] = 0  # only channels of earlier layers count
    stacked = np.concatenate([same, near, weights.slope.astype(np.int64)])
    channel, plane = np.nonzero(stacked.T)
    starts = np.searchsorted(channel, np.arange(stacked.shape[1] + 1))
    return starts, plane, stacked[plane, channel]


def _pairs_fit(weights: ContextWeights) -> bool:
    """Return whether weights fit 7 bits, and two planes times theirs together 15 bits."""
    sizes = max(SIZE_CAP, HALF_SIZE_CAP)
    caps = {4 * sizes: weights.near, sizes: weights.same, 2 * SLOPE_CAP: weights.slope}
    most = max(cap * int(own.max()) for cap, own in caps.items())
    largest = max(int(own.max()) for own in caps.values())
    return largest < 1 << 7 and 2 * most < 1 << 15


def sum_type(weights: ContextWeights) -> str:
    """Return the narrowest type of every sum of the context model, of any bands, in half steps."""
    caps = max(SIZE_CAP, HALF_SIZE_CAP), 2 * SLOPE_CAP, 2
    most = ContextModel(weights, MAX_BANDS).largest_ac_sum(*caps)
    return "uint16_t" if most < 1 << 16 else "uint32_t"


def _least_sum(skip: int) -> int:
    """Return the least sum whose level is above `skip`, at least 0."""
    octave, quarter = divmod(skip + 1 + 8, 4)
    return (4 + quarter) << (octave - 2) if skip >= 0 else 0


def _costs(tables: Tables) -> NDArray[np.int64]:
    """Return what residuals cost, (rows, symbols) in 1/256 bit, raw bits and escapes included."""
    row, symbol = (np.asarray(place, np.int64) for place in np.indices(tables.costs.shape))
    residual = (symbol - ESCAPE // 2) << tables.shift_of.astype(np.int64)[row]
    return tables.cost(row, np.asarray(residual, np.int32)).astype(np.int64)


def _inverses() -> NDArray[np.int64]:
    """Return 2^44 by a frequency, rounded up, by how much that is below all: from 0 on."""
    return np.asarray(-(-(1 << 44) // (rans.TOTAL - np.arange(rans.TOTAL))), np.int64)


def _bits(tables: Tables) -> NDArray[np.int64]:
    """Return the bits of a symbol by its frequency, in 1/256, 0 of 0.

    Raises:
        BundleError: symbols of a frequency take different bits.
    """
    bits = np.zeros(rans.TOTAL + 1, np.int64)
    bits[tables.frequencies] = tables.costs
    if (bits[tables.frequencies] != tables.costs).any():
        raise BundleError("tables: symbols of the same frequency take different bits")
    return bits


def _first_rows(lapped: LappedModel) -> NDArray[np.int64]:
    """Return the first row of each layer, (2, layers): of plain and of dependent tiles."""
    layers = range(1, lapped.contexts.layers + 1)
    rows = [[lapped.tables.first_row(layer, sets) for layer in layers] for sets in (1, SETS)]
    return np.array(rows, np.int64)


def _choosing(bundle: Bundle) -> list[Table]:
    """Return what the indices of dependent tiles are chosen by.

    Entries of `index_costs`, 64 magnitudes a row from that after the plain ones on, have the cost
    in the low 16 bits and, above, what an index stands for less than itself.

    Raises:
        BundleError: a path may cost more than 31 bits hold.
    """
    codec = LappedCodec.of(bundle.codec)
    for bands in (1, MAX_BANDS):
        of_scene = codec.for_scene(bands, MOST_BITS)
        Trellis.of(of_scene.model).check((of_scene.tile // BLOCK) ** 2)
    lapped = codec.model
    trellis, plain = Trellis.of(lapped), len(lapped.quantisation.dead)
    bits = trellis.chooser.bits.reshape(-1, LEVELS)[plain:].astype(np.int64)
    short = trellis.chooser.short.reshape(-1, 1 + LARGEST_WORD)[plain:].astype(np.int64)
    words = np.minimum(np.arange(bits.shape[1]), LARGEST_WORD)
    entries = bits + (np.take(short, words, axis=1) << 16)
    return [
        Table("short", "int16_t", trellis.chooser.short.reshape(-1, 1 + LARGEST_WORD)),
        Table("worth", "uint16_t", trellis.bit_worth),
        Table("index_costs", "int32_t", entries.reshape(-1), USUAL_BUILD),
    ]


def _guess(lapped: LappedModel) -> NDArray[np.int64]:
    """Return the bits, in 1/4096, that a latent may take, by its size in steps.

    Entry `code + origin - 4 bin - 16 shift` is that of a latent of the bin, in quarter octaves from
    1 on, of a tile scaled down by `shift` octaves, at the step code.
    """
    bits = np.zeros(_GUESS_ORIGIN + STEPS, np.int64)
    guess = SizeGuess.of(lapped.transform)
    for shift in range(_GUESS_SHIFTS + 1):
        by_bin = guess.bits_at(shift)[FIRST_BIN : FIRST_BIN + _GUESS_BINS]
        for number, by_code in enumerate(by_bin):
            first = _GUESS_ORIGIN - 4 * number - SUB_STEPS * shift
            bits[first : first + STEPS] = by_code
    return bits
