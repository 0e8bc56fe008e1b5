"""Batches: the tiles of some lines, analysed, those of one shape together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import TileCoder
from onboard.errors import InputError, SkybookError
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
        wanted: Callable[[int], bool] = lambda _index: True,
    ) -> "Batches":
        """Analyse all tiles of some windows of lines.

        Args:
            coder: codec to analyse them with.
            windows: lines (bands, rows, cols) of each window; all but the last of whole tiles.
            header: header of the scene.
            tile: rows and columns of a tile.
            first_row: rows of tiles before these.
            groups: groups that the bands are coded in.
            wanted: says of a tile's number in the scene whether it is one of these.

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
            for index in range(grid.count):
                tile_index = firsts[number] + index
                if at_once > 1 and grid.group(index):
                    continue  # further groups of components come with the first
                last = tile_index + (at_once - 1) * grid.across
                like = grid.box(index)[2:], is_wide(tile_index), is_wide(last)
                members = shapes.setdefault(like, [])  # in this order whichever are wanted
                if wanted(tile_index):
                    members.append((number, index))
        for (shape, *wide), members in shapes.items():
            together = max(most // at_once, 1) if wide[0] == wide[1] else 1
            held = first_row
            for first in range(0, len(members), together):
                part = members[first : first + together]
                indices = np.array([firsts[n] + index for n, index in part])
                tiles = np.stack([grids[n].cut(windows[n], index) for n, index in part])
                present = has_data(tiles, header.nodata, 1)
                if at_once < groups:
                    own = (grids[n].group(index) for n, index in part)
                    pairs = zip(tiles, own, strict=True)
                    tiles = np.concatenate([_group(t[None], g, groups) for t, g in pairs])
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
        tiles: NDArray[Any],
        present: NDArray[np.bool_],
        indices: NDArray[np.int64],
        shape: tuple[int, int],
        header: SceneHeader,
        groups: int,
    ) -> None:
        """Analyse tiles of one shape, of so many groups; `indices` are those of the first."""
        rows, cols = shape
        edge = None if rows == cols == self.tile else shape
        filled = np.asarray(np.any(present[:, :rows, :cols], axis=(1, 2)))
        of_groups = indices + self.across * np.arange(groups)[:, None]
        self.empty.update(dict.fromkeys(of_groups[:, ~filled].reshape(-1).tolist(), edge))
        if not filled.any():
            return
        if not filled.all():
            tiles, present = tiles[filled], present[filled]
        _check_range(tiles, present, header)
        inside = present[:, :rows, :cols]
        gaps = np.asarray(~inside.all(axis=(1, 2)))
        nodata = ~inside if gaps.any() else np.broadcast_to(np.False_, inside.shape)
        tiles = coder.components(tiles)
        for group, own in enumerate(of_groups[:, filled]):
            part = _group(tiles, group, groups)
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
        return sum(
            int((~batch.nodata[_within(batch.indices, window)]).sum()) for batch in self.batches
        )

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


def in_batches(source: Iterator[NDArray[Any]], together: int) -> Iterator[list[NDArray[Any]]]:
    """Yield the windows of a source, so many together; its error after all that came before."""
    more = True
    while more:
        batch: list[NDArray[Any]] = []
        failed: SkybookError | None = None
        try:
            batch.extend(islice(source, together))
        except SkybookError as error:
            failed = error
        more = len(batch) == together
        if batch:
            yield batch
        if failed:
            raise failed


def parts_of(image: NDArray[Any], rows: int) -> Iterator[NDArray[Any]]:
    """Yield the lines of an image, so many at a time."""
    return (image[:, first : first + rows] for first in range(0, image.shape[1], rows))


def checked_parts(image: NDArray[Any], header: SceneHeader, rows: int) -> Iterator[NDArray[Any]]:
    """Yield the lines of an image, so many at a time, once all of several parts were looked at.

    Raises:
        InputError: samples beyond the significant bits, before the first part.
    """
    if rows < image.shape[1] and not _holds_all(header, image.dtype):
        for lines in parts_of(image, rows):
            _check_range(lines[None], has_data(lines, header.nodata)[None], header)
            let_go(image)
    yield from parts_of(image, rows)


def _group(tiles: NDArray[Any], group: int, groups: int) -> NDArray[Any]:
    """Return a group of the bands of tiles, filled up with bands of zeros."""
    own = -(-tiles.shape[1] // groups)
    found = tiles[:, group * own : (group + 1) * own]
    lacking = own - found.shape[1]
    return found if lacking <= 0 else np.pad(found, ((0, 0), (0, lacking), (0, 0), (0, 0)))


def _within(indices: NDArray[np.int64], window: range) -> NDArray[np.bool_]:
    return (indices >= window.start) & (indices < window.stop)


def _holds_all(header: SceneHeader, dtype: np.dtype[Any]) -> bool:
    """Say whether the significant bits of the header hold all numbers of a type."""
    limits = np.iinfo(dtype)
    low, high = header.sample_range
    return low <= limits.min and limits.max <= high


def _check_range(tiles: NDArray[Any], present: NDArray[np.bool_], header: SceneHeader) -> None:
    """Refuse samples that the significant bits of the header cannot hold."""
    if _holds_all(header, tiles.dtype):
        return
    low, high = header.sample_range
    samples = tiles if present.all() else tiles.transpose(0, 2, 3, 1)[present]
    if int(samples.min()) < low or int(samples.max()) > high:
        raise InputError(
            f"samples: expected {low}..{high} ({header.significant_bits} significant bits), "
            f"found {samples.min()}..{samples.max()}"
        )
