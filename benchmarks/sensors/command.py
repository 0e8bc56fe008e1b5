"""Command `sensors`."""

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.codecs.skybook import BUNDLE
from benchmarks.machine import machine
from benchmarks.sensors.contents import KEYS
from benchmarks.sensors.measure import measure
from benchmarks.sensors.report import sensors_table
from benchmarks.sensors.samples import samples
from onboard.commands.commandline import Commands, add_json_option, print_result


def add_sensors(commands: Commands) -> None:
    """Add `sensors`."""
    sensors = commands.add_parser(
        "sensors",
        help="cameras that the bundle was not trained on, beside JPEG 2000",
        description="Bytes at equal PSNR against JPEG 2000 per band and after a KLT, for contents "
        f"{', '.join(KEYS)}. A folder of DIR of such a name says what its scenes are; else their "
        "bands and bits do. Those of `bayer` are mosaics of one band whose cells are rggb.",
        epilog="example: python -m benchmarks sensors --data FOLDER --json sensors.json",
    )
    sensors.add_argument(
        "--data", type=Path, metavar="DIR", help="folder of GeoTIFFs; without, procedural scenes"
    )
    sensors.add_argument("--bundle", default=BUNDLE, help="name or path (default: %(default)s)")
    sensors.add_argument(
        "--only", action="append", choices=KEYS, metavar="CONTENT", help="may be repeated"
    )
    sensors.add_argument(
        "--tile", type=int, choices=(64, 128), help="of scenes of two to four bands, no mosaics"
    )
    sensors.add_argument("--quick", action="store_true", help="one small scene of each content")
    add_json_option(sensors)
    sensors.set_defaults(run=_sensors)


def _sensors(arguments: argparse.Namespace) -> int:
    left_out: list[str] = []
    chosen = (
        sample
        for sample in samples(arguments.data, arguments.quick, left_out.append)
        if not arguments.only or sample.content in arguments.only
    )
    with Console(stderr=True).status("starting") as status:
        document = measure(arguments.bundle, chosen, status.update, arguments.tile)
    document |= {"left_out": left_out, "machine": machine()}
    print_result(document, sensors_table(document), arguments.json)
    return 0
