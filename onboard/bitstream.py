"""Bitstream: what the bodies of segments hold, both directions (SPEC.md, section 2)."""

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard import bitpack
from onboard.errors import InputError, StreamError, UsageError
from onboard.rawimage import DTYPES, sample_type
from onboard.tiling import MAX_SIDE

MINOR = 0
SAMPLE_TYPES = tuple(DTYPES)
MAX_WKT = 65_536
_ALL_NODATA = 2
_CRITICAL = 0x80
_HEADER = struct.Struct(">BBBHII")
_END = struct.Struct(">II")
_NODATA, _GEOTRANSFORM, _EPSG, _WKT, _START, _BANDS, _SENSOR = range(1, 8)


@dataclass(frozen=True)
class SceneHeader:
    """What a receiver must know of a scene.

    Attributes:
        sample_type: 'u8', 'u16' or 'i16'.
        significant_bits: 1..8 or 1..16.
        bands: number of bands.
        width: columns.
        height: rows, 0 while not yet known.
        nodata: sample value that means there are no data.
        geotransform: x0, dx, rx, y0, ry, dy.
        crs: 'EPSG:n', or WKT.
        start_time: seconds and 1/65536 s since 1958-01-01 TAI.
        band_ids: names of the bands.
        sensor: name of the sensor.
    """

    sample_type: str
    significant_bits: int
    bands: int
    width: int
    height: int
    nodata: int | None = None
    geotransform: tuple[float, ...] | None = None
    crs: str | None = None
    start_time: tuple[int, int] | None = None
    band_ids: tuple[str, ...] = ()
    sensor: str | None = None

    @classmethod
    def of(cls, image: NDArray[Any], **fields: Any) -> "SceneHeader":
        """Return the header of an image (bands, rows, cols), with further fields as given.

        Raises:
            InputError: the image has no sample type of ours, or is not three-dimensional.
        """
        kind = sample_type(image)
        if image.ndim != 3:
            raise InputError(f"image: expected (bands, rows, cols), found {image.shape}")
        bands, rows, cols = image.shape
        return cls(kind, 8 if kind == "u8" else 16, bands, cols, rows, **fields)

    def pack(self) -> bytes:
        """Return the body of a scene segment.

        Raises:
            InputError: a field does not fit the format.
        """
        try:
            kind = SAMPLE_TYPES.index(self.sample_type)
            size = (self.bands, self.width, self.height)
            head = _HEADER.pack(MINOR, kind, self.significant_bits, *size)
            body = head + b"".join(struct.pack(">BH", t, len(v)) + v for t, v in self._fields())
            back = SceneHeader.unpack(body)
        except (struct.error, ValueError, OverflowError) as error:
            raise InputError(f"scene header: {error}") from error
        if (back.crs, back.band_ids) != (self.crs, tuple(self.band_ids)):
            raise InputError(f"scene header: {self.crs} or {self.band_ids} would not come back")
        return body

    def _fields(self) -> list[tuple[int, bytes]]:
        fields = []
        if self.nodata is not None:
            fields.append((_NODATA, struct.pack(">i", self.nodata)))
        if self.geotransform is not None:
            fields.append((_GEOTRANSFORM, struct.pack(">6d", *self.geotransform)))
        if self.crs is not None and self.crs.startswith("EPSG:"):
            fields.append((_EPSG, struct.pack(">I", int(self.crs[5:]))))
        elif self.crs is not None:
            fields.append((_WKT, zlib.compress(self.crs.encode(), 9)))
        if self.start_time is not None:
            fields.append((_START, struct.pack(">IH", *self.start_time)))
        if self.band_ids:
            fields.append((_BANDS, ",".join(self.band_ids).encode()))
        if self.sensor is not None:
            fields.append((_SENSOR, self.sensor.encode()))
        return fields

    @classmethod
    def unpack(cls, body: bytes) -> "SceneHeader":
        """Read the body of a scene segment.

        Raises:
            StreamError: cut short, out of range, or a critical extension that is unknown.
        """
        if len(body) < _HEADER.size:
            raise StreamError(f"scene header: expected {_HEADER.size} bytes, found {len(body)}")
        _, kind, bits, bands, width, height = _HEADER.unpack_from(body)
        if kind >= len(SAMPLE_TYPES):
            raise StreamError(f"sample type: expected 0..{len(SAMPLE_TYPES) - 1}, found {kind}")
        most = 8 if SAMPLE_TYPES[kind] == "u8" else 16
        if not (1 <= bits <= most and bands and 1 <= width <= MAX_SIDE and height <= MAX_SIDE):
            raise StreamError(f"scene header: {bits} bits, {bands} bands, {width} x {height}")
        try:
            return cls(SAMPLE_TYPES[kind], bits, bands, width, height, **_read_tlv(body))
        except (struct.error, UnicodeDecodeError, zlib.error) as error:
            raise StreamError(f"scene header: malformed extension: {error}") from error


def _read_tlv(body: bytes) -> dict[str, Any]:
    """Return the known extensions by field name."""
    fields: dict[str, Any] = {}
    position = _HEADER.size
    while position < len(body):
        kind, length = struct.unpack_from(">BH", body, position)
        value = body[position + 3 : position + 3 + length]
        if len(value) != length:
            raise StreamError("scene header: extension cut short")
        position += 3 + length
        if (kind & ~_CRITICAL) not in range(_NODATA, _SENSOR + 1):
            if kind & _CRITICAL:
                raise StreamError(f"scene header: critical extension {kind} is unknown")
            continue
        name, content = _read_extension(kind & ~_CRITICAL, value)
        if name in fields:
            raise StreamError(f"scene header: {name} is given twice")
        fields[name] = content
    return fields


def _read_extension(kind: int, value: bytes) -> tuple[str, Any]:
    if kind == _NODATA:
        return "nodata", struct.unpack(">i", value)[0]
    if kind == _GEOTRANSFORM:
        numbers = struct.unpack(">6d", value)
        if not all(map(math.isfinite, numbers)):
            raise StreamError("geotransform: expected finite numbers")
        return "geotransform", numbers
    if kind == _EPSG:
        return "crs", f"EPSG:{struct.unpack('>I', value)[0]}"
    if kind == _WKT:
        inflater = zlib.decompressobj()
        text = inflater.decompress(value, MAX_WKT)
        if not inflater.eof or inflater.unused_data:
            raise StreamError(f"CRS: WKT is not one zlib stream, or longer than {MAX_WKT} bytes")
        return "crs", text.decode()
    if kind == _START:
        return "start_time", struct.unpack(">IH", value)
    if kind == _BANDS:
        return "band_ids", tuple(value.decode().split(","))
    return "sensor", value.decode()


@dataclass(frozen=True)
class EndOfScene:
    """Body of an end segment: rows of the scene, segments written before this one."""

    height: int
    segments: int

    def pack(self) -> bytes:
        """Return the body; a height outside 1..2^24 is an InputError."""
        if not 1 <= self.height <= MAX_SIDE:
            raise InputError(f"height: expected 1..{MAX_SIDE} rows, found {self.height}")
        return _END.pack(self.height, self.segments & 0xFFFF_FFFF)

    @classmethod
    def unpack(cls, body: bytes) -> "EndOfScene":
        """Read the body.

        Raises:
            StreamError: wrong length, or a height outside 1..2^24.
        """
        if len(body) != _END.size:
            raise StreamError(f"end segment: expected {_END.size} bytes, found {len(body)}")
        height, segments = _END.unpack(body)
        if not 1 <= height <= MAX_SIDE:
            raise StreamError(f"end segment: expected a height of 1..{MAX_SIDE}, found {height}")
        return cls(height, segments)


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
        position = 1 if body[0] == _ALL_NODATA else side_bytes
        if first or len(body) < position or (body[0] == _ALL_NODATA and len(body) > 1):
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
