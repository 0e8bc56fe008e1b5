"""Command `encode`: a whole image to a stream, and the options of every command that encodes."""

import argparse
import time
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from onboard import bundle as bundles
from onboard.commandline import Commands, add_json_option, open_output, peak_rss_mb, print_result
from onboard.encoder import WINDOWS, Encoder, Options
from onboard.errors import UsageError
from onboard.rawimage import DTYPES, LAYOUTS, Image, read_npy, read_raw
from onboard.recorder import Recorder
from onboard.sceneheader import SceneHeader
from onboard.scrub import Scrub
from onboard.session import ENGINES
from onboard.spacepacket import DEFAULT_PACKET_BYTES, PacketOptions


def add_encode_command(commands: Commands) -> None:
    """Add `encode`."""
    encode = commands.add_parser(
        "encode",
        help="encode an .npy or raw image",
        epilog="example: python -m onboard encode scene.bil --layout bil --width 2048 "
        "--bundle corsa-2level-1024 -o scene.sky",
    )
    encode.add_argument("input", type=Path, help=".npy (bands, rows, cols), or a raw file")
    add_encode_options(encode)
    add_raw_options(encode)
    encode.set_defaults(run=_encode)


def add_raw_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what raw samples are."""
    parser.add_argument("--layout", choices=LAYOUTS, help="order of a raw file")
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="u16")
    parser.add_argument("--byte-order", choices=("little", "big"), default="little")
    parser.add_argument("--bands", type=int, help="bands of a raw file (default: the bundle's)")
    parser.add_argument("--width", type=int, help="columns of a raw file")
    parser.add_argument("--nodata", type=int, help="value that means: no data here")
    parser.add_argument("--significant-bits", type=int, help="bits of a sample in use (all)")


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
    parser.add_argument("--bundle", required=True, help="name or path of a model bundle")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        help="stream to write: .sky segments, .pkt space packets",
    )
    parser.add_argument("--engine", choices=ENGINES, help="default: the first that is installed")
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine (default 1)")
    parser.add_argument("--segment-bytes", type=int, default=1000, help="most bytes of a segment")
    parser.add_argument("--one-layer", action="store_true", help="one layer to a segment")
    parser.add_argument(
        "--trellis", action="store_true", help="choose indices along a trellis: smaller, but slower"
    )
    parser.add_argument("--scene-id", type=int, default=0, help="0..65535 (default 0)")
    parser.add_argument("--start-time", help="of line 0, ISO 8601 in TAI (packets: 1958-01-01)")
    packets = parser.add_argument_group("packets, for .pkt")
    packets.add_argument(
        "--packet-bytes",
        type=int,
        default=DEFAULT_PACKET_BYTES,
        help=f"most bytes of a whole packet (default {DEFAULT_PACKET_BYTES})",
    )
    packets.add_argument("--apid", type=int, default=1, help="application process (default 1)")
    packets.add_argument("--packet-control", action="store_true", help="end packets in a CRC-16")
    packets.add_argument(
        "--line-period", type=float, default=0.0, help="seconds from a line to the next (default 0)"
    )
    rate = parser.add_argument_group(
        "rate, for bundles of variable rate"
    ).add_mutually_exclusive_group()
    rate.add_argument("--bytes", type=int, help="most bytes of the stream")
    rate.add_argument("--ratio", type=float, help="raw bytes over bytes (default 20.48)")
    rate.add_argument("--psnr", type=float, help="dB, peak 65535, aimed at instead")
    rate.add_argument("--rmse", type=float, help="root mean square error in DN, aimed at instead")
    add_json_option(parser)


def encode_options(arguments: argparse.Namespace, window: str, packets: bool) -> Options:
    """Return the encoder's options from those of the command line.

    Args:
        arguments: of the command line.
        window: over what the rate is kept.
        packets: whether to form packets.

    Raises:
        UsageError: a value out of range.
    """
    rmse = arguments.rmse
    if arguments.psnr is not None:
        if not 0 <= arguments.psnr <= 200:
            raise UsageError(f"--psnr: expected 0..200 dB, found {arguments.psnr}")
        rmse = 65_535 / 10 ** (arguments.psnr / 20)
    return Options(
        arguments.scene_id,
        arguments.segment_bytes,
        arguments.one_layer,
        arguments.bytes,
        arguments.ratio,
        rmse,
        window,
        _packet_options(arguments) if packets else None,
        trellis=arguments.trellis,
    )


def _packet_options(arguments: argparse.Namespace) -> PacketOptions:
    if not 0 <= arguments.line_period < 1e6:
        raise UsageError(f"--line-period: expected 0..1e6 s, found {arguments.line_period}")
    return PacketOptions(
        arguments.packet_bytes,
        arguments.apid,
        arguments.packet_control,
        cuc_time(arguments.start_time) or (0, 0),
        round(arguments.line_period * 1e9),
    )


def refuse_overwriting(arguments: argparse.Namespace) -> None:
    """Refuse an output that is the input: it is mapped, and would be lost.

    Raises:
        UsageError: `-o` or `--json` names the input.
    """
    for option, target in (("-o", arguments.output), ("--json", arguments.json)):
        named = target not in (None, "-") and Path(target).exists()
        if named and Path(target).samefile(arguments.input):
            raise UsageError(f"{option} {target}: is the input")


def cuc_time(text: str | None) -> tuple[int, int] | None:
    """Return a TAI time as seconds and 1/65536 s since 1958-01-01T00:00:00 (CCSDS 301.0, CUC).

    Raises:
        UsageError: not ISO 8601, with a zone, or outside 1958..2094.
    """
    if text is None:
        return None
    try:
        since = datetime.fromisoformat(text) - datetime(1958, 1, 1)
    except (ValueError, TypeError) as error:
        raise UsageError(f"--start-time: expected ISO 8601 in TAI, no zone: {error}") from error
    ticks = since // timedelta(microseconds=1) * 65_536 // 1_000_000
    if not 0 <= ticks < 1 << 48:
        raise UsageError(f"--start-time: expected 1958..2094, found {text}")
    return divmod(ticks, 65_536)


def encode_to_file(
    encoder: Encoder, image: Image, header: SceneHeader | None, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Encode an image as the options say; return the figures of the run.

    The output grows under its own name: what was written stays.
    """
    refuse_overwriting(arguments)
    raw = image.size * image.dtype.itemsize
    options = encode_options(arguments, arguments.rate_window, arguments.output.suffix == ".pkt")
    scrub = Scrub(encoder.bundle, encoder.coder)
    begun = time.perf_counter()
    strips = encoder.strips(image, header, options)
    first = next(strips)
    with open_output(arguments.output) as stream:
        recorder = Recorder(stream, options.packets, scrub, options.strips_at_once)
        for strip in chain([first], strips):
            recorder.record(strip)
        recorder.flush()
    seconds = time.perf_counter() - begun
    pixels = image.shape[1] * image.shape[2]
    return {
        "bundle": encoder.bundle.name,
        "engine": encoder.engine,
        "bytes": recorder.bytes,
        "packets": recorder.packets,
        "raw_bytes": raw,
        "ratio": raw / recorder.bytes,
        "seconds": seconds,
        "mpixel_per_s": pixels / seconds / 1e6,
        "encoder_mac_per_pixel": encoder.bundle.macs_per_pixel,
        "peak_rss_mb": peak_rss_mb(),
    }


def encode_text(result: dict[str, Any], output: Path) -> str:
    """Return the line that `encode` prints."""
    return (
        f"{output}: {result['bytes']} bytes, ratio {result['ratio']:.2f} of {result['raw_bytes']} "
        f"raw; {result['mpixel_per_s']:.2f} Mpixel/s ({result['engine']}), "
        f"{result['encoder_mac_per_pixel']} MAC/pixel, peak RSS {result['peak_rss_mb']:.0f} MB"
    )


def _read_image(arguments: argparse.Namespace, bands: int) -> Image:
    path: Path = arguments.input
    if path.suffix == ".npy":
        return read_npy(path)
    if arguments.layout is None or arguments.width is None:
        raise UsageError(f"{path}: a raw image needs --layout and --width (or give an .npy file)")
    return read_raw(
        path,
        arguments.layout,
        arguments.dtype,
        arguments.byte_order,
        bands if arguments.bands is None else arguments.bands,
        arguments.width,
    )


def _encode(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    image = _read_image(arguments, bundle.bands)
    header = SceneHeader.of(
        image, nodata=arguments.nodata, start_time=cuc_time(arguments.start_time)
    )
    if arguments.significant_bits is not None:
        header = replace(header, significant_bits=arguments.significant_bits)
    encoder = Encoder(bundle, arguments.engine, arguments.threads)
    result = encode_to_file(encoder, image, header, arguments)
    print_result(result, encode_text(result, arguments.output), arguments.json)
    return 0
