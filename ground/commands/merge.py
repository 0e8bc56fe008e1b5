"""Command `merge`: what several stations received of a pass, united."""

import argparse
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from ground.api.source import known_tags
from ground.station.heard import Heard
from ground.station.merge import merge
from ground.station.recording import open_recording
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import StreamError
from onboard.link.binding import Encoding
from onboard.outputs import open_whole, refuse_overwriting


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
    tags = known_tags(None)
    merged = merge([open_recording(path) for path in arguments.input], tags)
    if not merged.segments:
        raise StreamError("merge: no intact segment in any recording")
    with open_whole(arguments.output) as file:
        file.write(merged.recording)
    result = {
        "recordings": len(arguments.input),
        "bytes": len(merged.recording),
        "segments": merged.segments,
        "contradictions": [
            [place.scene_id, place.tile, place.kind, place.layer, place.first]
            for place in merged.contradictions
        ],
        "damaged_bytes": merged.damaged_bytes,
        "encodings": [
            heard.as_dict(encoding, tags) for encoding, heard in _in_order(merged.encodings, tags)
        ],
    }
    text = (
        f"{arguments.output}: {merged.segments} segments, {len(merged.recording)} bytes, of "
        f"{len(arguments.input)} recordings with {merged.damaged_bytes} damaged bytes"
    )
    for place in merged.contradictions:
        text += (
            f"\ncontradiction: scene {place.scene_id}, tile {place.tile}, kind {place.kind}, layer "
            f"{place.layer}, first {place.first}: what most stations have was taken, of as many "
            "the first"
        )
    print_result(result, "\n".join([text, *_several(merged.encodings, tags)]), arguments.json)
    return 0


def _in_order(
    encodings: Mapping[Encoding, Heard], tags: Collection[bytes]
) -> list[tuple[Encoding, Heard]]:
    """Return encodings by scene id, then run."""
    return sorted(
        encodings.items(),
        key=lambda item: (item[0].scene_id, item[1].run(item[0], tags) or 0, item[0].binding),
    )


def _several(encodings: Mapping[Encoding, Heard], tags: Collection[bytes]) -> list[str]:
    """Return a line for each encoding of scene ids that have several."""
    counts = Counter(encoding.scene_id for encoding in encodings)
    lines = []
    for encoding, heard in _in_order(encodings, tags):
        if (count := counts[encoding.scene_id]) > 1:
            name, segments = heard.text(encoding, tags), heard.segments
            lines.append(f"one of {count} encodings, kept apart: {name}: {segments} segments")
    return lines
