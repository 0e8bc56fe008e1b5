"""Compiled reading: tiles that arrived whole to digital numbers, in the library of engine `c`.

The exact image is that of numpy to the bit; other numbers differ by how sums are rounded. Tiles of
which anything is missing or wrong are left to numpy.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.errorguess import NOT_ZERO, ErrorGuess
from ground.decode.lapped.lanes import LaneTile
from ground.decode.lapped.projection import ANALYSIS_UNIT
from ground.decode.lapped.synthesis import STEP_GRID, SYNTHESIS_UNIT
from onboard.codec.lapped import floors
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.context import BLOCK, FREQUENCIES
from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd
from onboard.codec.lapped.frontends.frontend import LappedSide
from onboard.codec.lapped.transform import LappedTransform
from onboard.codec.tile import DEPENDENT, FULL, SIGN_HIDING
from onboard.engine.library import Library, Tiles, aligned, tile_for
from onboard.link.crc import use_compiled

_DEPTH = 16
_SIDE = 2 * BLOCK
_LANE = np.dtype([(name, np.uint32) for name in ("layer", "first", "start", "length")])


class _Model(ctypes.Structure):
    """`struct skybook_read_model`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("words", "zeros", "synthesis", "analysis")),
        *((name, ctypes.c_void_p) for name in ("plain_synthesis", "plain_analysis")),
        *((name, ctypes.c_double) for name in ("not_zero", "unit")),
    )


class CompiledReader:
    """Reads lanes of tiles and rebuilds them linearly."""

    def __init__(self, codec: LappedCodec, library: Library) -> None:
        """Take a codec whose library is open."""
        self._codec, self.library = codec, library
        self._guess = ErrorGuess.of(codec.model)
        transform, words = codec.model.transform, codec.model.quantisation.codewords
        filters = _quarters(transform.synthesis) / SYNTHESIS_UNIT, transform.analysis
        self._arrays: tuple[NDArray[Any], ...] = (
            np.ascontiguousarray(words / np.float32(256), np.float32),
            np.ascontiguousarray(self._guess.zeros),
            *(_aligned(own, np.float64) for own in filters),
            *(_aligned(own, np.float32) for own in filters),
        )
        unit = float(transform.mantissas[0]) / ANALYSIS_UNIT
        self._model = _Model(*(array.ctypes.data for array in self._arrays), NOT_ZERO, unit)
        use_compiled(library)

    @classmethod
    def of(cls, codec: LappedCodec) -> "CompiledReader | None":
        """Return what reads streams of a codec, None where numpy has to.

        That is without a library, and of mosaics, profiles and filters that are no mirrors.
        """
        front_end = codec.model.front_end
        if type(front_end) is not AdaptiveFrontEnd or front_end.aligned or codec.profile:
            return None
        library = codec.compiled()
        return cls(codec, library) if library and _mirrors(codec.model.transform) else None

    def rebuild(
        self,
        tiles: Sequence[LaneTile],
        sides: Sequence[LappedSide],
        pixels: Sequence[NDArray[np.float32]],
        exact: bool,
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Rebuild tiles of one shape that are coded alike, as far as they arrived whole.

        Args:
            tiles: what arrived of them.
            sides: side information of each.
            pixels: where the pixels of each go, (bands, rows, cols) DN inside the scene: parts of
                one C-contiguous array.
            exact: whether to reckon as for the exact image (SPEC.md, section 12).

        Returns:
            Which of the tiles arrived whole, and of these the mean squared error to expect, DN^2;
            pixels of others are left alone.
        """
        model, first = self._codec.model, tiles[0]
        count, bands, coding = len(tiles), model.bands, first.coding
        depth = _DEPTH - model.front_end.fraction
        tile = tile_for(bands, first.rows, first.cols)
        like = Tiles(bands, tile, depth, rows=first.rows, cols=first.cols, body=1_000)
        like.trellis = bool(coding & DEPENDENT)
        like.hides = bool(coding & SIGN_HIDING)
        least = None
        if coding & FULL:
            named = floors.least_levels(model, [tile.floors for tile in tiles])
            least = named.astype(np.uint8)
        steps = np.array([side.step for side in sides])
        kind_steps = np.rint(steps * STEP_GRID) / STEP_GRID if exact else np.float32(steps)
        places = np.array([part.ctypes.data for part in pixels], np.uint64)
        apart = [np.uint64(stride // pixels[0].itemsize) for stride in pixels[0].strides[:2]]
        errors, whole = np.zeros(count), np.zeros(count, np.uint8)
        self.library.call(
            "read",
            like,
            self._model,
            exact,
            count,
            *_packed(tiles),
            least,
            np.array([side.angles for side in sides], np.uint8),
            np.array([side.means for side in sides], np.int32),
            np.ascontiguousarray(kind_steps, np.float64),
            places,
            *apart,
            errors,
            whole,
        )
        return whole.astype(np.bool_), self._guess.in_dn(errors, steps)


def _packed(
    tiles: Sequence[LaneTile],
) -> tuple[NDArray[np.uint32], NDArray[np.void], NDArray[np.uint8]]:
    """Return lanes before each tile, lanes in the order of where they begin, and their bytes."""
    lanes, bodies, start, before = [], [], 0, [0]
    for tile in tiles:
        for place, body in sorted(tile.lanes.items()):
            lanes.append((*place, start, len(body)))
            bodies.append(body)
            start += len(body)
        before.append(len(lanes))
    packed = np.frombuffer(b"".join(bodies) + bytes(4), np.uint8)
    return np.array(before, np.uint32), np.array(lanes, _LANE), packed


def _aligned(values: NDArray[Any], kind: type[np.generic]) -> NDArray[Any]:
    found = aligned(values.shape, kind)
    found[:] = values
    return found


def _quarters(filters: NDArray[Any]) -> NDArray[np.float64]:
    """Return the quarters (64, 4, 8, 8) of filters (64, 16, 16), above ones and left ones first."""
    quarters = filters.reshape(FREQUENCIES, 2, BLOCK, 2, BLOCK).transpose(0, 1, 3, 2, 4)
    return quarters.reshape(FREQUENCIES, 4, BLOCK, BLOCK).astype(np.float64)


def _mirrors(transform: LappedTransform) -> bool:
    """Return whether all filters are even or odd along rows and columns, as their numbers are."""
    sign = np.array([1, -1] * (BLOCK // 2))
    rows = np.repeat(sign, BLOCK)[:, None, None]
    cols = np.tile(sign, BLOCK)[:, None, None]
    return all(
        filters.shape == (FREQUENCIES, _SIDE, _SIDE)
        and np.array_equal(filters[:, ::-1], rows * filters)
        and np.array_equal(filters[:, :, ::-1], cols * filters)
        for filters in (transform.synthesis.astype(np.int64), transform.analysis.astype(np.int64))
    )
