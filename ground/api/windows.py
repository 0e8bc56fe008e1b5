"""Windows: parts of a scene, of which only the tiles there and around are decoded.

A window is decoded as a scene of its own, whose tiles are those inside it and as many around as the
decoder network sees. So its pixels are those of the whole scene; but for what stands in for tiles
that are lost, which depends on all that arrived.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ground.api.source import Source
from ground.decode.lapped.overview import STEPS
from ground.decode.partial import states
from ground.decode.rebuilder import Overviews
from ground.decode.reception import Reception
from ground.products.overview import halved
from ground.scene import Scene
from ground.station.index.records import UNTOLD
from onboard.codec.bound import is_within
from onboard.codec.tile import ALL_NODATA
from onboard.errors import UsageError
from onboard.image.bayer import CELL
from onboard.image.files import DTYPES
from onboard.image.tiles import TileGrid
from onboard.link.binding import NO_RUN, bind
from onboard.link.header import SceneHeader
from onboard.link.resync import Damage
from onboard.link.segment import Kind, Segment

Window = tuple[NDArray[Any], NDArray[np.uint8]]
"""Image (bands, rows, cols) and mask (rows, cols) of it."""


class Overviewed(NamedTuple):
    """A scene at a part of its size.

    Attributes:
        image: (bands, rows, cols).
        mask: uint8 (rows, cols), of those layers.
        layers: layers of tiles that it was made of; None where they were decoded whole.
    """

    image: NDArray[Any]
    mask: NDArray[np.uint8]
    layers: int | None


_KEPT = 4
"""Windows that are kept, so that image and mask of one are decoded once."""
_FILLED = 2
"""Tiles around a lost one that are decoded, too, to carry in what stands in for it."""


@dataclass(frozen=True)
class Windows:
    """A scene that is decoded window by window; several threads may ask.

    Attributes:
        source: what it is decoded from.
        reception: what arrived, sorted to its tiles.
        header: scene header, the height filled in.
        grid: tiles of the scene.
        states: first byte of layer 0 of each tile, `UNTOLD` where it did not arrive.
    """

    source: Source
    reception: Reception
    header: SceneHeader
    grid: TileGrid
    states: NDArray[np.uint8]
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, source: Source) -> "Windows | None":
        """Sort what arrived to its tiles; None where its size, or theirs, is not known.

        It is known of a header or an end; without a header the width is as it was chosen.

        Raises:
            LimitError: the scene is larger than was chosen.
        """
        reception = Reception.of(source.decoder.bundle, source.segments, source.wanted)
        told = reception.header
        if told is None and (source.wanted.width is None or reception.end is None):
            return None
        grid = reception.grid()
        if not reception.placed:
            return None
        if told is None:
            told = _assumed(reception, grid)
        elif not (told.height or reception.end):
            return None
        header = replace(told, height=grid.height)
        return cls(source, reception, header, grid, states(reception, grid.count))

    @property
    def cell(self) -> int:
        """Pixels of a side for each of a tile: a Bayer mosaic has tiles of its planes."""
        return CELL if self.header.bayer else 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, rows and columns of the scene."""
        bands = 1 if self.header.bayer else self.header.bands
        return bands, self.cell * self.grid.height, self.cell * self.grid.width

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples."""
        return DTYPES[self.header.sample_type]

    def unread(self) -> Scene:
        """Return what is said of the scene, with an image that takes no memory."""
        small = np.zeros((self.header.bands, 1, 1), self.dtype)
        scene = Scene.of(small, self.header)
        scene = scene.joined() if self.header.bayer else scene
        return replace(scene, image=np.broadcast_to(self.dtype.type(0), self.shape))

    @cached_property
    def _beyond(self) -> int:
        """Tiles that others depend on which pixels depend on: stand-ins for those without data."""
        halo = -(-self.source.decoder.network.halo // self.grid.tile)
        return halo if (self.states == ALL_NODATA).any() else 0

    @cached_property
    def _lost(self) -> NDArray[np.bool_]:
        """Where nothing of a tile can be shown, (rows, across) of tiles."""
        lost = self.states == UNTOLD
        by_place = lost.reshape(self.grid.rows, self.grid.groups, self.grid.across)
        return np.asarray(by_place.any(axis=1))

    def _wide(self, rows: range, cols: range) -> tuple[range, range]:
        """Return the tiles that are decoded for some pixels of the planes.

        They are those within reach of the network, and those that fill in what is lost.
        """
        tile, halo = self.grid.tile, self.source.decoder.network.halo
        inside, reached = (
            [
                range(max(side.start - more, 0) // tile, -(-min(side.stop + more, most) // tile))
                for side, most in ((rows, self.grid.height), (cols, self.grid.width))
            ]
            for more in (0, halo)
        )
        lost = self._lost[inside[0].start : inside[0].stop, inside[1].start : inside[1].stop].any()
        down, across = (
            range(
                max(min(near.start - self._beyond, own.start - _FILLED * bool(lost)), 0),
                min(max(near.stop + self._beyond, own.stop + _FILLED * bool(lost)), most),
            )
            for near, own, most in zip(
                reached, inside, (self.grid.rows, self.grid.across), strict=True
            )
        )
        return down, across

    @cached_property
    def _kept(self) -> dict[tuple[range, range], Window]:
        return {}

    def read(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Window:
        """Return the pixels where some rows and columns of the scene meet, of all bands."""
        if not (len(rows) and len(cols)):
            bands, dtype = self.shape[0], self.dtype
            shape = len(rows), len(cols)
            return np.zeros((bands, *shape), dtype), np.zeros(shape, np.uint8)
        down, across = (range(int(side.min()), int(side.max()) + 1) for side in (rows, cols))
        image, mask = self._between(down, across)
        row, col = rows - down.start, cols - across.start
        return image[:, row][:, :, col], mask[row][:, col]

    def _between(self, rows: range, cols: range) -> Window:
        """Return all pixels of some rows and columns."""
        with self._lock:
            found = self._kept.pop((rows, cols), None) or self._decode(rows, cols)
            self._kept[rows, cols] = found
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return found

    def _decode(self, rows: range, cols: range) -> Window:
        """Decode some rows and columns, with the tiles they depend on as a scene of its own."""
        tile, cell = self.grid.tile, self.cell
        planes = (range(s.start // cell, -(-s.stop // cell)) for s in (rows, cols))
        down, across = self._wide(*planes)
        part = self.part(down, across)
        decoded = self.source.decoder.decode_segments(part, self.source.wanted)
        here = tuple(
            slice(own.start - wide.start * tile * cell, own.stop - wide.start * tile * cell)
            for own, wide in ((rows, down), (cols, across))
        )
        return decoded.scene.image[:, *here], decoded.mask[here]

    def overview(self, step: int) -> Overviewed:
        """Return all of the scene at a part of its size.

        Args:
            step: pixels of a side of what becomes one: 2, 4, 8 or 16.

        Raises:
            UsageError: it is another number, or the scene is a Bayer mosaic.
        """
        if step not in STEPS:
            raise UsageError(f"overview: expected one of {STEPS}, found {step}")
        if self.header.bayer:
            raise UsageError("overview: expected no Bayer mosaic, each of whose pixels is a colour")
        makes = self._overviews
        if makes is None:
            return self._averaged(step)
        if self.grid.tile % step:  # pixels that parts of two tiles become
            image, mask, layers = self.overview(step // 2)
            return Overviewed(*halved(image, mask, self.header.nodata), layers)
        return Overviewed(*makes.of(self.reception, self.grid, self.header, step))

    @property
    def is_layered(self) -> bool:
        """Whether overviews are made of coarse layers."""
        return self._overviews is not None

    @cached_property
    def _overviews(self) -> Overviews | None:
        """What makes overviews of coarse layers; None where tiles have none, or are bounded."""
        told = set(self.states[self.states != UNTOLD].tolist())
        if any(map(is_within, told)):
            return None
        return self.source.decoder.overviews(self.reception.bundle, self.header)

    def _averaged(self, step: int) -> Overviewed:
        """Decode all of the scene and average it, some rows of tiles at a time."""
        images, masks = [], []
        rows, cols = self.shape[1:]
        at_once = step * self.grid.tile
        for first in range(0, rows, at_once):
            here = np.arange(first, min(first + at_once, rows))
            image, mask = self.read(here, np.arange(cols))
            for _ in range(step.bit_length() - 1):
                image, mask = halved(image, mask, self.header.nodata)
            images.append(image)
            masks.append(mask)
        return Overviewed(np.concatenate(images, axis=1), np.concatenate(masks), None)

    def part(self, down: range, across: range) -> list[Segment | Damage]:
        """Return what arrived of some rows and columns of tiles, as a scene of its own."""
        grid, tile = self.grid, self.grid.tile
        header = replace(
            self.header,
            height=min(down.stop * tile, grid.height) - down.start * tile,
            width=min(across.stop * tile, grid.width) - across.start * tile,
        )
        return [self._scene(header), *self._moved(down, across)]

    def _scene(self, header: SceneHeader) -> Segment:
        """Return the segment of a scene header."""
        binding = bind(self.reception.bundle.tag, self.reception.run or NO_RUN)
        scene_id = self.source.encoding.scene_id
        return Segment(Kind.SCENE, scene_id, binding, 0, 0, 0, None, header.pack())

    def _moved(self, down: range, across: range) -> list[Segment | Damage]:
        """Return the segments of some rows and columns of tiles, numbered as if they were all.

        And what was made out of damaged ones.
        """
        grid, found = self.grid, list[Segment | Damage]()
        number = 0
        for row in down:
            for group in range(grid.groups):
                for col in across:
                    tile = row * grid.columns + group * grid.across + col
                    moved = self.reception.arrived(tile)
                    found += [replace(segment, tile=number) for segment in moved]
                    for one in self.reception.salvage.made_out.get(tile, ()):
                        found.append(replace(one, segment=replace(one.segment, tile=number)))
                    number += 1
        return found


def _assumed(reception: Reception, grid: TileGrid) -> SceneHeader:
    """Return a header of what is assumed without one, as `Decoder.decode_segments` does."""
    run, size = reception.run or NO_RUN, (grid.width, grid.height)
    return SceneHeader("u16", 16, reception.bundle.bands, *size, run=run, tile=grid.tile)
