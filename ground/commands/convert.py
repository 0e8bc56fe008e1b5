"""Command `convert`: a stream or an array of a Zarr to a cloud-optimised GeoTIFF."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ground.commands.options import add_picture_options, given_choice
from ground.products.decoded import check_place, files_of
from ground.products.large.blockwise import write_blocks
from ground.products.legend import LEGEND
from onboard.commands.commandline import Commands, add_json_option, print_result, progress
from onboard.errors import StreamError, UsageError
from onboard.outputs import refuse_overwriting

_SUFFIXES = (".tif", ".tiff")


def add_convert_command(commands: Commands) -> None:
    """Add `convert`."""
    convert = commands.add_parser(
        "convert",
        help="write a stream, or an array of a Zarr, as a cloud-optimised GeoTIFF in little memory",
        epilog="example: python -m ground convert cube.zarr cube.tif",
    )
    convert.add_argument("source", type=Path, help="recording (.sky or .pkt), or folder (.zarr)")
    convert.add_argument("output", type=Path, help="GeoTIFF to write (.tif)")
    add_picture_options(convert)
    convert.add_argument("--array", help="path of the array in a Zarr, if there are several")
    convert.add_argument("--scene-id", type=int, help="scene of a recording, if there are several")
    convert.add_argument(
        "--run", dest="encoding_run", metavar="N", type=int, help="this encoding of a scene alone"
    )
    add_json_option(convert)
    convert.set_defaults(run=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    from ground.api.picture import open_picture  # noqa: PLC0415 (needs xarray for a Zarr)

    output = arguments.output
    if output.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{output}: expected a file name in {' or '.join(_SUFFIXES)}")
    beside = {f"{what} of {output}": path for what, path in files_of(output).items()}
    outputs = {"OUTPUT": output, **beside, "--json": arguments.json}
    refuse_overwriting(outputs, [arguments.source, arguments.profile])
    check_place(output)
    choice = given_choice(arguments, scene_id=arguments.scene_id, run=arguments.encoding_run)
    picture = open_picture(arguments.source, choice, arguments.array)
    _, rows, cols = picture.shape
    with progress(f"converting {arguments.source}") as show:

        def blocks() -> Any:
            done = 0
            for block in picture.blocks():
                yield block
                done += block[3].size
                show(f"converting {arguments.source}: {100 * done // (rows * cols)} %")

        coders = max(1, arguments.threads - (picture.rows is not None))  # one decodes
        counts, reasons = write_blocks(
            output, picture.scene, blocks(), lambda: picture.origin, coders
        )
    result = _result(picture.shape, counts)
    bands, *_ = picture.shape
    worth = ", ".join(
        f"{n.replace('_', ' ')} {s:.2f} %" for n, s in result["mask_percent"].items() if s
    )
    text = f"{output}: {bands} bands, {rows} x {cols}\n{files_of(output)['mask']}: {worth}"
    print_result(result | {"left_out": reasons}, text, arguments.json)
    lost = sum(counts.get(entry.value, 0) for entry in LEGEND if entry.lacks)
    return StreamError.exit_code if lost or reasons else 0


def _result(shape: tuple[int, int, int], counts: Mapping[int, int]) -> dict[str, Any]:
    pixels = shape[1] * shape[2]
    percent = {entry.name: 100 * counts.get(entry.value, 0) / pixels for entry in LEGEND}
    return {"shape": list(shape), "mask_percent": percent}
