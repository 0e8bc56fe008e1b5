"""Options that several commands share, and what they mean."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.bundle.bands import trained_bands
from onboard.bundle.profiles import load_profile
from onboard.codec.bound import Bound
from onboard.codec.profile import Profile
from onboard.commands.commandline import add_json_option
from onboard.commands.engine import add_engine_options
from onboard.commands.qualitymap import OpenPlane, add_quality_options, read_map, read_plane
from onboard.encoder import Options
from onboard.encoder.boundedplace import BoundedArea, BoundedBox, BoundedPlace
from onboard.encoder.options import WINDOWS
from onboard.encoder.quality import BLOCKS
from onboard.errors import UsageError
from onboard.image.bands import other_order, short_names
from onboard.image.bayer import PATTERNS, cell_of
from onboard.image.region import read_places
from onboard.link.binding import MAX_RUN, NO_RUN
from onboard.link.cuc import parse_time
from onboard.link.header import SceneHeader
from onboard.link.packet import (
    CONTROL_BYTES,
    DEFAULT_PACKET_BYTES,
    MIN_PACKET_BYTES,
    PROTECT_ROOM,
    PacketOptions,
)
from onboard.link.segment import DEFAULT_SEGMENT_BYTES


def add_encode_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that encode a whole image."""
    add_coding_options(parser)
    parser.add_argument(
        "--rate-window",
        choices=WINDOWS,
        default="scene",
        help="over what the rate is kept: the scene, or each row of tiles",
    )


def add_coding_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that encodes."""
    _add_coder_options(parser)
    add_engine_options(parser)
    _add_scene_options(parser)
    _add_packet_options(parser)
    _add_rate_options(parser)
    add_json_option(parser)


def _add_coder_options(parser: argparse.ArgumentParser) -> None:
    """Add which model codes, where to, and how."""
    parser.add_argument("--bundle", required=True, help="name or path of a model bundle")
    parser.add_argument(
        "--profile",
        type=Path,
        help="spectral profile (.prof) for more than 16 bands, or its folder of slots",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        help="stream to write: .sky segments, .pkt space packets",
    )
    parser.add_argument(
        "--segment-bytes",
        type=int,
        default=DEFAULT_SEGMENT_BYTES,
        help="most bytes of a segment (default %(default)s)",
    )
    parser.add_argument("--one-layer", action="store_true", help="one layer to a segment")


def _add_scene_options(parser: argparse.ArgumentParser) -> None:
    """Add what tells a scene from others, and what it is cut into."""
    parser.add_argument("--scene-id", type=int, default=0, help="0..65535 (default 0)")
    parser.add_argument(
        "--run",
        dest="encoding_run",
        metavar="N",
        type=int,
        help=f"1..{MAX_RUN}: tells this encoding from others of the scene id, such as a boot count "
        "(default: chosen by options and first lines)",
    )
    parser.add_argument(
        "--bayer",
        choices=PATTERNS,
        help="the one band is a mosaic of colour filters, in cells of 2 x 2 so, row by row",
    )
    parser.add_argument(
        "--tile",
        type=int,
        help="rows and columns of tiles of up to 4 bands: a multiple of 8 in 64..128, of one band "
        "in 64..256; more take fewer bytes, and lines in memory (default: for up to 4 bands "
        "large ones that cut the scene evenly, else 64)",
    )
    parser.add_argument("--start-time", help="of line 0, ISO 8601 in TAI (packets: 1958-01-01)")


def _add_packet_options(parser: argparse.ArgumentParser) -> None:
    """Add the form of packets."""
    packets = parser.add_argument_group("packets, for .pkt")
    packets.add_argument(
        "--packet-bytes",
        type=int,
        default=DEFAULT_PACKET_BYTES,
        help=f"most bytes of a whole packet (default {DEFAULT_PACKET_BYTES}); one that `protect` "
        "made: see --protect-room",
    )
    packets.add_argument(
        "--protect-room",
        action="store_true",
        help=f"leave room in --packet-bytes for the {PROTECT_ROOM} bytes that `protect` adds: CRC "
        "and the head of a repair packet",
    )
    packets.add_argument("--apid", type=int, default=1, help="application process (default 1)")
    packets.add_argument("--packet-control", action="store_true", help="end packets in a CRC-16")
    packets.add_argument(
        "--line-period", type=float, default=0.0, help="seconds from a line to the next (default 0)"
    )


def _add_rate_options(parser: argparse.ArgumentParser) -> None:
    """Add how many bytes, or how near to the original."""
    rate = parser.add_argument_group(
        "rate, for bundles of variable rate"
    ).add_mutually_exclusive_group()
    rate.add_argument("--bytes", type=int, help="most bytes of the stream")
    rate.add_argument("--ratio", type=float, help="raw bytes over bytes (default 20.48)")
    rate.add_argument(
        "--max-error",
        metavar="D",
        help="DN that no sample is off by more than: 0 is lossless; D1,D2,... of each band; sqrt:K "
        "is K times the root of the sample. Any 1 to 1,024 bands; the rate is what comes of it",
    )
    add_quality_options(parser)
    parser.add_argument(
        "--max-error-first",
        metavar="D",
        help="with --max-error, a coarser bound that each tile is within at first; what takes it "
        "from there to --max-error is sent apart, tile by tile as `ground missing --rest` asks",
    )
    parser.add_argument(
        "--region-max-error",
        nargs=2,
        metavar=("PLACE", "D"),
        action="append",
        default=[],
        help="a bound as of --max-error for the tiles that touch a box of pixels x0,y0,x1,y1 (x1, "
        "y1 not included) or the polygons of a GeoJSON file, within the rate of the rest; may be "
        "repeated. The file is in the CRS of the scene, or in pixels (CRS named `pixels`)",
    )


def given_profile(arguments: argparse.Namespace) -> Profile | None:
    """Return the spectral profile that the options name.

    Raises:
        BundleError: it cannot be read, or is damaged.
    """
    return None if arguments.profile is None else load_profile(arguments.profile)


def bundle_files(name: str | None) -> tuple[Path, ...]:
    """Return the files of a bundle of this name or path: itself, and its decoder beside it.

    Raises:
        BundleError: there is no bundle of this name.
    """
    if name is None:
        return ()
    path = bundles.find(name)
    return path, path.with_suffix(".onnx")


def region_files(arguments: argparse.Namespace) -> list[str]:
    """Return the files that `--region-max-error` and `--quality-map` name."""
    found = [place for place, _ in arguments.region_max_error if Path(place).is_file()]
    return found + ([] if arguments.quality_map is None else [str(arguments.quality_map)])


def order_remark(bundle: Bundle, band_ids: Sequence[str]) -> list[str]:
    """Return what to say of bands in another order than the model was trained on, if they are."""
    trained = trained_bands(bundle)
    if not other_order(band_ids, trained):
        return []
    return [
        f"bands {short_names(band_ids)}: {bundle.name} was trained on {short_names(trained)} in "
        "this order"
    ]


def encode_options(
    arguments: argparse.Namespace,
    window: str,
    packets: bool,
    header: SceneHeader,
    open_plane: OpenPlane = read_plane,
) -> Options:
    """Return the encoder's options from those of the command line; plain if that is left open.

    Args:
        arguments: arguments of the command line.
        window: part of the scene over which the rate is kept, one of `WINDOWS`.
        packets: whether to form packets.
        header: header of the scene, that places regions.
        open_plane: opens maps of qualities.

    Raises:
        UsageError: a value out of range.
        InputError: a region that cannot be read.
    """
    if arguments.encoding_run == NO_RUN:
        raise UsageError(f"--run: expected 1..{MAX_RUN}, found {arguments.encoding_run}")
    block, qualities = arguments.quality_block, None
    regions = [_place(place, bound, header) for place, bound in arguments.region_max_error]
    if arguments.quality_map is not None:
        block = block or BLOCKS[0]
        told = read_map(arguments.quality_map, arguments.quality_unit, block, header, open_plane)
        qualities = told.qualities
        regions += told.places
    return Options(
        arguments.scene_id,
        arguments.segment_bytes,
        arguments.one_layer,
        arguments.bytes,
        arguments.ratio,
        arguments.rmse,
        window,
        _packet_options(arguments) if packets else None,
        trellis=bool(arguments.trellis),
        run=arguments.encoding_run,
        max_error=_bound(arguments.max_error),
        max_error_first=_bound(arguments.max_error_first),
        regions=tuple(regions),
        psnr=arguments.psnr,
        quality_block=block,
        quality_map=qualities,
    )


def _bound(text: str | None) -> Bound | None:
    return None if text is None else Bound.parse(text)


def _place(place: str, bound: str, header: SceneHeader) -> BoundedPlace:
    """Return a box of pixels, or polygons, with their bound."""
    if not Path(place).is_file():
        return BoundedBox.parse(place, bound)
    return BoundedArea(read_places([place], header), Bound.parse(bound))


def _packet_options(arguments: argparse.Namespace) -> PacketOptions:
    if not 0 <= arguments.line_period < 1e6:
        raise UsageError(f"--line-period: expected 0..1e6 s, found {arguments.line_period}")
    most = arguments.packet_bytes
    if arguments.protect_room:
        most -= most % 2 + PROTECT_ROOM - (CONTROL_BYTES if arguments.packet_control else 0)
        if most < MIN_PACKET_BYTES:
            raise UsageError(
                f"--packet-bytes: expected {arguments.packet_bytes + MIN_PACKET_BYTES - most} or "
                f"more with --protect-room, found {arguments.packet_bytes}"
            )
    return PacketOptions(
        most,
        arguments.apid,
        arguments.packet_control,
        cuc_time(arguments.start_time) or (0, 0),
        round(arguments.line_period * 1e9) * cell_of(arguments.bayer),
    )


def cuc_time(text: str | None) -> tuple[int, int] | None:
    """Return the time that `--start-time` tells, as `parse_time` does; None if it is not given.

    Raises:
        UsageError: it is no such time.
    """
    try:
        return None if text is None else parse_time(text)
    except UsageError as error:
        raise UsageError(f"--start-time: {error}") from error
