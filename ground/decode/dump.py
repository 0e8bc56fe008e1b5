"""Dump: all that arrived of a scene, before it becomes an image. Needs the bundle alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ground.decode.kinds import rebuilder_of
from ground.decode.reception import Reception
from ground.decode.tile import TileReception
from ground.decode.wanted import FIRST, Wanted
from onboard.bundle import Bundle
from onboard.codec.tile import ALL_NODATA
from onboard.errors import LimitError, UsageError
from onboard.image.tiles import TileGrid
from onboard.link.resync import Damage
from onboard.link.segment import Segment

MOST_SAMPLES = 1 << 26
"""Samples of a scene: a dump keeps all its arrays in memory, about 11 bytes a sample."""
UNKNOWN = 255
"""State of a tile of which layer 0, and nodata of a pixel of which the mask, did not arrive."""

KEYS = f"""\
arrays of a dump, by name (np.load). Tiles lie as in the scene: tile rows, tile columns.
  model        text: model hash, hex digits
  shape        int64: bands, height and width of the scene, side of a tile
  state        u8 (tiles): tile state; {UNKNOWN} where layer 0 did not arrive
  step_code    u8 (tiles): step code; 0 where there is no side information
  means        i32 (tiles, bands): mean of each band, DN
  whole        u8 (tiles): layers that arrived whole, from layer 0 on
  nodata       u8 (height, width): 1 where there are no data; {UNKNOWN} where that is not known
of coder rans, by component, frequency (8 u + v), row and column of positions (8 x 8 pixels):
  angles       u8 (tiles, angles): angles of the band transform
  symbol       i32: symbol, prediction included; in half steps in dependent tiles
  residual     i32: residual as it was coded; k in dependent tiles
  level        u8: level; 255 where earlier layers did not arrive whole
  odd          bool: whether the state before it was odd (dependent tiles)
  arrived      bool: whether it is known, read or not coded; where not, its residual counts as 0
of coder fixed, for each level N from 1, the coarsest, by row and column of positions:
  indexN       i32: index; -1 where it did not arrive
  codewordN    i16 (dims, rows, columns): its codeword, in half units; 0 where it did not arrive
of bounded tiles, by band, row and column of the scene:
  sample       i32: sample, as decoded; 0 where it did not arrive
  arrived      bool: whether it arrived"""


@dataclass(frozen=True)
class Dump:
    """What arrived of a scene.

    Attributes:
        arrays: arrays by name, see `KEYS`.
        reception: segments that arrived, and what became of them.
        whole: whether nothing of any tile is missing.
    """

    arrays: dict[str, NDArray[Any]]
    reception: Reception
    whole: bool

    @property
    def complete(self) -> bool:
        """Whether header and end arrived, all of one encoding, nothing damaged or missing."""
        told = self.reception.header is not None and self.reception.end is not None
        counts = self.reception.counts
        return told and self.whole and not (counts["damaged"] or counts["other run"])

    def write(self, file: BinaryIO) -> None:
        """Write all arrays as a compressed NPZ file."""
        np.savez_compressed(file, **self.arrays)  # type: ignore[arg-type]


def dump_scene(
    bundle: Bundle,
    segments: Iterable[Segment | Damage],
    wanted: Wanted = FIRST,
) -> Dump:
    """Read all that arrived of a scene.

    Args:
        bundle: bundle that wrote the scene.
        segments: segments that arrived, of any scene.
        wanted: what is wanted of them.

    Raises:
        LimitError: the scene has more than `MOST_SAMPLES`.
        UsageError: its bands are coded in several groups.
        as `Decoder.decode_segments`.
    """
    reception = Reception.of(bundle, segments, wanted)
    grid = reception.grid()
    bundle = reception.bundle
    if grid.groups > 1:
        raise UsageError(f"dump: expected at most 16 bands, found {bundle.bands}")
    samples = bundle.bands * grid.width * grid.height
    if samples > MOST_SAMPLES:
        raise LimitError(f"dump: expected at most {MOST_SAMPLES} samples, found {samples}")
    rebuilder = rebuilder_of(bundle, reception.is_bounded)
    tiles = [rebuilder.tile(reception, grid, index) for index in range(grid.count)]
    arrays = {
        "model": np.array(bundle.model_hash.hex()),
        "shape": np.array([bundle.bands, grid.height, grid.width, grid.tile], np.int64),
        **_of_tiles(tiles, grid, bundle.bands),
        **rebuilder.dump(grid, tiles),
    }
    whole = bool((arrays["whole"] == rebuilder.layers).all())
    return Dump(arrays, reception, whole and not any(tile.lacks_mask for tile in tiles))


def _of_tiles(
    tiles: Sequence[TileReception[Any]], grid: TileGrid, bands: int
) -> dict[str, NDArray[Any]]:
    """Return what both families know of tiles."""
    state = np.full(grid.count, UNKNOWN, np.uint8)
    step_code = np.zeros(grid.count, np.uint8)
    means = np.zeros((grid.count, bands), np.int32)
    nodata = np.zeros((grid.height, grid.width), np.uint8)
    for index, tile in enumerate(tiles):
        row, col, rows, cols = grid.box(index)
        here = nodata[row : row + rows, col : col + cols]
        if tile.packed_side is not None:
            state[index] = tile.packed_side[0]
        if tile.side is not None:
            step_code[index], means[index] = tile.side.step_code, tile.side.means
        if tile.lacks_mask or tile.state is None:
            here[~tile.mask_known] = UNKNOWN
        here[tile.nodata] = 1
        if tile.state == ALL_NODATA:
            here[:] = 1
    by_place = grid.rows, grid.columns
    return {
        "state": state.reshape(by_place),
        "step_code": step_code.reshape(by_place),
        "means": means.reshape(*by_place, bands),
        "nodata": nodata,
    }
