"""Quantizer: latent maps to index maps, coarse to fine, in integers (SPEC.md, section 6).

All numbers are in half units of the int8 latents. The levels form a closed loop: what the coarser
codewords already say of a finer latent is subtracted before that latent is quantised, so a finer
level also corrects the quantisation error of the coarser ones. A bundle whose prediction matrices
are zero is the plain quantizer per level.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.corsa.codebook import LATENT_LIMIT, MAX_DIMS, Codebook
from onboard.errors import BundleError

PREDICTION_SHIFT = 8
UNITS_PER_LATENT = 2
MAX_LEVELS = 15


@dataclass(frozen=True)
class Level:
    """One level of the pyramid.

    Attributes:
        reduction: pixels of the tile per latent position, in rows and in columns.
        width: bits of a packed index.
        codebook: the codewords, int16 (codewords, dims), in half units.
        prediction: int16 (2, 2, dims, dims of the level above), in 1/256; None at the coarsest.
    """

    reduction: int
    width: int
    codebook: Codebook
    prediction: NDArray[np.int16] | None

    def predict(self, known: NDArray[np.int32]) -> NDArray[np.int32]:
        """Predict latents (dims, 2 rows, 2 cols) from what is known above (dims, rows, cols)."""
        assert self.prediction is not None
        dims_above, rows, cols = known.shape
        # float32 holds every partial sum exactly: read_levels refuses |sums| of 2^24 or more.
        matrix = self.prediction.reshape(-1, dims_above).astype(np.float32)
        sums = matrix @ known.reshape(dims_above, -1).astype(np.float32)
        half = 1 << (PREDICTION_SHIFT - 1)
        predicted = (sums.astype(np.int32) + half) >> PREDICTION_SHIFT
        quarters = predicted.reshape(2, 2, -1, rows, cols)
        return quarters.transpose(2, 3, 0, 4, 1).reshape(-1, 2 * rows, 2 * cols)


def quantise(
    levels: Sequence[Level], latents: Sequence[NDArray[np.int8]]
) -> list[NDArray[np.uint16]]:
    """Return an index map (rows, cols) per level, coarse to fine.

    Args:
        levels: coarse to fine.
        latents: int8 (dims, rows, cols) per level, coarse to fine.
    """
    maps = []
    known: NDArray[np.int32] | None = None
    for level, latent in zip(levels, latents, strict=True):
        target = UNITS_PER_LATENT * latent.astype(np.int32)
        predicted = np.zeros_like(target) if known is None else level.predict(known)
        residual = np.clip(target - predicted, -LATENT_LIMIT, LATENT_LIMIT).astype(np.int16)
        indices = level.codebook.nearest(residual)
        codewords = level.codebook.codewords[indices].transpose(2, 0, 1)
        known = np.clip(predicted + codewords, -LATENT_LIMIT, LATENT_LIMIT).astype(np.int32)
        maps.append(indices)
    return maps


def pack_levels(levels: Sequence[Level]) -> tuple[list[dict[str, Any]], bytes]:
    """Return the `levels` entry of the wire manifest and the part `codebooks`."""
    entries, part = [], b""
    for level in levels:
        packed = level.codebook.pack()
        if level.prediction is not None:
            packed += level.prediction.astype(">i2").tobytes()
        codewords, dims = level.codebook.codewords.shape
        entries.append(
            {
                "reduction": level.reduction,
                "width": level.width,
                "codewords": codewords,
                "dims": dims,
                "sha256": hashlib.sha256(packed).hexdigest(),
            }
        )
        part += packed
    return entries, part


def read_levels(entries: Any, part: bytes, tile: int) -> tuple[Level, ...]:
    """Read and check what `pack_levels` wrote.

    Raises:
        BundleError: sizes, hashes or values do not fit together.
    """
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_LEVELS:
        raise BundleError(f"levels: expected a list of 1..{MAX_LEVELS}, found {entries!r:.80}")
    levels: list[Level] = []
    position = 0
    for entry in entries:
        above = levels[-1] if levels else None
        length = _packed_length(entry, above, tile)
        packed = part[position : position + length]
        if hashlib.sha256(packed).hexdigest() != entry["sha256"]:
            raise BundleError(f"level {len(levels) + 1}: codebook SHA-256 does not match")
        levels.append(_read_level(entry, packed, above))
        position += length
    if position != len(part):
        raise BundleError(f"codebooks: expected {position} bytes, found {len(part)}")
    return tuple(levels)


def _packed_length(entry: dict[str, Any], above: Level | None, tile: int) -> int:
    """Check the numbers of a level; return the bytes its tables take."""
    ranges = {
        "reduction": (1, tile),
        "width": (1, 16),
        "codewords": (1, 65_536),
        "dims": (1, MAX_DIMS),
    }
    for key, (least, most) in ranges.items():
        value = entry[key]
        if type(value) is not int or not least <= value <= most:
            raise BundleError(f"level {key}: expected {least}..{most}, found {value!r}")
    if tile % entry["reduction"] or entry["codewords"] > 1 << entry["width"]:
        raise BundleError(f"level: reduction or index width does not fit: {entry}")
    if above is None:
        return int(2 * entry["codewords"] * entry["dims"])
    if above.reduction != 2 * entry["reduction"]:
        raise BundleError(f"level reduction: expected {above.reduction // 2}, found {entry}")
    dims_above = above.codebook.codewords.shape[1]
    return int(2 * entry["codewords"] * entry["dims"] + 8 * entry["dims"] * dims_above)


def _read_level(entry: dict[str, Any], packed: bytes, above: Level | None) -> Level:
    dims = entry["dims"]
    table = 2 * entry["codewords"] * dims
    codebook = Codebook.unpack(packed[:table], entry["codewords"], dims)
    if above is None:
        return Level(entry["reduction"], entry["width"], codebook, None)
    dims_above = above.codebook.codewords.shape[1]
    flat = np.frombuffer(packed, ">i2", offset=table).astype(np.int16)
    prediction = flat.reshape(2, 2, dims, dims_above)
    if np.abs(prediction.astype(np.int64)).sum(axis=3).max() * LATENT_LIMIT >= 1 << 24:
        raise BundleError("level prediction: sums reach 2^24, not exact in float32")
    return Level(entry["reduction"], entry["width"], codebook, prediction)
