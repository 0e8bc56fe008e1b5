"""Command `encode`: a GeoTIFF with the onboard encoder."""

import argparse
from dataclasses import replace
from pathlib import Path

from ground.commands.qualitymap import read_map_plane
from ground.products import geotiff
from ground.scene import fitted
from onboard import bundle as bundles
from onboard.commands.commandline import Commands, print_result, warn
from onboard.commands.encode import encode_text, encode_to_file
from onboard.commands.options import (
    add_encode_options,
    cuc_time,
    encode_options,
    given_profile,
    order_remark,
)
from onboard.encoder.indices import open_encoder
from onboard.encoder.run import told_parts
from onboard.link.header import RUN_BYTES
from onboard.link.segment import LEAST_OVERHEAD, TAG_BYTES
from onboard.outputs import refuse_overwriting

SIDECARS = (".msk", ".ovr", ".aux.xml")
"""What GDAL appends to the name of a raster for files that belong to it."""


def _encode(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    beside = [Path(f"{arguments.input}{suffix}") for suffix in SIDECARS]
    refuse_overwriting({"-o": arguments.output, "--json": arguments.json}, beside)
    scene = geotiff.read(arguments.input)
    if arguments.bayer:
        scene = scene.split(arguments.bayer)
    start = cuc_time(arguments.start_time)
    header = replace(scene.header(), start_time=start, tile=arguments.tile)
    profile = given_profile(arguments)
    packets = arguments.output.suffix == ".pkt"
    asked = encode_options(arguments, arguments.rate_window, packets, header, read_map_plane)
    engine = arguments.engine, arguments.threads
    encoder, options = open_encoder(bundle, header, asked, arguments.trellis, *engine, profile)
    most = options.segment_limit - (LEAST_OVERHEAD + TAG_BYTES + RUN_BYTES)
    header, left = fitted(told_parts(encoder.told(header), options), most)
    header = replace(header, tile=arguments.tile)  # of which usual ones are not told
    remarks = [*scene.remarks, *(f"no room in the scene header: {what}" for what in left)]
    warn(arguments.input, [*remarks, *order_remark(bundle, scene.band_ids)])
    result = encode_to_file(encoder, scene.image, header, options, arguments)
    print_result(result, encode_text(result, arguments.output), arguments.json)
    return 0


def add_encode_command(commands: Commands) -> None:
    encode = commands.add_parser(
        "encode",
        help="encode a GeoTIFF with the onboard encoder",
        epilog="example: python -m ground encode scene.tif --bundle corsa-2level-1024 -o scene.sky",
    )
    encode.add_argument("input", type=Path, help="GeoTIFF, uint8, uint16, int16 or int8")
    add_encode_options(encode)
    encode.set_defaults(run=_encode)
