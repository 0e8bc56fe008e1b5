"""Command `quality-map`: a map of qualities as the C encoder takes it."""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground.products import geotiff
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.commands.qualitymap import UNITS, read_map, read_plane
from onboard.encoder.quality import BLOCKS, LOSSLESS
from onboard.errors import InputError, LimitError, UsageError
from onboard.image.tiles import DEFAULT_MAX_PIXELS
from onboard.outputs import open_whole, refuse_overwriting


def add_quality_map_command(commands: Commands) -> None:
    """Add `quality-map`."""
    command = commands.add_parser(
        "quality-map",
        help="turn a map of qualities to what the C encoder takes",
        epilog="example: python -m ground quality-map aoi.geojson --scene scene.tif "
        "--quality-block 32 -o map.npy",
    )
    command.add_argument("map", type=Path, help=".npy, GeoTIFF or GeoJSON, as --quality-map")
    command.add_argument("--scene", type=Path, required=True, help="GeoTIFF that it is of")
    command.add_argument("--quality-block", type=int, choices=BLOCKS, required=True)
    command.add_argument("--quality-unit", choices=UNITS, default=UNITS[0])
    command.add_argument("-o", "--output", type=Path, required=True, help=".npy to write")
    add_json_option(command)
    command.set_defaults(run=_quality_map)


def _quality_map(arguments: argparse.Namespace) -> int:
    outputs = {"-o": arguments.output, "--json": arguments.json}
    refuse_overwriting(outputs, [arguments.map, arguments.scene])
    header, side = geotiff.read(arguments.scene).header(), arguments.quality_block
    told = read_map(arguments.map, arguments.quality_unit, side, header, read_map_plane)
    if told.places:
        raise UsageError("quality map: expected no max_error, which C takes as --region-max-error")
    rows, columns = -(-header.height // side), -(-header.width // side)
    found = np.zeros((rows, columns), "<u2")
    for row, col in np.ndindex(rows, columns):
        found[row, col] = told.qualities.of_box(row * side, col * side, side, side)
    with open_whole(arguments.output) as file:
        np.save(file, found, allow_pickle=False)
    result = {
        "rows": rows,
        "columns": columns,
        "open": int((found == 0).sum()),
        "lossless": int((found == LOSSLESS).sum()),
    }
    text = (
        f"{arguments.output}: {rows} x {columns} blocks of {side} pixels, {result['open']} left "
        f"open, {result['lossless']} lossless"
    )
    print_result(result, text, arguments.json)
    return 0


def read_map_plane(path: Path) -> NDArray[np.generic]:
    """Read a map of qualities: .npy, or a GeoTIFF of one band, NaN where it has no data.

    Raises:
        InputError: it is neither.
        LimitError: it has more pixels than are read of a scene.
    """
    if path.suffix == ".npy":
        return read_plane(path)
    with geotiff.opened(path) as dataset:
        if dataset.count != 1:
            raise InputError(f"{path}: expected one band, found {dataset.count}")
        if dataset.width * dataset.height > DEFAULT_MAX_PIXELS:
            raise LimitError(f"{path}: expected at most {DEFAULT_MAX_PIXELS} pixels")
        band = dataset.read(1, masked=True).astype(np.float64)
    return np.asarray(np.ma.filled(band, np.nan), np.float64)
