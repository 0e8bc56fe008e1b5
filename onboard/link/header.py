"""Scene header: body of a segment of kind 0 (SPEC.md, section 2)."""

import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError, StreamError
from onboard.image.bayer import PATTERNS, PLANES
from onboard.image.files import DTYPES, bits_of, is_signed, sample_type
from onboard.image.tiles import MAX_SIDE
from onboard.link.binding import NO_RUN, known_run
from onboard.link.facts import FACT_KINDS, NO_FACTS, Facts, inflate, pack_texts, unpack_texts
from onboard.link.parts import Parts

MINOR = 0
_SAMPLE_TYPES = tuple(DTYPES)
_CRITICAL = 0x80
TLV_BYTES = 3
"""Bytes of type and length of an extension."""
_HEADER = struct.Struct(">BBBHII")
_NODATA, _GEOTRANSFORM, _EPSG, _WKT, _START, _BANDS, _SENSOR = range(1, 8)
_BAND_TEXTS = 16
_RUN = 21
_PROFILE, _BAYER, _PARTS, _TILE = 22, 23, 24, 27
_DIGEST_BYTES = 8
RUN_BYTES = TLV_BYTES + 4
"""Bytes that a run takes in a header."""
_TILE_UNIT = 8


@dataclass(frozen=True)
class SceneHeader:
    """What a receiver must know of a scene.

    Attributes:
        sample_type: type of the samples, 'u8', 'u16', 'i16' or 'i8'.
        significant_bits: bits of a sample in use, 1..8 or 1..16.
        bands: number of bands.
        width: number of columns.
        height: number of rows, 0 while not yet known.
        nodata: sample value that means there are no data.
        geotransform: place of the pixels on the map, x0, dx, rx, y0, ry, dy.
        crs: reference system of the map, 'EPSG:n' or WKT.
        start_time: time of line 0, seconds and 1/65536 s since 1958-01-01 TAI.
        band_ids: names of the bands.
        sensor: name of the sensor.
        facts: what the file that the scene was made of says of its samples.
        run: run of the encoding, 0 for none.
        bayer: pattern of the Bayer mosaic whose planes the bands are, of `PATTERNS`.
        profile: first 8 bytes of the SHA-256 of the spectral profile whose components are coded.
        parts: bounds on the error of tiles in two parts, if they are.
        tile: rows and columns of tiles, where they are not those usual for so many bands.
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
    facts: Facts = NO_FACTS
    run: int = NO_RUN
    bayer: str | None = None
    profile: bytes | None = None
    parts: Parts | None = None
    tile: int | None = None

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
        return cls(kind, bits_of(kind), bands, cols, rows, **fields)

    @property
    def sample_range(self) -> tuple[int, int]:
        """Least and greatest sample of these significant bits."""
        if is_signed(self.sample_type):
            half = 1 << (self.significant_bits - 1)
            return -half, half - 1
        return 0, (1 << self.significant_bits) - 1

    def holds_all(self, dtype: np.dtype[Any]) -> bool:
        """Say whether the significant bits hold all numbers of a type."""
        limits = np.iinfo(dtype)
        low, high = self.sample_range
        return low <= limits.min and limits.max <= high

    def check_samples(self, tiles: NDArray[Any], present: NDArray[np.bool_]) -> None:
        """Refuse samples that the significant bits cannot hold.

        Args:
            tiles: (tiles, bands, rows, cols).
            present: (tiles, rows, cols), where there is data.

        Raises:
            InputError: there are such samples.
        """
        low, high = self.sample_range
        samples = tiles if present.all() else tiles.transpose(0, 2, 3, 1)[present]
        if int(samples.min()) < low or int(samples.max()) > high:
            raise InputError(
                f"samples: expected {low}..{high} ({self.significant_bits} significant bits), "
                f"found {samples.min()}..{samples.max()}"
            )

    @property
    def peak(self) -> int:
        """Peak of the source's own PSNR: how far apart samples of these significant bits can be."""
        return (1 << self.significant_bits) - 1

    def pack(self) -> bytes:
        """Return the body of a scene segment.

        Raises:
            InputError: a field does not fit the format.
        """
        try:
            kind = _SAMPLE_TYPES.index(self.sample_type)
            size = (self.bands, self.width, self.height)
            head = _HEADER.pack(MINOR, kind, self.significant_bits, *size)
            body = head + b"".join(struct.pack(">BH", t, len(v)) + v for t, v in self._fields())
            back = SceneHeader.unpack(body)
        except (struct.error, ValueError, OverflowError) as error:
            raise InputError(f"scene header: {error}") from error
        names = ("crs", "facts", "run", "bayer", "profile", "parts", "tile")
        sent, told = ([getattr(one, name) for name in names] for one in (self, back))
        sent, told = [*sent, tuple(self.band_ids)], [*told, back.band_ids]
        if told != sent:
            raise InputError(f"scene header: expected to read back {sent}, found {told}")
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
        if any("," in name for name in self.band_ids):
            fields.append((_BAND_TEXTS, pack_texts(self.band_ids)))
        elif self.band_ids:
            fields.append((_BANDS, ",".join(self.band_ids).encode()))
        if self.sensor is not None:
            fields.append((_SENSOR, self.sensor.encode()))
        return fields + self.facts.fields() + self._critical_fields()

    def _critical_fields(self) -> list[tuple[int, bytes]]:
        fields = []
        if self.run != NO_RUN:
            fields.append((_CRITICAL | _RUN, struct.pack(">I", self.run)))
        if self.profile is not None:
            fields.append((_CRITICAL | _PROFILE, self.profile))
        if self.bayer is not None:
            fields.append((_CRITICAL | _BAYER, bytes([PATTERNS.index(self.bayer)])))
        if self.parts is not None:
            fields.append((_CRITICAL | _PARTS, self.parts.pack()))
        if self.tile is not None:
            fields.append((_CRITICAL | _TILE, struct.pack(">B", self.tile // _TILE_UNIT)))
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
        if kind >= len(_SAMPLE_TYPES):
            raise StreamError(f"sample type: expected 0..{len(_SAMPLE_TYPES) - 1}, found {kind}")
        samples = _SAMPLE_TYPES[kind]
        sizes = bands and 1 <= width <= MAX_SIDE and height <= MAX_SIDE
        if not (sizes and 1 <= bits <= bits_of(samples)):
            raise StreamError(f"scene header: {bits} bits, {bands} bands, {width} x {height}")
        try:
            fields = _read_tlv(body)
        except (struct.error, UnicodeDecodeError, zlib.error) as error:
            raise StreamError(f"scene header: malformed extension: {error}") from error
        limits = np.iinfo(DTYPES[samples])
        if not limits.min <= fields.get("nodata", 0) <= limits.max:
            raise StreamError(f"nodata: expected a {samples}, found {fields['nodata']}")
        fields["facts"].check_bands(bands)
        if "parts" in fields:
            fields["parts"].check_bands(bands)
        if "bayer" in fields and bands != PLANES:
            raise StreamError(f"Bayer mosaic: expected {PLANES} planes, found {bands} bands")
        if "bayer" in fields and "tile" in fields:
            raise StreamError(f"Bayer mosaic: expected usual tiles, found {fields['tile']}")
        return cls(samples, bits, bands, width, height, **fields)


def _read_tlv(body: bytes) -> dict[str, Any]:
    """Return the known extensions by field name."""
    fields: dict[str, Any] = {}
    facts = NO_FACTS
    position = _HEADER.size
    while position < len(body):
        kind, length = struct.unpack_from(">BH", body, position)
        value = body[position + 3 : position + 3 + length]
        if len(value) != length:
            raise StreamError("scene header: extension cut short")
        position += 3 + length
        known = kind & ~_CRITICAL
        if known not in FACT_KINDS and known not in _EXTENSIONS:
            if kind & _CRITICAL:
                raise StreamError(f"scene header: critical extension {kind} is unknown")
            continue
        if known in FACT_KINDS:
            facts = facts.add(known, value)
            continue
        name, read = _EXTENSIONS[known]
        if name in fields:
            raise StreamError(f"scene header: {name} is given twice")
        fields[name] = read(value)
    return {**fields, "facts": facts}


def _known_pattern(value: bytes) -> str:
    """Return the Bayer pattern that a header tells, or refuse it."""
    (number,) = struct.unpack(">B", value)
    if number >= len(PATTERNS):
        raise StreamError(f"Bayer pattern: expected 0..{len(PATTERNS) - 1}, found {number}")
    return PATTERNS[number]


def _known_geotransform(value: bytes) -> tuple[float, ...]:
    """Return the geotransform that a header tells, or refuse it."""
    numbers = struct.unpack(">6d", value)
    if not all(map(math.isfinite, numbers)):
        raise StreamError("geotransform: expected finite numbers")
    return numbers


def _number(form: str) -> Callable[[bytes], int]:
    """Return what reads one number of a struct form."""
    return lambda value: int(struct.unpack(form, value)[0])


_EXTENSIONS: dict[int, tuple[str, Callable[[bytes], Any]]] = {
    _NODATA: ("nodata", _number(">i")),
    _GEOTRANSFORM: ("geotransform", _known_geotransform),
    _EPSG: ("crs", lambda value: f"EPSG:{_number('>I')(value)}"),
    _WKT: ("crs", lambda value: inflate(value).decode()),
    _START: ("start_time", lambda value: struct.unpack(">IH", value)),
    _BANDS: ("band_ids", lambda value: tuple(value.decode().split(","))),
    _SENSOR: ("sensor", bytes.decode),
    _BAND_TEXTS: ("band_ids", unpack_texts),
    _RUN: ("run", lambda value: known_run(_number(">I")(value))),
    _PROFILE: ("profile", lambda value: struct.unpack(f">{_DIGEST_BYTES}s", value)[0]),
    _BAYER: ("bayer", _known_pattern),
    _PARTS: ("parts", Parts.unpack),
    _TILE: ("tile", lambda value: _TILE_UNIT * _number(">B")(value)),
}
"""Field of a header, and what reads it, by type."""
