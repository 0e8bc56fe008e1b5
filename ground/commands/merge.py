"""Command `merge`: what several stations received of a pass, united."""

import argparse
from pathlib import Path

from ground.commands.options import known_models
from ground.station.merge import merge
from ground.station.recording import open_recording
from onboard.commands.commandline import (
    Commands,
    add_json_option,
    open_whole,
    print_result,
    refuse_overwriting,
)
from onboard.errors import StreamError


def add_merge_command(commands: Commands) -> None:
    """Add `merge`."""
    merger = commands.add_parser(
        "merge",
        help="unite what several stations received of a pass",
        epilog="example: python -m ground merge svalbard.pkt kiruna.pkt -o pass.pkt",
    )
    merger.add_argument("input", type=Path, nargs="+", help="recordings (.pkt or .sky)")
    merger.add_argument("-o", "--output", type=Path, required=True, help="recording to write")
    add_json_option(merger)
    merger.set_defaults(run=_merge)


def _merge(arguments: argparse.Namespace) -> int:
    refuse_overwriting({"-o": arguments.output, "--json": arguments.json}, arguments.input)
    merged = merge([open_recording(path) for path in arguments.input], known_models())
    if not merged.segments:
        raise StreamError("merge: no intact segment in any recording")
    with open_whole(arguments.output) as file:
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
