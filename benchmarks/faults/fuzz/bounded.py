"""Segments of one tile as an input has them, and reading those of a bounded tile."""

import struct
from collections.abc import Iterator

import numpy as np

from benchmarks.faults.fuzz.bundles import bounded_reader
from onboard.codec.bounded.read.course import Lane
from onboard.codec.bounded.read.rest import read_rest
from onboard.errors import StreamError
from onboard.link.segment import MAX_LAYERS, Kind, Segment

LANE_HEAD = struct.Struct(">BBH")


def read_bounded(packed: bytes) -> None:
    """Read the segments of one bounded tile as the ground does.

    The first byte is the size of the tile, as of `read_lanes`; the second has its bands less 1 (2
    bits), whether samples are signed, whether its diagonal has no data, and whether there is a
    rest, whose segments have the numbers of its bands after those of the first part. Segments
    follow as there.
    """
    if len(packed) < 2:
        raise StreamError("bounded: no bytes")
    rows, cols = 1 + (packed[0] >> 4), 1 + (packed[0] & 15)
    bands, signed, empty = 1 + (packed[1] & 3), bool(packed[1] & 4), bool(packed[1] & 8)
    valid = ~np.eye(rows, cols, dtype=np.bool_) if empty else np.ones((rows, cols), np.bool_)
    parts: tuple[list[Lane], list[Lane]] = [], []
    for segment in tile_segments(packed[1:], bytes(4), None):
        part, band = divmod(segment.layer, bands)
        parts[bool(part)].append(Lane(0, band, segment.first, segment.body))
    reader, flat = bounded_reader(bands, signed), valid.reshape(1, -1)
    found = reader.read((rows, cols), flat, parts[0])
    if found.wrong or found.arrived[0] < bands * rows * cols:
        raise StreamError(f"bounded: {found.arrived[0]} samples arrived")
    if packed[1] & 16:
        rest = read_rest(reader, (rows, cols), flat, found, parts[1])
        if rest.wrong or not rest.whole[0]:
            raise StreamError("bounded: the rest did not arrive whole")


def tile_segments(packed: bytes, model: bytes, edge: tuple[int, int] | None) -> Iterator[Segment]:
    """Yield segments: after the first byte each as layer u8, first u8, length u16, body."""
    offset = 1
    while offset + LANE_HEAD.size <= len(packed):
        layer, first, length = LANE_HEAD.unpack_from(packed, offset)
        offset += LANE_HEAD.size
        body = packed[offset : offset + length]
        yield Segment(Kind.TILE, 0, model, 0, layer % MAX_LAYERS, first, edge, body)
        offset += length
