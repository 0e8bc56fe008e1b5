"""Facts: what a file says of its samples, as extensions of a scene header (SPEC.md, section 2)."""

import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onboard.errors import StreamError

MAX_TEXT = 65_536
"""Most bytes of a compressed text, expanded."""
MOST_TAG_BYTES = 400
"""Most bytes of the tags that a sender puts into a header, compressed."""
CALIBRATION, UNITS, COLOURS, TAGS = range(17, 21)
FACT_KINDS = range(CALIBRATION, TAGS + 1)
"""Types of the extensions."""

Tag = tuple[str, str, str]
"""Place, key and value: the place is '' for the file, '1' for band 1, else a metadata domain."""


@dataclass(frozen=True)
class Facts:
    """What a file says of its samples beside their place on Earth.

    Of `calibration`, `units` and `colours` there is nothing, one entry for all bands, or one for
    each band.

    Attributes:
        calibration: scale and offset: physical value = sample x scale + offset.
        units: names of the units of the physical values.
        colours: colours that bands show, as in GDAL's GDALColorInterp, 0..255.
        tags: texts about the file, its bands and its metadata domains.
    """

    calibration: tuple[tuple[float, float], ...] = ()
    units: tuple[str, ...] = ()
    colours: tuple[int, ...] = ()
    tags: tuple[Tag, ...] = ()

    def fields(self) -> list[tuple[int, bytes]]:
        """Return type and value of each extension.

        Raises:
            ValueError: a text has a zero byte, or a colour is none of 0..255.
        """
        pairs = b"".join(struct.pack(">2d", *pair) for pair in self.calibration)
        tags = pack_texts([text for tag in self.tags for text in tag])
        values = (
            pairs,
            pack_texts(self.units),
            bytes(self.colours),
            zlib.compress(tags, 9) if tags else b"",
        )
        return [(kind, value) for kind, value in zip(FACT_KINDS, values, strict=True) if value]

    def add(self, kind: int, value: bytes) -> "Facts":
        """Return these facts and what an extension says.

        Raises:
            StreamError: malformed, or given twice.
            struct.error, UnicodeDecodeError, zlib.error: malformed.
        """
        name, read = _READERS[kind]
        if getattr(self, name):
            raise StreamError(f"scene header: {name} are given twice")
        found: dict[str, Any] = {name: read(value)}
        return replace(self, **found)

    def check_bands(self, bands: int) -> None:
        """Refuse numbers of entries that do not fit the bands.

        Raises:
            StreamError: neither one entry nor one for each band.
        """
        for name in ("calibration", "units", "colours"):
            count = len(getattr(self, name))
            if count not in (0, 1, bands):
                raise StreamError(f"{name}: expected 1 or {bands} entries, found {count}")


NO_FACTS = Facts()


def limited_tags(tags: Sequence[Tag], most: int) -> tuple[Tag, ...]:
    """Return the tags, first ones first, that take at most `most` bytes in a header."""
    kept: list[Tag] = []
    for tag in tags:
        texts = pack_texts([text for one in [*kept, tag] for text in one])
        if len(texts) <= MAX_TEXT and len(zlib.compress(texts, 9)) <= most:
            kept.append(tag)
    return tuple(kept)


def pack_texts(texts: Sequence[str]) -> bytes:
    """Return texts, each ended by a zero byte; a zero byte in one is a ValueError."""
    if any("\0" in text for text in texts):
        raise ValueError(f"expected texts without zero bytes, found {list(texts)!r:.80}")
    return b"".join(text.encode() + b"\0" for text in texts)


def unpack_texts(value: bytes) -> tuple[str, ...]:
    """Return texts that each end in a zero byte.

    Raises:
        StreamError: the last one has no end.
        UnicodeDecodeError: not UTF-8.
    """
    if not value.endswith(b"\0"):
        raise StreamError("scene header: expected texts that end in a zero byte")
    return tuple(value.decode()[:-1].split("\0"))


def inflate(value: bytes) -> bytes:
    """Return what one zlib stream holds.

    Raises:
        StreamError: not one stream, or more than `MAX_TEXT` bytes.
        zlib.error: damaged.
    """
    inflater = zlib.decompressobj()
    text = inflater.decompress(value, MAX_TEXT)
    if not inflater.eof or inflater.unused_data:
        raise StreamError(f"text: expected one zlib stream, not longer than {MAX_TEXT} bytes")
    return text


def _read_calibration(value: bytes) -> tuple[tuple[float, float], ...]:
    pairs = tuple((scale, offset) for scale, offset in struct.iter_unpack(">2d", value))
    if not all(math.isfinite(number) for pair in pairs for number in pair):
        raise StreamError("calibration: expected finite numbers")
    return pairs


def _read_tags(value: bytes) -> tuple[Tag, ...]:
    texts = unpack_texts(inflate(value))
    if len(texts) % 3:
        raise StreamError(f"tags: expected place, key and value of each, found {len(texts)} texts")
    return tuple(zip(texts[::3], texts[1::3], texts[2::3], strict=True))


_READERS: dict[int, tuple[str, Callable[[bytes], Any]]] = {
    CALIBRATION: ("calibration", _read_calibration),
    UNITS: ("units", unpack_texts),
    COLOURS: ("colours", tuple),
    TAGS: ("tags", _read_tags),
}
