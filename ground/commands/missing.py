"""Command `missing`: what did not arrive, to be asked for again."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ground.commands.dump import exit_code
from ground.commands.options import (
    add_recording_options,
    bundle_path,
    given_bindings,
    given_models,
    given_wanted,
)
from ground.decode.inventory import ALL, Inventory, take_inventory
from ground.station.recording import Bytes, Pass, open_recording, read_pass
from ground.station.tally import Tally, tally_text
from onboard.bundle import load
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.commands.options import bundle_files
from onboard.errors import SkybookError, StreamError, UsageError
from onboard.link.binding import Encoding, bindings_of
from onboard.outputs import open_whole, refuse_overwriting


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
        "--rest",
        action="append",
        default=[],
        metavar="PLACE",
        help="ask for the rest of tiles in two parts, too (--max-error-first): pixels x0,y0,x1,y1, "
        f"a GeoJSON file in the CRS of the scene or in pixels, or `{ALL}`; may be repeated",
    )
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
    tags, given = given_models(arguments), given_bindings(arguments)
    received = read_pass(recordings, arguments.apid, given)
    encodings = received.wanted(arguments.scene_id, arguments.encoding_run, tags)
    scenes = _inventories(arguments, received, encodings)
    known = bindings_of(*recordings).union(given)
    tallies = [Tally(bindings=known, tags=tags) for _ in recordings]
    for tally, recording in zip(tallies, recordings, strict=True):
        tally.add(recording)
        tally.count()
    named = zip(arguments.input, tallies, strict=True)
    result = {
        "complete": all(isinstance(s, Inventory) and s.complete for s in scenes.values()),
        "scenes": [
            {**received.heard[encoding].as_dict(encoding, tags), **_as_dict(scene)}
            for encoding, scene in scenes.items()
        ],
        "recordings": [{"recording": str(path), **tally.as_dict()} for path, tally in named],
    }
    lines = [
        f"{received.heard[encoding].text(encoding, tags)}: {_inventory_text(scene)}"
        for encoding, scene in scenes.items()
    ]
    lines += [tally_text(p, t) for p, t in zip(arguments.input, tallies, strict=True)]
    print_result(result, "\n".join(lines), arguments.json)
    return 0 if result["complete"] else StreamError.exit_code


def _inventories(
    arguments: argparse.Namespace, received: Pass, encodings: Sequence[Encoding]
) -> dict[Encoding, Inventory | SkybookError]:
    """Return what is missing of each encoding, or why that cannot be told of one of several."""
    found: dict[Encoding, Inventory | SkybookError] = {}
    for encoding in encodings:
        try:
            bundle = load(str(bundle_path(arguments, received, encoding)))
            segments, wanted = received.of(encoding), given_wanted(arguments)
            found[encoding] = take_inventory(bundle, segments, wanted, arguments.rest)
        except SkybookError as error:
            if len(encodings) == 1:
                raise
            found[encoding] = error
    return found


def _as_dict(scene: Inventory | SkybookError) -> dict[str, Any]:
    if isinstance(scene, Inventory):
        return scene.as_dict()
    return {"complete": False, "error": str(scene)}


def _inventory_text(scene: Inventory | SkybookError) -> str:
    if isinstance(scene, SkybookError):
        return str(scene)
    rest = "" if scene.rest is None else f", of {scene.rest.arrived} the rest, too"
    if scene.complete:
        return f"complete, {scene.tiles} tiles{rest}"
    lost = sum(last - first + 1 for first, last in scene.absent)
    lacking = sum(tile.lacks_first for tile in scene.incomplete)
    parts = [f"{lost} of {scene.tiles} tiles absent", f"{lacking} incomplete"]
    if scene.rest is not None:
        asked = sum(last - first + 1 for first, last in scene.rest.tiles)
        parts.append(f"the rest of {scene.rest.arrived} arrived, that of {asked} is asked for")
    if scene.segments is not None:
        parts.append(f"{scene.segments} segments missing")
    parts += [f"no {name}" for name in ("header", "end") if not getattr(scene, name)]
    return ", ".join(parts)


def _missing_bytes(arguments: argparse.Namespace, recordings: list[Bytes]) -> int:
    """Write the NAKs of a file that came by CFDP."""
    from ground.station.nak import (  # noqa: PLC0415 (CFDP is loaded only here)
        Transaction,
        missing_ranges,
        pack_naks,
    )

    if len(recordings) != 1:
        raise UsageError(f"--nak: expected one file, found {len(recordings)}")
    size = len(recordings[0]) if arguments.file_bytes is None else arguments.file_bytes
    ranges = missing_ranges(recordings[0], size, given_bindings(arguments))
    naks = pack_naks(ranges, size, Transaction(*arguments.transaction))
    with open_whole(arguments.nak) as file:
        file.write(b"".join(naks))
    lacking = sum(stop - first for first, stop in ranges)
    result = {"complete": not ranges, "ranges": ranges, "bytes_missing": lacking}
    text = f"{arguments.nak}: {lacking} of {size} bytes missing in {len(ranges)} ranges"
    print_result({**result, "naks": len(naks)}, f"{text}, {len(naks)} NAKs", arguments.json)
    return exit_code([f"see {arguments.nak}"] if ranges else [])
