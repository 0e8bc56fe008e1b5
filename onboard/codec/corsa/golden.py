"""Part `golden` of a CORSA bundle, both directions (SPEC.md, section 7)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec import bitpack
from onboard.codec.corsa.quantizer import Level
from onboard.errors import BundleError


@dataclass(frozen=True)
class GoldenVector:
    """A tile, u16 (bands, tile, tile), and its index maps, coarse to fine."""

    samples: NDArray[np.uint16]
    indices: tuple[NDArray[np.uint16], ...]


def pack_golden(vectors: Sequence[GoldenVector], widths: Sequence[int]) -> bytes:
    """Return the part `golden`.

    Args:
        vectors: the golden vectors.
        widths: bits of an index of each level, coarse to fine.
    """
    packed = len(vectors).to_bytes(2, "big")
    for vector in vectors:
        packed += vector.samples.astype(">u2").tobytes()
        for indices, width in zip(vector.indices, widths, strict=True):
            packed += bitpack.pack(indices, width)
    return packed


def unpack_golden(
    packed: bytes, levels: Sequence[Level], maps: Sequence[int], bands: int, size: int
) -> tuple[GoldenVector, ...]:
    """Read what `pack_golden` wrote.

    Args:
        packed: the part `golden`.
        levels: levels of indices, coarse to fine.
        maps: bytes of the index map of each level.
        bands: bands of a tile.
        size: rows and columns of a tile.

    Raises:
        BundleError: the part has another length than it promises.
    """
    sample_bytes = 2 * bands * size * size
    each = sample_bytes + sum(maps)
    count = int.from_bytes(packed[:2], "big")
    if len(packed) != 2 + count * each:
        raise BundleError(f"golden vectors: expected {2 + count * each} bytes, found {len(packed)}")
    found = []
    for first in range(2, 2 + count * each, each):
        samples = np.frombuffer(packed, ">u2", sample_bytes // 2, first).astype(np.uint16)
        position, indices = first + sample_bytes, []
        for level, length in zip(levels, maps, strict=True):
            side = size // level.reduction
            part = packed[position : position + length]
            indices.append(bitpack.unpack(part, level.width, side * side).reshape(side, side))
            position += length
        found.append(GoldenVector(samples.reshape(bands, size, size), tuple(indices)))
    return tuple(found)
