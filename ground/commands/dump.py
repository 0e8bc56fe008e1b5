"""What `decode --dump` writes: symbols or indices as they arrived."""

import argparse
from pathlib import Path
from typing import Any

from ground.commands.options import bundle_path
from ground.decode.dump import dump_scene
from ground.decode.reception import Reception
from ground.station.recording import Pass
from onboard.bundle import load
from onboard.commands.options import given_profile
from onboard.link.binding import Encoding
from onboard.outputs import open_whole


def write_dump(
    arguments: argparse.Namespace, received: Pass, encoding: Encoding, output: Path, length: int
) -> tuple[dict[str, Any], str, list[str]]:
    """Write what arrived of an encoding; return figures, a text, and why it is not complete."""
    bundle = load(str(bundle_path(arguments, received, encoding)))
    segments = received.of(encoding)
    dump = dump_scene(
        bundle,
        segments,
        encoding.scene_id,
        arguments.width,
        arguments.max_pixels,
        bands=arguments.bands,
        tile=arguments.tile,
        profile=given_profile(arguments),
    )
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
