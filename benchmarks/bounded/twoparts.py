"""Bytes of scenes in two parts, beside those of the finer bound at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.bounded.coders import Coders, largest_error, mean
from ground.scene import Scene
from onboard.codec.bound import Bound
from onboard.encoder import Options
from onboard.link.parts import rest_layer
from onboard.link.resync import read_segments
from onboard.link.segment import MAX_SEGMENT_BYTES, Kind, Segment


def key_of(first: int) -> str:
    """Return under which key the figures of a first bound stand."""
    return f"first_D{first}"


def in_two_parts(coders: Coders, scene: Scene, first: int, both: int) -> dict[str, int]:
    """Return bytes of the first part and of both, headers in the first, and errors after each."""
    options = Options(
        segment_bytes=MAX_SEGMENT_BYTES, max_error=Bound((both,)), max_error_first=Bound((first,))
    )
    segments = list(coders.encoder.encode(scene.image, scene.header(), options))
    told = [s for s in read_segments(b"".join(segments)) if isinstance(s, Segment)]
    layer = rest_layer(len(scene.image))
    firsts = [
        packed
        for packed, segment in zip(segments, told, strict=True)
        if segment.kind != Kind.TILE or segment.layer < layer
    ]
    streams = b"".join(firsts), b"".join(segments)
    errors = [largest_error(scene, coders.decoder.decode(stream).scene.image) for stream in streams]
    return {
        "first_bytes": len(streams[0]),
        "bytes": len(streams[1]),
        "first_max_error_seen": errors[0],
        "max_error_seen": errors[1],
    }


def summary_of(
    scenes: Mapping[str, Mapping[str, Any]], at_once: str, firsts: Sequence[int]
) -> dict[str, Any]:
    """Return of each first bound geometric means of bytes over those of the finer bound at once."""
    found = {}
    for first in firsts:
        rows = [(s[key_of(first)], s[at_once]["skybook"]) for s in scenes.values()]
        both = [row["bytes"] / direct for row, direct in rows]
        found[key_of(first)] = {
            "bytes_over_at_once": mean(both),
            "worst_bytes_over_at_once": float(np.max(both)),
            "first_bytes_over_at_once": mean([row["first_bytes"] / d for row, d in rows]),
            "first_max_error_seen": max(row["first_max_error_seen"] for row, _ in rows),
            "max_error_seen": max(row["max_error_seen"] for row, _ in rows),
        }
    return found
