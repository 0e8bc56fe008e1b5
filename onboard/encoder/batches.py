"""Batches: the tiles of some lines, analysed, those of one shape together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.cuts import Cuts
from onboard.codec.tile import TileCoder
from onboard.image.files import let_go
from onboard.image.nodata import has_data
from onboard.image.tiles import TileGrid
from onboard.link.framing import Edge
from onboard.link.header import SceneHeader
from onboard.link.segment import is_wide

_TILES_AT_ONCE, _LARGE_AT_ONCE = 32, 8
"""That are analysed at once; of large ones fewer, for memory."""
_USUAL = 64
"""Rows and columns of tiles that are not large, at most."""
_NONE = np.zeros(0, np.int64)
_ROWS_HELD = 16
"""Rows of tiles, after which a mapped file is not held in memory any more."""


@dataclass(frozen=True)
class Batch:
    """Tiles of one shape, analysed.

    Attributes:
        indices: number of each tile in the scene.
        edge: valid rows and columns, of border tiles.
        wide: whether the tiles' indices take four bytes.
        nodata: (tiles, rows, cols), where the valid rows and columns have no data.
        gaps: (tiles,), whether they have any such pixel.
        prepared: what the tile coder made of the tiles.
    """

    indices: NDArray[np.int64]
    edge: Edge
    wide: bool
    nodata: NDArray[np.bool_]
    gaps: NDArray[np.bool_]
    prepared: Any


class Share(NamedTuple):
    """The part of some tiles that one batch has.

    Attributes:
        batch: the batch.
        places: places of its tiles among those tiles.
        own: numbers of its tiles in the batch.
    """

    batch: Batch
    places: NDArray[np.int64]
    own: NDArray[np.int64]


@dataclass(frozen=True)
class Batches:
    """All tiles of some windows of lines; those that have data are numbered through the batches.

    Attributes:
        columns: tiles in a row.
        tile: rows of a tile.
        across: tiles side by side; those of further groups of bands come after them.
        ranges: numbers in the scene of each window's tiles.
        batches: tiles that have data.
        empty: edges of tiles that are all nodata, by number in the scene.
    """

    columns: int
    tile: int
    across: int
    ranges: list[range]
    batches: list[Batch]
    empty: dict[int, Edge]

    @classmethod
    def analyse(
        cls,
        coder: TileCoder[Any, Any],
        windows: Sequence[NDArray[Any]],
        header: SceneHeader,
        tile: int,
        first_row: int,
        groups: int = 1,
        wanted: Callable[[int], bool] | None = None,
    ) -> "Batches":
        """Analyse all tiles of some windows of lines.

        Args:
            coder: codec to analyse them with.
            windows: lines (bands, rows, cols) of each window; all but the last of whole tiles.
            header: header of the scene.
            tile: rows and columns of a tile.
            first_row: rows of tiles before these.
            groups: groups that the bands are coded in.
            wanted: says of a tile's number in the scene whether it is one of these; None: all are.

        Raises:
            InputError: samples beyond the significant bits.
        """
        grids = [TileGrid(lines.shape[2], lines.shape[1], tile, groups) for lines in windows]
        columns = grids[0].columns
        firsts = np.cumsum([first_row * columns, *(grid.count for grid in grids)]).tolist()
        found = cls(
            columns, tile, grids[0].across, [range(*pair) for pair in pairwise(firsts)], [], {}
        )
        at_once = groups if header.profile else 1  # components are made of all bands
        most = _TILES_AT_ONCE if tile <= _USUAL else _LARGE_AT_ONCE
        shapes: dict[tuple[tuple[int, int], bool, bool], list[tuple[int, int]]] = {}
        for number, grid in enumerate(grids):
            for index, inside in enumerate(grid.insides()):
                tile_index = firsts[number] + index
                if at_once > 1 and grid.group(index):
                    continue  # further groups of components come with the first
                last = tile_index + (at_once - 1) * grid.across
                like = inside, is_wide(tile_index), is_wide(last)
                members = shapes.setdefault(like, [])  # in this order whichever are wanted
                if wanted is None or wanted(tile_index):
                    members.append((number, index))
        for (shape, *wide), members in shapes.items():
            together = max(most // at_once, 1) if wide[0] == wide[1] else 1
            held = first_row
            for first in range(0, len(members), together):
                part = members[first : first + together]
                indices = np.array([firsts[n] + index for n, index in part])
                tiles, present = _cut(windows, grids, part, header)
                found._add(coder, tiles, present, indices, shape, header, at_once)
                if (reached := int(indices[-1]) // columns) >= held + _ROWS_HELD:
                    let_go(windows[0])
                    held = reached
            let_go(windows[0])
        return found

    def is_first(self, index: int) -> bool:
        """Return whether a tile is of the first group of bands, which tells the nodata of all."""
        return index % self.columns < self.across

    def _add(
        self,
        coder: TileCoder[Any, Any],
        tiles: NDArray[Any] | Cuts,
        present: NDArray[np.bool_],
        indices: NDArray[np.int64],
        shape: tuple[int, int],
        header: SceneHeader,
        groups: int,
    ) -> None:
        """Analyse tiles of one shape, of so many groups; `indices` are those of the first."""
        rows, cols = shape
        edge = None if rows == cols == self.tile else shape
        filled = np.ones(len(tiles), np.bool_)
        if header.nodata is not None:
            filled = np.asarray(np.any(present[:, :rows, :cols], axis=(1, 2)))
        of_groups = indices + self.across * np.arange(groups)[:, None]
        self.empty.update(dict.fromkeys(of_groups[:, ~filled].reshape(-1).tolist(), edge))
        if not filled.any():
            return
        if not filled.all():
            tiles, present = np.asarray(tiles)[filled], present[filled]
        if not header.holds_all(tiles.dtype):
            header.check_samples(np.asarray(tiles), present)
        inside = present[:, :rows, :cols]
        gaps = np.zeros(len(tiles), np.bool_)
        if header.nodata is not None:
            gaps = np.asarray(~inside.all(axis=(1, 2)))
        nodata = ~inside if gaps.any() else np.broadcast_to(np.False_, inside.shape)
        whole = tiles if isinstance(tiles, Cuts) else coder.components(tiles)
        for group, own in enumerate(of_groups[:, filled]):
            part = whole if isinstance(whole, Cuts) else _group(whole, group, groups)
            prepared = coder.of_group(group).prepare(part, present, shape)
            self.batches.append(Batch(own, edge, is_wide(int(own[0])), nodata, gaps, prepared))

    @property
    def count(self) -> int:
        """Tiles that have data."""
        return sum(len(batch.indices) for batch in self.batches)

    def tiles(self, window: range) -> NDArray[np.int64]:
        """Return the tiles of a window that have data, as numbered through the batches.

        They are in an order that does not depend on which were analysed together (SPEC.md, 13).
        """
        shapes = dict.fromkeys(batch.edge for batch in self.batches)
        ranks = {edge: rank for rank, edge in enumerate(shapes)}
        keys = [(batch.indices, ranks[batch.edge], batch.wide) for batch in self.batches]
        indices, rank, wide = (
            np.concatenate([*(np.broadcast_to(key[n], key[0].shape) for key in keys), _NONE])
            for n in range(3)
        )
        order = np.lexsort((indices, rank, wide))
        return np.asarray(order[_within(indices[order], window)], np.int64)

    def pixels(self, window: range) -> int:
        """Return the pixels of a window that have data."""
        pixels = 0
        for batch in self.batches:
            own = _within(batch.indices, window)
            rows, cols = batch.nodata.shape[1:]
            pixels += rows * cols * np.count_nonzero(own)
            pixels -= np.count_nonzero(batch.nodata[own & batch.gaps])
        return pixels

    def shares(self, tiles: NDArray[np.int64]) -> Iterator[Share]:
        """Yield what each batch has of some tiles."""
        stops = np.cumsum([len(batch.indices) for batch in self.batches])
        owners = np.searchsorted(stops, tiles, side="right")
        for owner in np.flatnonzero(np.bincount(owners, minlength=1)).tolist():
            batch, places = self.batches[owner], np.flatnonzero(owners == owner)
            yield Share(batch, places, tiles[places] - (stops[owner] - len(batch.indices)))

    def alike(self, tiles: NDArray[np.int64], most: int) -> Iterator[list[Share]]:
        """Yield what batches have of some tiles, those of one shape and room together.

        Args:
            tiles: tiles wanted, as numbered through the batches.
            most: most tiles together.
        """
        waiting: dict[tuple[Edge, bool], list[Share]] = {}
        for share in self.shares(tiles):
            like = share.batch.edge, share.batch.wide
            together = waiting.setdefault(like, [])
            if sum(len(have.places) for have in together) + len(share.own) > most:
                yield waiting.pop(like)
                together = waiting.setdefault(like, [])
            together.append(share)
        yield from (together for together in waiting.values() if together)


def parts_of(image: NDArray[Any], rows: int) -> Iterator[NDArray[Any]]:
    """Yield the lines of an image, so many at a time."""
    return (image[:, first : first + rows] for first in range(0, image.shape[1], rows))


def checked_parts(image: NDArray[Any], header: SceneHeader, rows: int) -> Iterator[NDArray[Any]]:
    """Yield the lines of an image, so many at a time, once all of several parts were looked at.

    Raises:
        InputError: samples beyond the significant bits, before the first part.
    """
    if rows < image.shape[1] and not header.holds_all(image.dtype):
        for lines in parts_of(image, rows):
            header.check_samples(lines[None], has_data(lines, header.nodata)[None])
            let_go(image)
    yield from parts_of(image, rows)


def _cut(
    windows: Sequence[NDArray[Any]],
    grids: Sequence[TileGrid],
    part: Sequence[tuple[int, int]],
    header: SceneHeader,
) -> tuple[NDArray[Any] | Cuts, NDArray[np.bool_]]:
    """Return tiles, by window and index, and where they have data; whole ones where they are."""
    grid = grids[0]
    boxes = [grids[n].box(index) for n, index in part]
    simple = header.nodata is None and header.profile is None and grid.groups == 1
    if simple and boxes[0][2:] == (grid.tile, grid.tile) and header.holds_all(windows[0].dtype):
        places = [(n, row, col) for (n, _), (row, col, _, _) in zip(part, boxes, strict=True)]
        return Cuts(windows, places, grid.tile), np.ones((len(part), grid.tile, grid.tile), bool)
    tiles = np.stack([grids[n].cut(windows[n], index) for n, index in part])
    present = has_data(tiles, header.nodata, 1)
    if header.profile is None and grid.groups > 1:
        own = (grids[n].group(index) for n, index in part)
        pairs = zip(tiles, own, strict=True)
        tiles = np.concatenate([_group(each[None], g, grid.groups) for each, g in pairs])
    return tiles, present


def _group(tiles: NDArray[Any], group: int, groups: int) -> NDArray[Any]:
    """Return a group of the bands of tiles, filled up with bands of zeros."""
    own = -(-tiles.shape[1] // groups)
    found = tiles[:, group * own : (group + 1) * own]
    lacking = own - found.shape[1]
    return found if lacking <= 0 else np.pad(found, ((0, 0), (0, lacking), (0, 0), (0, 0)))


def _within(indices: NDArray[np.int64], window: range) -> NDArray[np.bool_]:
    return (indices >= window.start) & (indices < window.stop)
