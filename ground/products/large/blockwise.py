"""Blockwise: a cloud-optimised GeoTIFF and its mask, made block by block in bounded memory.

The files are those of `ground.products.decoded`. Blocks of the scene and of its overviews are coded
as they come, by several threads. Files are made of them in a folder beside their place, read back,
and come into it whole.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.products.decoded import PALETTE, mask_path, name_values, names_path, write_names
from ground.products.filefacts import write_facts
from ground.products.geotiff import empty_cog, profile_of
from ground.products.large.block import SIDE, Coding
from ground.products.large.layout import assemble
from ground.products.large.pyramid import Place, Pyramid
from ground.products.large.spool import Spool
from ground.products.legend import LEGEND, hidden
from ground.products.origin import DOMAIN, PREFIX, counts_of, shares
from ground.scene import Scene
from onboard.errors import InputError, UsageError
from onboard.outputs import telling_room

Block = tuple[slice, slice, NDArray[Any], NDArray[np.uint8]]
"""Rows and columns, image (bands, rows, cols) and mask (rows, cols) of a window."""
_HIDDEN = [entry.value for entry in LEGEND if entry.hidden]
_MASK, _SHOWN = (Coding(np.dtype(np.uint8), bits) for bits in (8, 1))
_BYTES_AT_ONCE = 512 << 20
"""Of samples in all threads: of many bands a block is large."""


@dataclass
class _Filled:
    """What was taken of a scene.

    Attributes:
        scene: what is said of it.
        counts: pixels by their value of the mask.
        least: least sample, at most 0; looked at where samples have fewer bits than their type.
        most: greatest sample, at least 0, likewise.
    """

    scene: Scene
    counts: Counter[int] = field(default_factory=Counter)
    least: int = 0
    most: int = 0

    def add(self, block: Block) -> None:
        """Take note of a block."""
        _, _, image, mask = block
        self.counts += counts_of(mask)
        if self.scene.significant_bits is not None:
            self.least = min(self.least, int(image.min()))
            self.most = max(self.most, int(image.max()))

    @property
    def coding(self) -> Coding:
        """How blocks are to be coded of what was taken so far."""
        dtype, bits = self.scene.image.dtype, self.scene.significant_bits
        most = self.most | (self.scene.nodata or 0)
        if bits is None or dtype.kind != "u" or self.least < 0 or most >> bits:
            return Coding(dtype, 8 * dtype.itemsize, differences=True)
        return Coding(dtype, bits)


def write_blocks(
    path: Path,
    scene: Scene,
    blocks: Iterable[Block],
    origin: Callable[[], Mapping[str, str]],
    threads: int | None = None,
) -> tuple[dict[int, int], list[str]]:
    """Write a scene, and its mask beside it, from the blocks that make it up.

    Args:
        path: path of the GeoTIFF.
        scene: what is said of it; of its image only shape and dtype are looked at.
        blocks: windows that begin at multiples of 256 rows and columns, and end there or with the
            scene, all of which they make up.
        origin: function that returns key and text of what is known of what it was decoded from,
            asked once all blocks were taken.
        threads: blocks coded at once; None for as many as there are processors.

    Returns:
        Pixels by their value of the mask, and what was left out, and why.

    Raises:
        UsageError: a file cannot be created, there is not enough room for it, or blocks are wrong.
    """
    scene, reasons = _writable(scene)
    try:
        folder = Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise UsageError(f"{path}: expected a place to write to: {error.strerror}") from error
    made, mask = folder / path.name, folder / mask_path(path).name
    try:
        with telling_room(path):
            filled = _write(made, mask, scene, blocks, origin, threads or os.cpu_count() or 1)
            os.replace(mask, mask_path(path))
            os.replace(names_path(mask), names_path(mask_path(path)))
            os.replace(made, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return dict(filled.counts), reasons


def _writable(scene: Scene) -> tuple[Scene, list[str]]:
    """Return a scene that a GeoTIFF can hold, and what was left out of it."""
    try:
        profile_of(scene)
    except InputError as error:
        scene = replace(scene, crs=None, band_ids=())
        return scene, [f"written without CRS and band ids: {error}"]
    return scene, []


def _write(
    made: Path,
    made_mask: Path,
    scene: Scene,
    blocks: Iterable[Block],
    origin: Callable[[], Mapping[str, str]],
    threads: int,
) -> _Filled:
    """Make both files."""
    with closing(Spool(made.with_suffix(".blocks"))) as spool:
        filled, codings = _spooled(spool, scene, blocks, threads)
        coding, bands = filled.coding, len(scene.image)

        def read(place: Place, is_mask: bool) -> bytes:
            block = spool.read("shown" if is_mask else "image", place)
            if is_mask or codings[place] == coding:
                return block
            return coding.encode(codings[place].decode(block, bands))

        def describe(dataset: Any) -> None:
            write_facts(dataset, scene)
            if tags := dict(origin()):
                tags |= {PREFIX + key: text for key, text in shares(filled.counts).items()}
                dataset.update_tags(ns=DOMAIN, **tags)

        profile = profile_of(replace(scene, significant_bits=None)) | {"photometric": "MINISBLACK"}
        is_hiding = any(filled.counts[value] for value in _HIDDEN)
        predictor = "YES" if coding.differences else "NO"
        assemble(
            empty_cog(profile, describe, is_hiding, PREDICTOR=predictor), coding.bits, read, made
        )
        flat = np.broadcast_to(np.uint8(0), (1, *scene.image.shape[1:]))
        of_mask = profile_of(Scene(flat, None, scene.transform, scene.crs)) | PALETTE
        empty = empty_cog(of_mask, name_values)
        assemble(empty, _MASK.bits, lambda place, _: spool.read("mask", place), made_mask)
    write_names(made_mask)
    return filled


def _spooled(
    spool: Spool, scene: Scene, blocks: Iterable[Block], threads: int
) -> tuple[_Filled, dict[Place, Coding]]:
    """Code blocks, and those of overviews; return what was taken, and how each was coded."""
    filled, codings = _Filled(scene), dict[Place, Coding]()
    coding = filled.coding

    def put(place: Place, image: NDArray[Any], mask: NDArray[np.uint8]) -> None:
        codings[place] = used = coding
        spool.put("image", place, used.encode(image))
        for layer, block in zip(("mask", "shown"), _of_mask(mask), strict=True):
            spool.put(layer, place, block)

    pyramid = Pyramid(scene.image, scene.nodata, put)
    bands, rows, cols = scene.image.shape
    size = bands * SIDE * SIDE * scene.image.dtype.itemsize
    with ThreadPoolExecutor(max(1, min(threads, _BYTES_AT_ONCE // size))) as pool:
        for block in blocks:
            filled.add(block)
            coding = filled.coding
            list(pool.map(lambda part: pyramid.add(*part), _cut(block, rows, cols)))
    if (found := sum(filled.counts.values())) != rows * cols:
        raise UsageError(f"blocks: expected {rows * cols} pixels, found {found}")
    return filled, codings


def _of_mask(mask: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """Return the bytes of a block of the mask, and of what it shows."""
    value = int(mask[0, 0])
    if (mask == value).all():
        return _of_value(value)
    return _MASK.encode(mask[None]), _SHOWN.encode(~hidden(mask)[None])


@cache
def _of_value(value: int) -> tuple[bytes, bytes]:
    """Return the same of a block of one value, which most are."""
    mask = np.full((1, SIDE, SIDE), value, np.uint8)
    return _MASK.encode(mask), _SHOWN.encode(~hidden(mask))


def _cut(
    block: Block, rows: int, cols: int
) -> Iterator[tuple[Place, NDArray[Any], NDArray[np.uint8]]]:
    """Yield the blocks of the file in a window of a scene of so many rows and columns."""
    down, across, image, mask = block
    for side, end in ((down, rows), (across, cols)):
        if side.start % SIDE or (side.stop % SIDE and side.stop != end):
            raise UsageError(
                f"block: expected multiples of {SIDE}, found {side.start} to {side.stop} of {end}"
            )
    for row in range(0, len(mask), SIDE):
        for col in range(0, mask.shape[1], SIDE):
            here = slice(row, row + SIDE), slice(col, col + SIDE)
            place = Place(0, (down.start + row) // SIDE, (across.start + col) // SIDE)
            yield place, image[:, *here], mask[here]
