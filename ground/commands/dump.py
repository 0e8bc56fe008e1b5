"""What is told of symbols, without an image: `decode --dump`, and `features`."""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ground.commands.options import (
    add_recording_options,
    bundle_path,
    given_bindings,
    given_models,
    given_wanted,
)
from ground.decode.dump import dump_scene
from ground.decode.features import FEATURES_KEYS, Features, features_of_scene
from ground.decode.reception import Reception
from ground.station.recording import Pass, open_recording, read_pass
from onboard.bundle import load
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.commands.options import bundle_files
from onboard.errors import StreamError, UsageError
from onboard.link.binding import Encoding
from onboard.outputs import open_whole, refuse_overwriting

_MOST_NAMED = 5
_EXAMPLES = """\
examples:
  python -m ground features scene.sky -o features.npz
  python -m ground features pass.pkt --scene-id 7 -o features.npz --json"""


def write_dump(
    arguments: argparse.Namespace, received: Pass, encoding: Encoding, output: Path, length: int
) -> tuple[dict[str, Any], str, list[str]]:
    """Write what arrived of an encoding; return figures, a text, and why it is not complete."""
    bundle = load(str(bundle_path(arguments, received, encoding)))
    dump = dump_scene(bundle, received.of(encoding), given_wanted(arguments))
    with open_whole(output) as file:
        dump.write(file)
    arrays = dump.arrays.items()
    result = {
        **received.heard[encoding].as_dict(encoding, [bundle.tag]),
        "bundle": bundle.name,
        "bytes": length,
        "complete": dump.complete,
        "shape": dump.arrays["shape"][:3].tolist(),
        "segments": dict(dump.reception.counts),
        "dump": {name: {"dtype": str(a.dtype), "shape": list(a.shape)} for name, a in arrays},
    }
    text = f"{output}: {', '.join(dump.arrays)} ({bundle.name})"
    told_by = "" if dump.whole else "whole of the dump"
    return result, text, [] if dump.complete else reasons_of(dump.reception, told_by)


def reasons_of(reception: Reception, told_by: str) -> list[str]:
    """Say in words why a scene is not complete; `told_by` tells what of it is lost, if any is."""
    reasons = list(reception.problems)
    if reception.header is None:
        reasons.append("no scene header arrived, samples are taken as u16")
    if reception.end is None:
        reasons.append("no end segment arrived")
    if told_by:
        reasons.append(f"some segments are missing, see {told_by}")
    return reasons


def exit_code(reasons: Sequence[str]) -> int:
    """Say on stderr why something is not complete; return the exit code."""
    if not reasons:
        return 0
    print(f"error {StreamError.code}: incomplete: {'; '.join(reasons)}", file=sys.stderr)
    return StreamError.exit_code


def add_features_command(commands: Commands) -> None:
    """Add `features`."""
    features = commands.add_parser(
        "features",
        help="a vector for each tile, of its symbols, without decoding: for search and classifiers",
        description="Needs the bundle alone. Exit code as of decode: features of tiles that did "
        "not arrive, or are within a bound on their error, are NaN, and said.",
        epilog=f"{_EXAMPLES}\n\n{FEATURES_KEYS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recording_options(features)
    features.add_argument("-o", "--output", type=Path, required=True, help="NPZ to write")
    features.add_argument("--scene-id", type=int, help="scene wanted, if there are several")
    add_json_option(features)
    features.set_defaults(run=_features)


def _features(arguments: argparse.Namespace) -> int:
    output: Path = arguments.output
    if output.suffix.lower() != ".npz":
        raise UsageError(f"-o {output}: expected a file name in .npz")
    models = [*bundle_files(arguments.bundle), arguments.profile]
    outputs = {"-o": output, "--json": arguments.json}
    refuse_overwriting(outputs, [*arguments.input, *models])
    recordings = [open_recording(path) for path in arguments.input]
    received = read_pass(recordings, arguments.apid, given_bindings(arguments))
    encoding = _only_encoding(arguments, received)
    bundle = load(str(bundle_path(arguments, received, encoding)))
    found = features_of_scene(bundle, received.of(encoding), given_wanted(arguments))
    with open_whole(output) as file:
        found.write(file)
    rows, columns, length = found.arrays["vector"].shape
    result = {
        **received.heard[encoding].as_dict(encoding, [bundle.tag]),
        "bundle": bundle.name,
        "tiles": [rows, columns],
        "features": length,
        "wanted_layers": int(found.arrays["wanted"]),
        "lacking": found.lacking,
        "bounded": list(found.bounded),
        "segments": dict(found.reception.counts),
    }
    text = f"{output}: {rows} x {columns} tiles, {length} features each ({bundle.name})"
    print_result(result, text, arguments.json)
    return exit_code(_reasons(found))


def _only_encoding(arguments: argparse.Namespace, received: Pass) -> Encoding:
    """Return the encoding that the options name.

    Raises:
        UsageError: there are several, of one scene or of several.
    """
    tags = given_models(arguments)
    encodings = received.of_one_scene(arguments.scene_id, arguments.encoding_run, tags)
    if len(encodings) > 1:
        names = [received.heard[encoding].text(encoding, tags) for encoding in encodings]
        raise UsageError(f"--run: expected one of several encodings: {'; '.join(names)}")
    return encodings[0]


def _reasons(found: Features) -> list[str]:
    """Say in words what has no features, or not all, and what is damaged."""
    counts = found.reception.counts
    told = found.reception.header is not None and found.reception.end is not None
    damaged = counts["damaged"] or counts["other run"]
    reasons = [] if told and not damaged else reasons_of(found.reception, "")
    if found.lacking:
        wanted = int(found.arrays["wanted"])
        some = islice(found.lacking.items(), _MOST_NAMED)
        words = ", ".join(f"{tile} ({layers} of {wanted} layers)" for tile, layers in some)
        more = ", ..." if len(found.lacking) > _MOST_NAMED else ""
        reasons.append(f"{len(found.lacking)} tiles lack layers: {words}{more}")
    if found.bounded:
        reasons.append(
            f"{len(found.bounded)} tiles are within a bound and have no features: decode these"
        )
    return reasons
