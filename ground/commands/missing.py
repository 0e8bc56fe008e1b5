"""Command `missing`: what did not arrive, to be asked for again."""

import argparse
import sys
from pathlib import Path

from ground.commands.options import add_recording_options, bundle_path, given_models
from ground.decode.inventory import Inventory, take_inventory
from ground.station.nak import Transaction, missing_ranges, pack_naks
from ground.station.recording import Bytes, open_recording, read_pass
from ground.station.tally import Tally, tally_text
from onboard.bundle import load
from onboard.commands.commandline import (
    Commands,
    add_json_option,
    open_whole,
    print_result,
    refuse_overwriting,
)
from onboard.commands.options import bundle_files
from onboard.errors import StreamError, UsageError
from onboard.link.resync import models_of


def add_missing_command(commands: Commands) -> None:
    """Add `missing`."""
    missing = commands.add_parser(
        "missing",
        help="list what did not arrive, to ask for it again",
        epilog="examples: python -m ground missing pass.pkt --json request.json; "
        "python -m ground missing pass.pkt --nak request.nak --file-bytes 123456",
    )
    add_recording_options(missing)
    missing.add_argument("--scene-id", type=int, help="this scene alone")
    missing.add_argument(
        "--nak",
        type=Path,
        help="write CFDP NAK PDUs; the one input is the file as far as CFDP delivered it",
    )
    missing.add_argument("--file-bytes", type=int, help="size of that file at the sender")
    missing.add_argument(
        "--transaction",
        type=int,
        nargs=3,
        default=(1, 2, 0),
        metavar=("SOURCE", "DESTINATION", "NUMBER"),
        help="entity ids and transaction number of the NAKs (1 2 0)",
    )
    add_json_option(missing)
    missing.set_defaults(run=_missing)


def _missing(arguments: argparse.Namespace) -> int:
    refuse_overwriting(
        {"--nak": arguments.nak, "--json": arguments.json},
        [*arguments.input, *bundle_files(arguments.bundle)],
    )
    recordings = [open_recording(path) for path in arguments.input]
    if arguments.nak:
        return _missing_bytes(arguments, recordings)
    received = read_pass(recordings, arguments.apid, given_models(arguments))
    one = arguments.scene_id is not None or not received.scenes
    scene_ids = [received.choose(arguments.scene_id)] if one else sorted(received.scenes)
    scenes = [
        take_inventory(
            load(str(bundle_path(arguments, received, scene_id))),
            received.scene(scene_id),
            scene_id,
            arguments.width,
            arguments.max_pixels,
        )
        for scene_id in scene_ids
    ]
    models = models_of(*recordings).union(given_models(arguments))
    tallies = [Tally(models=models) for _ in recordings]
    for tally, recording in zip(tallies, recordings, strict=True):
        tally.add(recording)
        tally.count()
    named = zip(arguments.input, tallies, strict=True)
    result = {
        "complete": all(scene.complete for scene in scenes),
        "scenes": [scene.as_dict() for scene in scenes],
        "recordings": [{"recording": str(path), **tally.as_dict()} for path, tally in named],
    }
    lines = [_inventory_text(scene) for scene in scenes]
    lines += [tally_text(p, t) for p, t in zip(arguments.input, tallies, strict=True)]
    print_result(result, "\n".join(lines), arguments.json)
    return 0 if result["complete"] else StreamError.exit_code


def _inventory_text(scene: Inventory) -> str:
    if scene.complete:
        return f"scene {scene.scene_id}: complete, {scene.tiles} tiles"
    lost = sum(last - first + 1 for first, last in scene.absent)
    parts = [f"{lost} of {scene.tiles} tiles absent", f"{len(scene.incomplete)} incomplete"]
    if scene.segments is not None:
        parts.append(f"{scene.segments} segments missing")
    parts += [f"no {name}" for name in ("header", "end") if not getattr(scene, name)]
    return f"scene {scene.scene_id}: {', '.join(parts)}"


def _missing_bytes(arguments: argparse.Namespace, recordings: list[Bytes]) -> int:
    """Write the NAKs of a file that came by CFDP."""
    if len(recordings) != 1:
        raise UsageError(f"--nak: expected one file, found {len(recordings)}")
    size = len(recordings[0]) if arguments.file_bytes is None else arguments.file_bytes
    ranges = missing_ranges(recordings[0], size, given_models(arguments))
    naks = pack_naks(ranges, size, Transaction(*arguments.transaction))
    with open_whole(arguments.nak) as file:
        file.write(b"".join(naks))
    lacking = sum(stop - first for first, stop in ranges)
    result = {"complete": not ranges, "ranges": ranges, "bytes_missing": lacking}
    text = f"{arguments.nak}: {lacking} of {size} bytes missing in {len(ranges)} ranges"
    print_result({**result, "naks": len(naks)}, f"{text}, {len(naks)} NAKs", arguments.json)
    if ranges:
        print(f"error {StreamError.code}: incomplete: see {arguments.nak}", file=sys.stderr)
    return StreamError.exit_code if ranges else 0
