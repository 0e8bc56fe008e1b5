"""Scene: an image with its place on Earth, as plain arrays and text."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onboard.image.bands import BLUE, GREEN, RED, places_of
from onboard.image.bayer import join, split
from onboard.image.files import Image
from onboard.image.nodata import has_data
from onboard.link.facts import MOST_TAG_BYTES, NO_FACTS, Facts, limited_tags
from onboard.link.header import TLV_BYTES, SceneHeader

SHOWN_TAGS = 6
_GDAL_COLOURS = ((RED, 3), (GREEN, 4), (BLUE, 5))


def raw_bytes(image: NDArray[np.generic]) -> int:
    """Return the bytes of an image before compression: 1 a sample of 8 bits, else 2."""
    return image.nbytes


@dataclass(frozen=True)
class Scene:
    """An image and what a GeoTIFF says about it.

    Attributes:
        image: uint8, uint16, int16 or int8 (bands, rows, cols), DN.
        nodata: value that marks a pixel without data where every band has it; None without one.
        transform: x0, dx, rx, y0, ry, dy in units of the CRS (GDAL's order); None without one.
        crs: 'EPSG:32633' where there is an EPSG code, else WKT; None without one.
        band_ids: one description a band, such as 'B02'; empty if there are none.
        facts: scale and offset, units, colours and tags; nothing of what is not said.
        significant_bits: bits of a sample in use; None for all of them.
        start_time: time of line 0, seconds and 1/65536 s since 1958-01-01 TAI; None without one.
        bayer: pattern of the Bayer mosaic that the image, one band, is; or, of four bands, that
            they are the planes of.
        remarks: what the file says and a scene has no place for, or another one, in words.
    """

    image: Image
    nodata: int | None = None
    transform: tuple[float, ...] | None = None
    crs: str | None = None
    band_ids: tuple[str, ...] = ()
    facts: Facts = NO_FACTS
    significant_bits: int | None = None
    start_time: tuple[int, int] | None = None
    bayer: str | None = None
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, image: Image, header: SceneHeader) -> "Scene":
        """Return an image with all that the scene header of a stream says of it."""
        bits = header.significant_bits
        return cls(
            image,
            header.nodata,
            header.geotransform,
            header.crs,
            header.band_ids,
            header.facts,
            bits if bits < 8 * image.dtype.itemsize else None,
            header.start_time,
            header.bayer,
        )

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where there is data, (rows, cols)."""
        return has_data(self.image, self.nodata)

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Bands to show as red, green and blue.

        By their names, else by the colours they show, else bands 2, 1, 0; band 0 alone of fewer
        than three.
        """
        names = places_of(self.band_ids)
        shown = {
            colour: self.facts.colours.index(number)
            for colour, number in _GDAL_COLOURS
            if number in self.facts.colours
        }
        for places in (names, shown):
            if places.keys() >= {RED, GREEN, BLUE}:
                return places[RED], places[GREEN], places[BLUE]
        return (2, 1, 0) if len(self.image) >= 3 else (0, 0, 0)

    @property
    def raw_bytes(self) -> int:
        """Bytes of the image before compression: 1 a sample of 8 bits, else 2."""
        return raw_bytes(self.image)

    @property
    def peak(self) -> int:
        """Peak of the source's own PSNR: how far apart samples of the bits in use can be."""
        return (1 << (self.significant_bits or 8 * self.image.dtype.itemsize)) - 1

    def split(self, pattern: str) -> "Scene":
        """Return the scene of the planes of this one, a Bayer mosaic.

        Raises:
            InputError: there are other bands than one, or a side is odd.
        """
        image = split(self.image)
        return replace(self, image=image, transform=self._scaled(2), band_ids=(), bayer=pattern)

    def joined(self) -> "Scene":
        """Return the scene of the mosaic whose planes this one has; what is said of bands is left
        out where planes have their own."""
        facts = replace(
            self.facts,
            **{
                name: entries if len(entries) == 1 else ()
                for name in ("calibration", "units", "colours")
                for entries in [getattr(self.facts, name)]
            },
        )
        image = join(self.image)
        return replace(self, image=image, transform=self._scaled(0.5), band_ids=(), facts=facts)

    def _scaled(self, factor: float) -> tuple[float, ...] | None:
        """Return the transform of pixels that are larger by a factor."""
        if self.transform is None:
            return None
        x, dx, rx, y, ry, dy = self.transform
        return x, factor * dx, factor * rx, y, factor * ry, factor * dy

    def part(self, image: Image, left: int = 0, top: int = 0, step: int = 1) -> "Scene":
        """Return the scene of a part of this one.

        Args:
            image: pixels of the part.
            left: its first column.
            top: its first row.
            step: pixels of this scene of a side of each of its pixels.
        """
        scaled = replace(self, image=image, transform=self._scaled(step))
        if self.transform is None or scaled.transform is None:
            return scaled
        x, dx, rx, y, ry, dy = self.transform
        moved = x + left * dx + top * rx, y + left * ry + top * dy
        return replace(
            scaled, transform=(moved[0], *scaled.transform[1:3], moved[1], *scaled.transform[4:])
        )

    def header(self) -> SceneHeader:
        """Return the scene header of a stream that says what this scene says."""
        header = SceneHeader.of(
            self.image,
            nodata=self.nodata,
            geotransform=self.transform,
            crs=self.crs,
            start_time=self.start_time,
            band_ids=self.band_ids,
            facts=self.facts,
            bayer=self.bayer,
        )
        bits = self.significant_bits
        return header if bits is None else replace(header, significant_bits=bits)


def fitted(header: SceneHeader, most: int) -> tuple[SceneHeader, list[str]]:
    """Return a header of at most `most` bytes, and which facts it had to leave out, in words.

    Only facts are left out: where the rest is longer, so is the header.
    """
    facts, left = header.facts, []
    kept = replace(header, facts=NO_FACTS)
    for name, what in (
        ("calibration", "scale and offset"),
        ("units", "units"),
        ("colours", "colour interpretation"),
    ):
        added = replace(kept, facts=replace(kept.facts, **{name: getattr(facts, name)}))
        if len(added.pack()) <= most:
            kept = added
        else:
            left.append(what)
    room = min(MOST_TAG_BYTES, most - len(kept.pack()) - TLV_BYTES)
    tags = limited_tags(facts.tags, room)
    dropped = [tag[1] for tag in facts.tags if tag not in tags]
    if dropped:
        names = ", ".join(list(dict.fromkeys(dropped))[:SHOWN_TAGS])
        left.append(f"{len(dropped)} tags ({names}{', ...' * (len(dropped) > SHOWN_TAGS)})")
    return replace(kept, facts=replace(kept.facts, tags=tags)), left
