"""Commands of the link: `receive`, `receive-file`, `merge` and `missing`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from ground.cfdp import Entities, receive_file
from ground.decodecommand import add_recording_options, bundle_path, given_models, known_models
from ground.inventory import Inventory, take_inventory
from ground.merge import merge
from ground.nak import Transaction, missing_ranges, pack_naks
from ground.receiver import listen, receive
from ground.recording import Bytes, open_recording, read_pass, refuse_overwriting
from ground.tally import Tally
from onboard.bundle import load
from onboard.commands.commandline import Commands, add_json_option, open_output, print_result
from onboard.errors import StreamError, UsageError
from onboard.link.resync import models_of


def add_link_commands(commands: Commands) -> None:
    """Add the commands."""
    _add_receive(commands)
    _add_receive_file(commands)
    merger = commands.add_parser(
        "merge",
        help="unite what several stations received of a pass",
        epilog="example: python -m ground merge svalbard.pkt kiruna.pkt -o pass.pkt",
    )
    merger.add_argument("input", type=Path, nargs="+", help="recordings (.pkt or .sky)")
    merger.add_argument("-o", "--output", type=Path, required=True, help="recording to write")
    add_json_option(merger)
    merger.set_defaults(run=_merge)
    _add_missing(commands)


def _add_receive(commands: Commands) -> None:
    receiver = commands.add_parser(
        "receive",
        help="append space packets that come by UDP to a recording",
        epilog="example: python -m ground receive --port 4560 -o pass.pkt --idle 60",
    )
    _add_address(receiver, "recording to append to")
    receiver.add_argument("--idle", type=float, help="stop after so many seconds of silence")
    add_json_option(receiver)
    receiver.set_defaults(run=_receive)


def _add_receive_file(commands: Commands) -> None:
    receiver = commands.add_parser(
        "receive-file",
        help="receive one file by CFDP class 2 over UDP, asking for what is lost",
        epilog="example: python -m ground receive-file --port 4561 -o pass.pkt --seconds 600",
    )
    _add_address(receiver, "file to write")
    receiver.add_argument("--entity", type=int, default=2, help="CFDP entity id of this side (2)")
    receiver.add_argument("--sender", type=int, default=1, help="entity id of the sender (1)")
    receiver.add_argument("--repeat", type=float, default=5.0, help="seconds to a repetition (5)")
    receiver.add_argument("--seconds", type=float, default=600.0, help="when to give up (600)")
    add_json_option(receiver)
    receiver.set_defaults(run=_receive_file)


def _add_address(parser: argparse.ArgumentParser, output: str) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, required=True, help="UDP port")
    parser.add_argument("-o", "--output", type=Path, required=True, help=output)


def _add_missing(commands: Commands) -> None:
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


def _receive(arguments: argparse.Namespace) -> int:
    if arguments.idle is not None and not 0 < arguments.idle < 1e6:
        raise UsageError(f"--idle: expected 0..1e6 seconds, found {arguments.idle}")
    console = Console(stderr=True)
    with (
        listen(arguments.host, arguments.port) as listener,
        _appended(arguments.output) as recording,
        console.status("waiting for packets") as status,
    ):

        def report(tally: Tally) -> None:
            lost = sum(counts.lost for counts in tally.apids.values())
            status.update(f"{tally.packets} packets, {tally.bytes} bytes, {lost} packets lost")

        tally = receive(listener, recording, arguments.idle, report)
    print_result(tally.as_dict(), _tally_text(arguments.output, tally), arguments.json)
    return 0


def _appended(path: Path) -> Any:
    try:
        return path.open("ab")
    except OSError as error:
        raise UsageError(f"{path}: expected a place to write to: {error.strerror}") from error


def _tally_text(path: Path, tally: Tally) -> str:
    lines = [f"{path}: {tally.packets} packets, {tally.bytes} bytes"]
    for apid, counts in sorted(tally.apids.items()):
        lines.append(
            f"APID {apid}: {counts.packets} packets, {counts.lost} lost in {len(counts.gaps)} "
            f"gaps, {counts.duplicates} duplicates"
        )
    lines += [f"scene {scene}: {count} segments" for scene, count in sorted(tally.scenes.items())]
    if tally.damaged_bytes:
        lines.append(f"damaged: {tally.damaged_bytes} bytes")
    return "\n".join(lines)


def _receive_file(arguments: argparse.Namespace) -> int:
    if not 0 < arguments.seconds < 1e6:
        raise UsageError(f"--seconds: expected 0..1e6, found {arguments.seconds}")
    entities = Entities(arguments.entity, arguments.sender, arguments.repeat)
    open_output(arguments.output).close()
    console = Console(stderr=True)
    with (
        listen(arguments.host, arguments.port) as listener,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("receiving", total=None)
        whole = receive_file(
            listener,
            arguments.output,
            entities,
            arguments.seconds,
            lambda length: progress.update(task, completed=length),
        )
    length = arguments.output.stat().st_size
    state = "whole" if whole else "with gaps, or cut short"
    result = {"complete": whole, "bytes": length}
    print_result(result, f"{arguments.output}: {length} bytes, {state}", arguments.json)
    return 0 if whole else StreamError.exit_code


def _merge(arguments: argparse.Namespace) -> int:
    refuse_overwriting((arguments.output, arguments.json), arguments.input)
    merged = merge([open_recording(path) for path in arguments.input], known_models())
    if not merged.segments:
        raise StreamError("merge: no intact segment in any recording")
    with open_output(arguments.output) as file:
        file.write(merged.recording)
    result = {
        "recordings": len(arguments.input),
        "bytes": len(merged.recording),
        "segments": merged.segments,
        "contradictions": merged.contradictions,
        "damaged_bytes": merged.damaged_bytes,
    }
    text = (
        f"{arguments.output}: {merged.segments} segments, {len(merged.recording)} bytes, of "
        f"{len(arguments.input)} recordings with {merged.damaged_bytes} damaged bytes"
    )
    for scene, tile, kind, layer, first in merged.contradictions:
        text += (
            f"\ncontradiction: scene {scene}, tile {tile}, kind {kind}, layer {layer}, first "
            f"{first}: what most stations have was taken, of as many the first"
        )
    print_result(result, text, arguments.json)
    return 0


def _missing(arguments: argparse.Namespace) -> int:
    refuse_overwriting((arguments.nak, arguments.json), arguments.input)
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
    lines += [_tally_text(p, t) for p, t in zip(arguments.input, tallies, strict=True)]
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
    with open_output(arguments.nak) as file:
        file.write(b"".join(naks))
    lacking = sum(stop - first for first, stop in ranges)
    result = {"complete": not ranges, "ranges": ranges, "bytes_missing": lacking}
    text = f"{arguments.nak}: {lacking} of {size} bytes missing in {len(ranges)} ranges"
    print_result({**result, "naks": len(naks)}, f"{text}, {len(naks)} NAKs", arguments.json)
    if ranges:
        print(f"error {StreamError.code}: incomplete: see {arguments.nak}", file=sys.stderr)
    return StreamError.exit_code if ranges else 0
