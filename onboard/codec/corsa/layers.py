"""Layers of a tile as bodies of tile segments, both directions (SPEC.md, kind 1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec import bitpack
from onboard.codec.tile import ALL_NODATA
from onboard.errors import StreamError, UsageError


@dataclass(frozen=True)
class LayerShape:
    """A layer of a tile: how many indices, of how many bits."""

    positions: int
    width: int


@dataclass(frozen=True)
class Piece:
    """A part of one layer of a tile: side information (layer 0), or indices from `first` on."""

    layer: int
    first: int
    side: bytes
    indices: NDArray[np.uint16]


def split_layers(
    side: bytes,
    levels: Sequence[tuple[NDArray[np.uint16], int]],
    room: int,
    one_layer: bool = False,
) -> list[tuple[int, int, bytes]]:
    """Cut the layers of a tile into bodies of at most `room` bytes.

    Args:
        side: layer 0, tile state and side information.
        levels: indices and index width of layers 1, 2, ..., coarse to fine.
        room: most bytes of a body; a group of 8 indices must fit (16 or more), and `side`.
        one_layer: begin a new body at every layer.

    Returns:
        Starting layer, starting index in it, and body of each piece.

    Raises:
        UsageError: `room` is too small.
    """
    if room < max(len(side), bitpack.MAX_WIDTH):
        raise UsageError(f"room: expected {max(len(side), bitpack.MAX_WIDTH)} bytes, found {room}")
    pieces: list[tuple[int, int, bytearray]] = [(0, 0, bytearray(side))]
    for layer, (indices, width) in enumerate(levels, 1):
        flat = indices.reshape(-1)
        first = 0
        while first < flat.size:
            left = flat.size - first
            free = 0 if one_layer and first == 0 else room - len(pieces[-1][2])
            if not (count := _fitting(left, width, free)):
                pieces.append((layer, first, bytearray()))
                count = _fitting(left, width, room)
            pieces[-1][2].extend(bitpack.pack(flat[first : first + count], width))
            first += count
    return [(layer, first, bytes(body)) for layer, first, body in pieces]


def _fitting(left: int, width: int, free: int) -> int:
    """Return how many of the indices left in a layer go into `free` bytes: all, or groups of 8."""
    return left if bitpack.packed_bytes(left, width) <= free else 8 * (free // width)


def read_pieces(
    layer: int, first: int, body: bytes, shapes: Sequence[LayerShape], side_bytes: int
) -> list[Piece]:
    """Read the body of a tile segment.

    Args:
        layer: layer in which the body starts.
        first: index in that layer.
        body: without edge fields.
        shapes: layers 1, 2, ..., coarse to fine.
        side_bytes: length of layer 0, state included, unless the tile is all nodata.

    Raises:
        StreamError: empty, beyond the layers, misaligned, or padding that is not zero.
    """
    if not body:
        raise StreamError("tile segment: empty body")
    pieces = []
    position = 0
    if layer == 0:
        position = 1 if body[0] == ALL_NODATA else side_bytes
        if first or len(body) < position or (body[0] == ALL_NODATA and len(body) > 1):
            raise StreamError(f"layer 0: state {body[0]}, {len(body)} bytes from index {first}")
        pieces.append(Piece(0, 0, body[:position], np.zeros(0, np.uint16)))
        layer = 1
    while position < len(body):
        if layer > len(shapes) or first >= shapes[layer - 1].positions:
            raise StreamError(f"tile segment: starts or runs on beyond layer {layer}")
        shape = shapes[layer - 1]
        left = shape.positions - first
        count = min(8 * (len(body) - position) // shape.width, left)
        if count < left:
            count -= count % 8
        length = bitpack.packed_bytes(count, shape.width)
        if not count or (count < left and position + length != len(body)):
            raise StreamError("tile segment: its end is not that of a group of 8 indices")
        part = body[position : position + length]
        pieces.append(Piece(layer, first, b"", bitpack.unpack(part, shape.width, count)))
        position += length
        layer, first = layer + 1, 0
    return pieces
