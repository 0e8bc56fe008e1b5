"""Command `schedule`: the packets worth most within a budget of bytes."""

import argparse
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

from onboard import bundle as bundles
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.commands.options import bundle_files
from onboard.downlink.request import Request
from onboard.downlink.schedule import Index, Ranking, schedule
from onboard.errors import BundleError, InputError, StreamError, UsageError
from onboard.image.region import Region
from onboard.link.binding import bind
from onboard.link.end import told_run
from onboard.link.header import SceneHeader
from onboard.link.parts import rest_layer
from onboard.link.resync import is_packets, read_stream
from onboard.link.segment import Kind, Segment
from onboard.outputs import open_whole, refuse_overwriting


def add_schedule_command(commands: Commands) -> None:
    """Add `schedule`."""
    command = commands.add_parser(
        "schedule",
        help="order packets by what they are worth and cut them to a downlink budget",
        epilog="example: python -m onboard schedule pass.pkt --bytes 2000000 "
        "--priority pass.clouds --region 0,0,512,512 -o pass-first.pkt; what did not arrive: "
        "python -m onboard schedule pass.pkt --request request.json -o again.pkt",
    )
    command.add_argument("input", type=Path, help="space packets of one scene (.pkt)")
    command.add_argument("-o", "--output", required=True, type=Path, help="packets to write")
    command.add_argument(
        "--bytes",
        type=int,
        help="most bytes of the output; not needed with --request or --first-part",
    )
    command.add_argument(
        "--request",
        type=Path,
        metavar="FILE",
        help="send again what did not arrive: packets with segments that this output of "
        "`ground missing --json` asks for, and no others",
    )
    command.add_argument(
        "--first-part",
        action="store_true",
        help="nothing of the rest of tiles in two parts (--max-error-first), which is else sent "
        "after all first parts",
    )
    command.add_argument(
        "--priority",
        type=Path,
        metavar="FILE",
        help="a byte for each tile, 0 first to 255 last: cloud fractions of stream --priority-out",
    )
    command.add_argument(
        "--region",
        action="append",
        default=[],
        metavar="PLACE",
        help="tiles to send first: pixels x0,y0,x1,y1 (x1, y1 not included), or a GeoJSON file in "
        "the CRS of the scene, or in pixels (CRS named `pixels`); may be given several times",
    )
    command.add_argument(
        "--bundle", help="for --region, name or path; default: the known one the stream names"
    )
    add_json_option(command)
    command.set_defaults(run=_schedule)


def _schedule(arguments: argparse.Namespace) -> int:
    refuse_overwriting(
        {"-o": arguments.output, "--json": arguments.json},
        [
            arguments.input,
            arguments.priority,
            arguments.request,
            *arguments.region,
            *bundle_files(arguments.bundle),
        ],
    )
    source, output = arguments.input, arguments.output
    if not source.is_file() or not source.stat().st_size:
        raise InputError(f"{source}: expected a file of space packets")
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as recording:
        if not is_packets(recording):
            raise InputError(f"{source}: expected space packets, found bare segments")
        header = _header(recording)
        ranking = Ranking(
            _clouds(arguments.priority),
            _region(arguments, header),
            _request(arguments, recording),
            rest_layer(header[1].bands) if header and header[1].parts else None,
            not arguments.first_part,
        )
        if arguments.first_part and ranking.rest_layer is None:
            raise UsageError("--first-part: no scene header tells of tiles in two parts")
        index = Index.read(recording, ranking)
        budget = len(recording) if arguments.bytes is None else arguments.bytes
        asked = len(index.marks)
        count = _write(schedule(recording, index, budget), output) if asked else _write_none(output)
        result = {
            "bytes": output.stat().st_size,
            "budget": budget,
            "input_bytes": len(recording),
            "packets": count,
            "asked_packets": asked,
            "input_packets": index.packets,
            "damaged": index.damaged,
            "damaged_bytes": index.damaged_bytes,
        }
    text = f"{output}: {count} of {index.packets} packets, {result['bytes']} of {budget} bytes"
    if arguments.request:
        text += f"; {asked} packets hold what is asked for again"
    print_result(result, text, arguments.json)
    reasons = ["no scene header"] if not (index.headers or arguments.request) else []
    if index.damaged:
        reasons.append(f"{index.damaged} damaged places left out, {index.damaged_bytes} bytes")
    if reasons:
        raise StreamError(f"{source}: {'; '.join(reasons)}")
    return 0


def _write(packets: Iterator[bytes], output: Path) -> int:
    """Write packets and return how many; a budget that is too small leaves no file."""
    first = next(packets)
    with open_whole(output) as file:
        file.write(first)
        return 1 + sum(1 for packet in packets if file.write(packet))


def _write_none(output: Path) -> int:
    """Write no packets, as none is asked for."""
    with open_whole(output):
        return 0


def _request(arguments: argparse.Namespace, recording: mmap) -> Request | None:
    if arguments.request is None:
        if arguments.bytes is None and not arguments.first_part:
            raise UsageError("schedule: expected --bytes, --request or --first-part")
        return None
    segments = (found for found in read_stream(recording) if isinstance(found, Segment))
    first = None
    for segment in segments:
        first = first or segment
        if segment.kind in (Kind.SCENE, Kind.END) and (run := told_run(segment)) is not None:
            return Request.read(arguments.request, segment.scene_id, run)
    if first is None:
        raise StreamError(f"{arguments.input}: there is no intact packet")
    return Request.read(arguments.request, first.scene_id)


def _clouds(path: Path | None) -> bytes:
    if path is None:
        return b""
    if not path.is_file():
        raise InputError(f"{path}: expected a file of one byte for each tile")
    return path.read_bytes()


def _header(recording: mmap) -> tuple[bytes, SceneHeader] | None:
    """Return the model that the first scene header names, and the header, if there is one."""
    segments = (found for found in read_stream(recording) if isinstance(found, Segment))
    header = next((segment for segment in segments if segment.kind == Kind.SCENE), None)
    if header is None:
        return None
    told = SceneHeader.unpack(header.body)
    return bind(header.binding, told.run), told


def _region(
    arguments: argparse.Namespace, header: tuple[bytes, SceneHeader] | None
) -> Region | None:
    if not arguments.region:
        if arguments.bundle:
            raise UsageError("--bundle: only with --region")
        return None
    if header is None:
        raise StreamError(f"{arguments.input}: --region needs a scene header, there is none")
    model, told = header
    bundle = _bundle(arguments.bundle, model, told)
    return Region.read(arguments.region, told, bundle.tile, bundle.codec.groups)


def _bundle(name: str | None, model: bytes, header: SceneHeader) -> bundles.Bundle:
    """Return the bundle of a scene, by the model that its stream names."""
    names = [name] if name else [str(path) for path in bundles.known_paths()]
    for bundle in map(bundles.load, names):
        if bundle.tag == model:
            return bundle.for_scene(header.bands, header.significant_bits, tile=header.tile)
    raise BundleError(
        f"stream: made by model {model.hex()}, expected that of {name or 'a known bundle'}"
    )
