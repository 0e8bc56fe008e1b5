"""Quality by place: options of it, and what `--quality-map` names, as the encoder takes it."""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bound import Bound
from onboard.encoder.boundedplace import BoundedArea, BoundedPlace
from onboard.encoder.quality import (
    BLOCKS,
    LOSSLESS,
    QualityMap,
    quality_of_psnr,
    quality_of_rmse,
)
from onboard.errors import InputError, LimitError, UsageError
from onboard.image.region import Edges, Region, read_features
from onboard.link.header import SceneHeader

UNITS = ("psnr", "rmse")
"""What numbers of a map are, dB of peak 65535 or DN."""
PROPERTIES = (*UNITS, "max_error")
"""Of polygons, one each."""
OpenPlane = Callable[[Path], NDArray[np.generic]]
_MOST_CELLS = 1 << 26


@dataclass(frozen=True)
class ReadMap:
    """A map as it was read.

    Attributes:
        qualities: qualities of blocks.
        places: places whose tiles are within a bound on the error.
    """

    qualities: QualityMap
    places: tuple[BoundedPlace, ...] = ()


def read_plane(path: Path) -> NDArray[np.generic]:
    """Read an array of rows and columns.

    Raises:
        InputError: it is none.
    """
    if path.suffix != ".npy":
        raise InputError(f"{path}: expected .npy or .geojson; of a GeoTIFF see `ground encode`")
    try:
        found: NDArray[np.generic] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: expected .npy of rows and columns: {error}") from error
    return found


def read_map(
    path: Path, unit: str, block: int, header: SceneHeader, open_plane: OpenPlane = read_plane
) -> ReadMap:
    """Read a map for a scene.

    Args:
        path: a GeoJSON file of polygons with a property of `PROPERTIES`; else what `open_plane`
            opens, of as many columns as the scene has pixels, or blocks.
        unit: what numbers are, one of `UNITS`; u16 are hundredths of a dB, 65535 lossless.
        block: rows and columns of a block, pixels.
        header: header of the scene.
        open_plane: reads arrays of rows and columns.

    Raises:
        InputError: it is no such file, or a number in it is no quality.
        UsageError: it does not fit the scene.
        LimitError: polygons reach too far.
    """
    if path.suffix in (".json", ".geojson"):
        return _of_features(path, block, header)
    plane = open_plane(path)
    if plane.ndim != 2 or 0 in plane.shape:
        raise InputError(f"{path}: expected rows and columns, found {plane.shape}")
    columns = plane.shape[1]
    cells = {header.width: 1, -(-header.width // block): block}
    if columns not in cells:
        wanted = " or ".join(f"{count} of {side} pixels" for count, side in cells.items())
        raise UsageError(f"{path}: expected columns, {wanted}, found {columns}")
    return ReadMap(QualityMap(_qualities(path, plane, unit), cells[columns]))


def _qualities(path: Path, plane: NDArray[Any], unit: str) -> NDArray[np.uint16]:
    """Return qualities of numbers: 0 of those that are not finite but for what means lossless."""
    if plane.dtype == np.uint16:
        return plane.astype(np.uint16)
    if plane.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected numbers, found {plane.dtype}")
    values, places = np.unique(plane.astype(np.float64), return_inverse=True)
    found = [_quality(str(path), unit, value) for value in values.tolist()]
    return np.array(found, np.uint16)[places].reshape(plane.shape)


def _quality(where: str, unit: str, value: float) -> int:
    """Return the quality of a number; 0 if it leaves it open."""
    lossless = math.inf if unit == "psnr" else 0.0
    if value == lossless:
        return LOSSLESS
    if math.isnan(value) or (unit == "psnr" and value == 0):
        return 0
    try:
        return quality_of_psnr(value) if unit == "psnr" else quality_of_rmse(value)
    except UsageError as error:
        raise InputError(f"{where}: {error}") from error


def _of_features(path: Path, block: int, header: SceneHeader) -> ReadMap:
    """Return the map of polygons: blocks that they touch have theirs, the finest of several."""
    columns = -(-header.width // block)
    told: list[tuple[list[Edges], int]] = []
    places: list[BoundedPlace] = []
    for properties, polygons in read_features(path, header):
        (name, value), *more = [(n, properties[n]) for n in PROPERTIES if n in properties] or [
            ("", None)
        ]
        if more or not name:
            raise InputError(
                f"{path}: expected a property of {', '.join(PROPERTIES)} of each polygon, found "
                f"{json.dumps(properties)[:80]}"
            )
        if name == "max_error":
            places.append(BoundedArea(polygons, Bound.parse(str(value))))
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{path}: {name}: expected a number, found {value!r:.40}")
        else:
            told.append((polygons, _quality(str(path), name, float(value))))
    rows = _rows_of(path, [edges for polygons, _ in told for edges in polygons], block, header)
    if rows * columns > _MOST_CELLS:
        raise LimitError(f"{path}: polygons over more than {_MOST_CELLS} blocks")
    qualities = np.zeros((rows, columns), np.uint16)
    for polygons, quality in told:
        region = Region(polygons, columns, block)
        for row, col in np.ndindex(rows, columns):
            if region.touches(row * columns + col):
                qualities[row, col] = max(int(qualities[row, col]), quality)
    return ReadMap(QualityMap(qualities, block), tuple(places))


def _rows_of(path: Path, polygons: Sequence[Edges], block: int, header: SceneHeader) -> int:
    """Return the rows of blocks that polygons reach, at least 1."""
    lowest = max((float(edges[:, 1::2].max()) for edges in polygons), default=0.0)
    within = min(lowest, header.height - 1) if header.height else lowest
    return max(math.floor(within / block) + 1, 1)


def add_quality_options(parser: argparse.ArgumentParser) -> None:
    """Add what asks for a quality."""
    group = parser.add_argument_group(
        "quality, for bundles of variable rate",
        "beside --bytes or --ratio: those are upper bounds, and win where the quality takes more",
    )
    quality = group.add_mutually_exclusive_group()
    quality.add_argument("--psnr", type=float, help="dB, peak 65535, aimed at")
    quality.add_argument("--rmse", type=float, help="root mean square error in DN, aimed at")
    group.add_argument(
        "--quality-block",
        type=int,
        choices=BLOCKS,
        default=0,
        help="pixels of a side of blocks that each have it; else the scene, or each row of tiles",
    )
    group.add_argument(
        "--quality-map",
        type=Path,
        metavar="FILE",
        help="quality by place: .npy (`ground encode`: or GeoTIFF) of rows and columns of pixels "
        "or blocks, or GeoJSON polygons with a property psnr, rmse or max_error; the finest in a "
        "block counts. NaN, and 0 dB, leave it to --psnr or --rmse; inf dB, 0 DN are lossless",
    )
    group.add_argument(
        "--quality-unit",
        choices=UNITS,
        default=UNITS[0],
        help="what numbers of the map are: dB of peak 65535 (default), or DN; u16 in .npy are "
        "hundredths of a dB, 65535 lossless",
    )
