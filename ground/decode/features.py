"""Features: a vector for each tile of a scene, of its symbols alone. No image, no decoder graph."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ground.decode.dump import UNKNOWN
from ground.decode.kinds import rebuilder_of
from ground.decode.reception import Reception
from ground.decode.tile import TileReception
from ground.decode.vectors import Vectors
from ground.decode.wanted import FIRST, Wanted
from onboard.bundle import Bundle
from onboard.codec.tile import ALL_NODATA
from onboard.image.bayer import CELL
from onboard.image.tiles import TileGrid
from onboard.link.resync import Damage
from onboard.link.segment import Segment

FEATURES_KEYS = f"""\
arrays of features, by name (np.load). Tiles lie as in the scene: tile rows, tile columns.
  model        text: model hash, hex digits
  names        text (features): what each number of a vector is, see below
  vector       f32 (tiles, features); NaN where what it takes did not arrive
  place        i32 (tiles, 4): first row, first column, rows and columns of each tile, pixels
  state        u8 (tiles, groups of bands): tile state; {UNKNOWN} where layer 0 did not arrive
  layers       u8 (tiles, groups): layers that arrived whole, from layer 0 on, of those wanted
  wanted       u8: layers that features take; finer ones are not read and change nothing
  bounded      bool (tiles): within a bound on its error; such a tile has no features
  valid        f32 (tiles): share of its pixels that have data; NaN where that is not known
features of coder rans; bands (planes of a mosaic, components of a profile) from 1,
`log` is sign(x) log2(1 + |x|), x in DN; of several groups of bands, after `groupG.`:
  mean.B       log of the mean of band B
  step         log2 of the step, DN
  spread.B, spread.A/B     log of the deviation, over the DC of 8 x 8 pixels, of band B;
               deviation of the difference of the logs of bands A and B
  low.B, middle.B, high.B  and so .A/B: quantiles 0.1, 0.5 and 0.9 of the log of these DC
  energy.C.F   log of the root mean square of component C of the band transform at frequency F,
               8 u + v
features of coder fixed, of level N from 1, the coarsest:
  levelN.mean.D, levelN.spread.D  mean and deviation of dimension D of its codewords, half units"""


@dataclass(frozen=True)
class Features:
    """Features of a scene.

    Attributes:
        arrays: arrays by name, see `FEATURES_KEYS`.
        reception: segments that arrived, and what became of them.
        bounded: tiles within a bound, which have none.
        lacking: numbers of tiles of which layers are missing that features take, by how many
            layers of theirs are whole.
    """

    arrays: dict[str, NDArray[Any]]
    reception: Reception
    bounded: tuple[int, ...]
    lacking: dict[int, int]

    def write(self, file: BinaryIO) -> None:
        """Write all arrays as a compressed NPZ file."""
        np.savez_compressed(file, **self.arrays)  # type: ignore[arg-type]


def features_of_scene(
    bundle: Bundle,
    segments: Iterable[Segment | Damage],
    wanted: Wanted = FIRST,
) -> Features:
    """Make features of all tiles of a scene, of what arrived of it.

    Args and errors: as `ground.decode.dump.dump_scene`; scenes may have any number of bands.
    """
    reception = Reception.of(bundle, segments, wanted)
    grid = reception.grid()
    bundle = reception.bundle
    rebuilder = rebuilder_of(bundle, reception.is_bounded)
    tiles = [rebuilder.tile(reception, grid, index) for index in range(grid.count)]
    vectors = rebuilder.features(tiles)
    is_bounded = np.isin(np.arange(grid.count), sorted(reception.bounded()))
    lacks = (vectors.layers < vectors.wanted) & ~is_bounded
    side = CELL if reception.header is not None and reception.header.bayer else 1
    places = [index for index in range(grid.count) if grid.first(index) == index]
    layout = grid.rows, grid.across
    arrays: dict[str, NDArray[Any]] = {
        "model": np.array(bundle.model_hash.hex()),
        "names": np.array(_names(vectors, grid)),
        "vector": _by_place(vectors.values, grid).reshape(*layout, -1),
        "place": np.array([grid.box(i) for i in places], np.int32).reshape(*layout, 4) * side,
        "state": _by_place(_states(tiles)[:, None], grid),
        "layers": _by_place(vectors.layers[:, None], grid),
        "wanted": np.array(vectors.wanted, np.uint8),
        "bounded": np.any(_by_place(is_bounded[:, None], grid), axis=2),
        "valid": np.array([_valid(tiles[index]) for index in places], np.float32).reshape(layout),
    }
    return Features(
        arrays,
        reception,
        tuple(np.flatnonzero(is_bounded).tolist()),
        {index: int(vectors.layers[index]) for index in np.flatnonzero(lacks).tolist()},
    )


def _by_place(values: NDArray[Any], grid: TileGrid) -> NDArray[Any]:
    """Return values (tiles, n) of groups beside each other, (rows, across, groups * n)."""
    by_group = values.reshape(grid.rows, grid.groups, grid.across, -1).swapaxes(1, 2)
    return np.ascontiguousarray(by_group.reshape(grid.rows, grid.across, -1))


def _names(vectors: Vectors, grid: TileGrid) -> list[str]:
    """Return the names of all groups; of several each has its number before it."""
    if grid.groups == 1:
        return list(vectors.names)
    return [f"group{group}.{name}" for group in range(1, grid.groups + 1) for name in vectors.names]


def _states(tiles: Sequence[TileReception[Any]]) -> NDArray[np.uint8]:
    packed = [tile.packed_side for tile in tiles]
    return np.array([UNKNOWN if side is None else side[0] for side in packed], np.uint8)


def _valid(tile: TileReception[Any]) -> float:
    """Return which share of a tile's pixels has data; NaN if that is not known."""
    if tile.state is None or tile.lacks_mask:
        return float("nan")
    return 0.0 if tile.state == ALL_NODATA else 1 - float(tile.nodata.mean())
