"""Command line of the flight side: encode, info, selftest."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onboard import bundle as bundles
from onboard.commandline import (
    add_json_option,
    command_parser,
    open_output,
    peak_rss_mb,
    print_result,
    run_command,
)
from onboard.encoder import WINDOWS, Encoder, Options
from onboard.errors import UsageError
from onboard.rawimage import DTYPES, LAYOUTS, Image, read_npy, read_raw
from onboard.sceneheader import SceneHeader
from onboard.selftest import run_selftest
from onboard.session import ENGINES


def add_encode_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command which encodes shares."""
    parser.add_argument("--bundle", required=True, help="name or path of a model bundle")
    parser.add_argument("-o", "--output", required=True, type=Path, help="stream to write (.sky)")
    parser.add_argument("--engine", choices=ENGINES, help="default: the first that is installed")
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine (default 1)")
    parser.add_argument("--segment-bytes", type=int, default=1000, help="most bytes of a segment")
    parser.add_argument("--one-layer", action="store_true", help="one layer to a segment")
    parser.add_argument("--scene-id", type=int, default=0, help="0..65535 (default 0)")
    parser.add_argument("--start-time", help="of the scene, ISO 8601 in TAI; left out by default")
    rate = parser.add_argument_group(
        "rate, for bundles of variable rate"
    ).add_mutually_exclusive_group()
    rate.add_argument("--bytes", type=int, help="most bytes of the stream")
    rate.add_argument("--ratio", type=float, help="raw bytes over bytes (default 20.48)")
    rate.add_argument("--psnr", type=float, help="dB, peak 65535, aimed at instead")
    rate.add_argument("--rmse", type=float, help="root mean square error in DN, aimed at instead")
    parser.add_argument(
        "--rate-window",
        choices=WINDOWS,
        default="scene",
        help="over what the rate is kept: the scene, or each row of tiles",
    )
    add_json_option(parser)


def encode_options(arguments: argparse.Namespace) -> Options:
    """Return the encoder's options from those of the command line.

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
        arguments.rate_window,
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

    The output grows under its own name and is flushed at the end: what was written stays.
    """
    refuse_overwriting(arguments)
    raw = image.size * image.dtype.itemsize
    options = encode_options(arguments)
    segments = encoder.encode(image, header, options)
    begun = time.perf_counter()
    first = next(segments)
    written = len(first)
    with open_output(arguments.output) as stream:
        stream.write(first)
        for segment in segments:
            stream.write(segment)
            written += len(segment)
    seconds = time.perf_counter() - begun
    pixels = image.shape[1] * image.shape[2]
    return {
        "bundle": encoder.bundle.name,
        "engine": encoder.engine,
        "bytes": written,
        "raw_bytes": raw,
        "ratio": raw / written,
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


def _info(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    result: dict[str, Any] = {
        "name": bundle.name,
        "model_hash": bundle.model_hash.hex(),
        "bands": bundle.bands,
        "tile": bundle.tile,
        "variable_rate": bundle.variable_rate,
        "encoder_mac_per_pixel": bundle.macs_per_pixel,
        "parts": {part["name"]: part["bytes"] for part in bundle.manifest["parts"]},
        "wire": bundle.manifest["wire"],
    }
    rate = "any rate (--bytes, --ratio, --psnr, --rmse)"
    if not bundle.variable_rate:
        payload = _payload(bundle, bundle.tile if arguments.tile is None else arguments.tile)
        result |= payload
        rate = (
            f"payload of a {payload['payload_tile']}x{payload['payload_tile']} tile, coarse to "
            f"fine: {payload['payload_bytes_per_level']} = {payload['payload_bytes']} bytes "
            f"(ratio {payload['payload_ratio']:.2f})"
        )
    elif arguments.tile is not None:
        raise UsageError(f"--tile: bundle {bundle.name} has no fixed payload")
    text = (
        f"{bundle.name}  model {bundle.model_hash.hex()[:16]}  {bundle.bands} bands, "
        f"tiles of {bundle.tile}\n{rate}\n"
        f"encoder: {bundle.macs_per_pixel} MAC/pixel; parts: "
        + ", ".join(f"{name} {length}" for name, length in result["parts"].items())
    )
    print_result(result, text, arguments.json)
    return 0


def _payload(bundle: bundles.Bundle, size: int) -> dict[str, Any]:
    """Return the bytes of the packed indices of a tile."""
    if size < 1:
        raise UsageError(f"--tile: expected 1 or more, found {size}")
    payload = bundle.payload_bytes(size, size)
    return {
        "payload_tile": size,
        "payload_bytes_per_level": payload,
        "payload_bytes": sum(payload),
        "payload_ratio": 2 * bundle.bands * size * size / sum(payload),
    }


def _selftest(arguments: argparse.Namespace) -> int:
    result = run_selftest(bundles.load(arguments.bundle), arguments.engine)
    text = (
        f"{result['name']} on {result['engine']}: {result['vectors']} golden vectors, "
        f"{result['agreement_percent']:.3f} % of indices agree: "
        + ("passed" if result["passed"] else "FAILED")
    )
    print_result(result, text, arguments.json)
    return 0 if result["passed"] else 5


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("onboard", __doc__)

    encode = commands.add_parser(
        "encode",
        help="encode an .npy or raw image",
        epilog="example: python -m onboard encode scene.bil --layout bil --width 2048 "
        "--bundle corsa-2level-1024 -o scene.sky",
    )
    encode.add_argument("input", type=Path, help=".npy (bands, rows, cols), or a raw file")
    add_encode_options(encode)
    encode.add_argument("--layout", choices=LAYOUTS, help="order of a raw file")
    encode.add_argument("--dtype", choices=tuple(DTYPES), default="u16")
    encode.add_argument("--byte-order", choices=("little", "big"), default="little")
    encode.add_argument("--bands", type=int, help="bands of a raw file (default: the bundle's)")
    encode.add_argument("--width", type=int, help="columns of a raw file")
    encode.add_argument("--nodata", type=int, help="value that means: no data here")
    encode.add_argument("--significant-bits", type=int, help="bits of a sample in use (all)")
    encode.set_defaults(run=_encode)

    info = commands.add_parser(
        "info",
        help="show what a bundle is",
        epilog="example: python -m onboard info corsa-2level-1024 --tile 120 --json",
    )
    info.add_argument("bundle", help="name or path of a model bundle")
    info.add_argument("--tile", type=int, help="size of the tile whose payload is shown")
    add_json_option(info)
    info.set_defaults(run=_info)

    selftest = commands.add_parser(
        "selftest",
        help="run a bundle's golden vectors",
        epilog="example: python -m onboard selftest corsa-2level-1024 --engine ort",
    )
    selftest.add_argument("bundle", help="name or path of a model bundle")
    selftest.add_argument("--engine", choices=ENGINES)
    add_json_option(selftest)
    selftest.set_defaults(run=_selftest)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
