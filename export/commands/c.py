"""Commands `c` and `verify-c`: the encoder of a bundle as C99 source."""

import argparse
from dataclasses import asdict
from pathlib import Path

from export.csource import write as csource
from export.csource.build import build
from onboard import bundle as bundles
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import BundleError


def add_c_commands(commands: Commands) -> None:
    """Add `c` and `verify-c`."""
    c = commands.add_parser(
        "c",
        help="write the encoder of a bundle as C99 source",
        epilog="example: python -m export c skybook -o encoder && make -C encoder && "
        "encoder/skybook scene.bil --width 2048 -o scene.pkt",
    )
    c.add_argument("bundle", help="name or path of a model bundle of the lapped codec")
    c.add_argument("-o", "--output", type=Path, required=True, help="folder")
    c.set_defaults(run=_c)
    verify_c = commands.add_parser(
        "verify-c",
        help="compare the C encoder with Python, packet by packet; its size and speed",
        epilog="example: python -m export verify-c skybook encoder --json",
    )
    verify_c.add_argument("bundle", help="the bundle that the C source was made of")
    verify_c.add_argument("folder", type=Path, help="folder that `export c` wrote")
    verify_c.set_defaults(run=_verify_c)
    for command in (c, verify_c):
        add_json_option(command)


def _c(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    written = csource.write(bundle, arguments.output)
    result = {
        "name": bundle.name,
        "model_hash": bundle.model_hash.hex(),
        "files": {str(path): path.stat().st_size for path in written},
    }
    text = f"{arguments.output}: encoder of {bundle.name}; make -C {arguments.output} builds it"
    print_result(result, text, arguments.json)
    return 0


def _verify_c(arguments: argparse.Namespace) -> int:
    from export.csource.measure import footprint, speed  # noqa: PLC0415 (not to write C)
    from export.csource.verify import compare, most_bands  # noqa: PLC0415

    bundle = bundles.load(arguments.bundle)
    build(arguments.folder)
    compared = compare(bundle, arguments.folder, *most_bands(arguments.folder))
    taken = footprint(arguments.folder)
    timed = speed(bundle, arguments.folder)
    result = {
        "name": bundle.name,
        "passed": compared.passed,
        **asdict(compared),
        **asdict(taken),
        **asdict(timed),
    }
    lossless = ""
    if timed.mpixel_per_s_lossless is not None:
        lossless = (
            f"lossless {timed.mpixel_per_s_lossless:.2f} Mpixel/s (-O3 -march=native), "
            f"{timed.lossless_over_plain:.2f} times as fast as at a rate\n"
        )
    text = (
        f"{compared.mismatching_packets} of {compared.packets} packets and "
        f"{compared.mismatching_golden} of {compared.golden} golden vectors differ from Python\n"
        f"{timed.native_mpixel_per_s:.2f} Mpixel/s on one core (-O3 -march=native), "
        f"{timed.portable_mpixel_per_s:.2f} (-O2), OpenJPEG {timed.openjpeg_mpixel_per_s:.2f}: "
        f"{timed.speed_over_openjpeg:.1f} and {timed.portable_over_openjpeg:.1f} times as fast\n"
        f"along a trellis {timed.mpixel_per_s_trellis:.2f} Mpixel/s (-O3 -march=native), "
        f"{timed.speed_over_openjpeg_trellis:.1f} times as fast\n"
        f"{lossless}"
        f"{taken.code_bytes} bytes of code and constants, {taken.static_bytes} of static RAM, "
        f"stack at most {taken.stack_bound_bytes}"
    )
    print_result(result, text, arguments.json)
    return 0 if compared.passed else BundleError.exit_code
