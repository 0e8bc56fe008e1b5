"""Blockwise: a cloud-optimised GeoTIFF and its mask, made window by window in bounded memory.

The files are those of `ground.products.decoded`. They are made in a folder beside their place,
checked, and come into it whole: GDAL does not tell of all that it cannot write.
"""

import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.products.decoded import (
    MASK_OPTIONS,
    PALETTE,
    mask_path,
    name_values,
    names_path,
    write_names,
)
from ground.products.filefacts import put_in_place, write_facts
from ground.products.geotiff import (
    BLOCK,
    UPRIGHT,
    new_file,
    opened,
    profile_of,
    size_of,
    telling_raster,
    windows_of,
    write_cog_of,
)
from ground.products.large.blocks import has_all_blocks
from ground.products.legend import LEGEND, hidden
from ground.products.origin import DOMAIN, PREFIX, counts_of, shares
from ground.products.overview import halved
from ground.scene import Scene
from onboard.errors import InputError, UsageError
from onboard.outputs import telling_room

Block = tuple[slice, slice, NDArray[Any], NDArray[np.uint8]]
"""Rows and columns, image (bands, rows, cols) and mask (rows, cols) of a window."""
_UNPACKED = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
_UNPACKED |= {"compress": None, "zstd_level": None, "BIGTIFF": "IF_SAFER"}
"""How files are laid out that only the cloud-optimised one is made of."""
_LINES = 1024
_HIDDEN = [entry.value for entry in LEGEND if entry.hidden]


@dataclass
class _Filled:
    """What was written of a scene.

    Attributes:
        windows: rows and columns of each block.
        checks: checksums of the image and of the mask of each.
        counts: pixels by their value of the mask.
        least: least sample, at most 0.
        most: greatest sample, at least 0.
    """

    windows: list[tuple[slice, slice]] = field(default_factory=list)
    checks: list[tuple[int, int]] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    least: int = 0
    most: int = 0

    def add(self, block: Block) -> None:
        """Take note of a block."""
        rows, cols, image, mask = block
        if rows.start % BLOCK or cols.start % BLOCK:
            found = rows.start, cols.start
            raise UsageError(f"block: expected to begin at multiples of {BLOCK}, found {found}")
        self.windows.append((rows, cols))
        self.checks.append((_check(image), _check(mask)))
        self.counts += counts_of(mask)
        self.least = min(self.least, int(image.min()))
        self.most = max(self.most, int(image.max()))

    def bits(self, scene: Scene) -> dict[str, Any]:
        """Return the creation options that say how many bits of a sample are in use."""
        bits = scene.significant_bits
        if bits is None or self.least or (self.most | (scene.nodata or 0)) >> bits:
            return {}
        return {} if scene.image.dtype == np.int16 else {"nbits": bits}


def write_blocks(
    path: Path, scene: Scene, blocks: Iterable[Block], origin: Callable[[], Mapping[str, str]]
) -> tuple[dict[int, int], list[str]]:
    """Write a scene, and its mask beside it, from the blocks that make it up.

    Args:
        path: path of the GeoTIFF.
        scene: what is said of it; of its image only shape and dtype are looked at.
        blocks: windows that begin at multiples of 256 rows and columns.
        origin: function that returns key and text of what is known of what it was decoded from,
            asked once all blocks were taken.

    Returns:
        Pixels by their value of the mask, and what was left out, and why.

    Raises:
        UsageError: a file cannot be created, or there is not enough room for it.
    """
    scene, reasons = _writable(scene)
    try:
        folder = Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise UsageError(f"{path}: expected a place to write to: {error.strerror}") from error
    made, mask = folder / path.name, folder / mask_path(path).name
    try:
        with telling_room(path), telling_raster(path):
            filled = _write(folder, made, mask, scene, blocks, origin)
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
    folder: Path,
    made: Path,
    made_mask: Path,
    scene: Scene,
    blocks: Iterable[Block],
    origin: Callable[[], Mapping[str, str]],
) -> _Filled:
    """Fill two files with blocks, and make cloud-optimised ones of them, which are read back."""
    filled = _Filled()
    paths = folder / "image.tif", folder / "mask.tif"
    profile = profile_of(replace(scene, significant_bits=None)) | _UNPACKED
    profile |= {"photometric": "MINISBLACK"}
    flat = np.broadcast_to(np.uint8(0), (1, *scene.image.shape[1:]))
    of_mask = profile_of(Scene(flat, None, scene.transform, scene.crs)) | PALETTE
    with new_file(paths[0], profile) as image, new_file(paths[1], of_mask) as mask:
        for block in blocks:
            filled.add(block)
            window = _window(*block[:2])
            image.write(block[2], window=window)
            mask.write(block[3], 1, window=window)
        is_hiding = any(filled.counts[value] for value in _HIDDEN)
        if is_hiding:
            for rows, cols in filled.windows:
                window = _window(rows, cols)
                image.write_mask(~hidden(mask.read(1, window=window)), window=window)
        write_facts(image, scene)
        if tags := dict(origin()):
            tags |= {PREFIX + key: text for key, text in shares(filled.counts).items()}
            image.update_tags(ns=DOMAIN, **tags)
        name_values(mask)
    for path, checks in zip(paths, zip(*filled.checks, strict=True), strict=True):
        _read_back(path, filled.windows, checks)
    bits = filled.bits(scene)
    predictor = "NO" if bits else "YES"
    if not is_hiding:
        _write_overviews(paths[0])
    write_cog_of(made, paths[0], OVERVIEW_RESAMPLING="AVERAGE", PREDICTOR=predictor, **bits)
    put_in_place(made)
    write_cog_of(made_mask, paths[1], **MASK_OPTIONS)
    write_names(made_mask)
    for path in (made, made_mask):
        if not has_all_blocks(path):
            raise UsageError(f"{path}: expected room for it, found it damaged once written")
    return filled


def _write_overviews(path: Path) -> None:
    """Write overviews beside a file of which every pixel is measured, each beside the one before.

    GDAL, which makes them otherwise, takes fifteen times as long.
    """
    with windows_of(path) as read, opened(path) as dataset:
        rows, cols = dataset.shape
        if max(rows, cols) <= BLOCK:
            return
        finer = path.with_name(f"{path.name}.ovr")
        image = np.broadcast_to(np.zeros((), dataset.dtypes[0]), (dataset.count, rows, cols))
        profile = _UNPACKED | size_of(image[:, ::2, ::2]) | {"transform": UPRIGHT}
        with new_file(finer, profile) as coarser:
            for first in range(0, rows, _LINES):
                lines = slice(first, min(first + _LINES, rows))
                whole = np.zeros((lines.stop - lines.start, cols), np.uint8)
                found, _ = halved(read(lines, slice(0, cols)), whole, None)
                here = slice(first // 2, first // 2 + found.shape[1])
                coarser.write(found, window=_window(here, slice(0, found.shape[2])))
    _write_overviews(finer)


def _window(rows: slice, cols: slice) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return rasterio's words for some rows and columns."""
    return (rows.start, rows.stop), (cols.start, cols.stop)


def _check(samples: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(samples).data)


def _read_back(path: Path, windows: Sequence[tuple[slice, slice]], checks: Sequence[int]) -> None:
    """Refuse a file that does not hold what was written.

    Raises:
        UsageError: saying so.
    """
    with windows_of(path) as read:
        for window, check in zip(windows, checks, strict=True):
            if _check(read(*window)) != check:
                raise UsageError(f"{path}: expected room for it, found it damaged once written")
