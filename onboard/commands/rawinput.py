"""Raw input: what samples without a header are, told by options or by an ENVI header beside."""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.commands.envi import EnviHeader
from onboard.errors import InputError, UsageError
from onboard.image.files import DTYPES, Image
from onboard.image.packing import PACKINGS
from onboard.image.rawrows import LAYOUTS, RawRows
from onboard.link.facts import Facts

_LOOKED_AT = 256
"""Rows, and columns, at most, at which the order of bytes is looked at."""
_ROUGHER = 3
"""So many times the differences between neighbours are taken for swapped bytes."""


def add_raw_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what raw samples are."""
    raw = parser.add_argument_group("raw samples, instead of or as in an ENVI header NAME.hdr")
    raw.add_argument("--layout", choices=LAYOUTS, help="order of the samples")
    raw.add_argument("--dtype", choices=tuple(DTYPES), help="type of a sample (default u16)")
    raw.add_argument(
        "--packed",
        choices=tuple(PACKINGS),
        help="samples of 10 or 12 bits without gaps: be, the first in the highest bits of a "
        "big-endian number (PFNC Mono10pmsb, V4L2 Y10BPACK); le, in the lowest of a little-endian "
        "one (PFNC Mono10p); mipi, as CSI-2 RAW10, RAW12 (V4L2 Y10P, Y12P): high 8 bits of each of "
        "4 or 2, then a byte of low ones",
    )
    raw.add_argument("--byte-order", choices=("little", "big"), help="default little")
    raw.add_argument("--bands", type=int, help="number of bands (stream: default the bundle's)")
    raw.add_argument("--width", type=int, help="columns; rows follow from the length of a file")
    raw.add_argument(
        "--skip-bytes", type=int, help="bytes before the first line, such as a header (default 0)"
    )
    raw.add_argument(
        "--line-bytes",
        type=int,
        help="bytes from the start of a line to that of the next, padding included; lines are of "
        "one band each, in bip of all (default: what their samples take)",
    )
    raw.add_argument(
        "--line-skip", type=int, help="bytes at the start of each line, before its samples (0)"
    )
    parser.add_argument("--nodata", type=int, help="value that means: no data here")
    parser.add_argument("--significant-bits", type=int, help="bits of a sample in use (all)")
    parser.add_argument("--band-ids", help="names of the bands, such as B02,B03,B04,B08")
    parser.add_argument(
        "--scale", type=float, help="with --offset: reflectance = sample x scale + offset"
    )
    parser.add_argument(
        "--offset", type=float, help="such as -0.1, with --scale 1e-4, of Sentinel-2 since 2022"
    )


@dataclass(frozen=True)
class RawForm:
    """What raw samples are.

    Attributes:
        rows: how they lie.
        header: ENVI header that tells it, if there is one.
    """

    rows: RawRows
    header: EnviHeader | None = None

    @classmethod
    def of(
        cls, arguments: argparse.Namespace, path: Path | None, bands: int | None = None
    ) -> "RawForm":
        """Return the form of an input by its options and the header beside it.

        Args:
            arguments: those of `add_raw_options`.
            path: the file; None if it is a pipe.
            bands: number of bands where nothing tells them; None asks for them.

        Raises:
            UsageError: an option lacks, or says something else than the header.
            InputError: the header cannot be used.
        """
        header = EnviHeader.beside(path) if path else None
        bands = 1 if arguments.bayer else bands
        found: dict[str, Any] = {"layout": None, "dtype": "u16", "byte_order": "little"}
        found |= {"bands": bands, "width": None, "skip_bytes": 0}
        if header:
            found = {key: getattr(header, key) for key in found}
        for key, value in found.items():
            given = getattr(arguments, key)
            if header and given not in (None, value):
                option = key.replace("_", "-")
                raise UsageError(f"--{option} {given}: {header.path} says {value}")
            found[key] = value if given is None else given
        lacking = [key for key, value in found.items() if value is None]
        if lacking:
            options = ", ".join(f"--{key}" for key in lacking)
            raise UsageError(
                f"{path or 'stdin'}: a raw image does not tell its geometry: expected {options} "
                "(or an ENVI header beside it, or an .npy file; `ground encode` takes GeoTIFFs)"
            )
        if arguments.packed and (header or arguments.byte_order):
            told = f"{header.path} says {header.dtype}" if header else "found --byte-order, too"
            raise UsageError(f"--packed {arguments.packed}: it tells all of a sample; {told}")
        found |= {key: getattr(arguments, key) or 0 for key in ("line_skip", "line_bytes")}
        return cls(RawRows(**found, packed=arguments.packed), header)

    @property
    def significant_bits(self) -> int:
        """Bits of a sample in use unless options say otherwise: of packed ones those they have."""
        return self.rows.bits

    @property
    def band_ids(self) -> tuple[str, ...]:
        """Names of the bands that the header tells."""
        return self.header.band_ids if self.header else ()

    @property
    def nodata(self) -> int | None:
        """Value for no data that the header tells."""
        return self.header.nodata if self.header else None

    @property
    def files(self) -> tuple[Path, ...]:
        """What was read to tell the form."""
        return (self.header.path,) if self.header else ()

    @property
    def remarks(self) -> list[str]:
        """What to say of the header."""
        if self.header is None or not self.header.unused:
            return []
        return [f"{self.header.path} also says {', '.join(self.header.unused)}: not used"]

    def read(self, path: Path) -> Image:
        """Map a file of this form.

        Raises:
            InputError: it cannot be read, or is of another length.
        """
        image = self.rows.map(path)
        if self.header and image.shape[1] != self.header.rows:
            raise InputError(
                f"{path}: expected {self.header.rows} rows ({self.header.path}), found "
                f"{image.shape[1]} of {self.header.bands} bands x {self.header.width} columns of "
                f"{self.header.dtype}"
            )
        return image


def raw_words(
    arguments: argparse.Namespace, bands: int, form: RawForm | None = None
) -> dict[str, Any]:
    """Return the fields of a scene header that options and an ENVI header tell in words.

    Raises:
        UsageError: another number of names than of bands, or one of scale and offset alone.
    """
    names = tuple(arguments.band_ids.split(",")) if arguments.band_ids else ()
    if names and arguments.bayer:
        raise UsageError("--band-ids: expected none with --bayer")
    if names and len(names) != bands:
        raise UsageError(f"--band-ids: expected {bands} names, found {len(names)}")
    nodata = arguments.nodata
    if form:
        names, nodata = names or form.band_ids, form.nodata if nodata is None else nodata
    told: dict[str, Any] = {"band_ids": () if arguments.bayer else names, "nodata": nodata}
    told |= {"bayer": arguments.bayer, "tile": arguments.tile}
    scale, offset = arguments.scale, arguments.offset
    if (scale is None) != (offset is None):
        raise UsageError("--scale, --offset: expected both, found one alone")
    if scale is None:
        return told
    if not (math.isfinite(offset) and 0 < scale < math.inf):
        raise UsageError(f"--scale, --offset: expected a scale above 0, found {scale}, {offset}")
    return told | {"facts": Facts(calibration=((scale, offset),))}


def swap_remark(image: NDArray[Any]) -> list[str]:
    """Return what to say of samples that look as if their two bytes were swapped.

    Neighbours are much alike in pictures, and much less where the low byte stands first. That a low
    byte is always the same proves nothing: samples may be multiples of 256.

    Args:
        image: (bands, rows, cols) of integers.
    """
    if image.dtype.itemsize != 2:
        return []
    rows, cols = (slice(max(0, (side - _LOOKED_AT) // 2), None) for side in image.shape[1:])
    part = np.ascontiguousarray(image[:, rows, cols][:, :_LOOKED_AT, :_LOOKED_AT])
    part = part.astype(part.dtype.newbyteorder("="))
    if part.shape[2] < 2 or np.ptp(part.view(np.uint16) & 255) == 0:
        return []
    as_read, swapped = (_roughness(samples) for samples in (part, part.byteswap()))
    if as_read <= _ROUGHER * swapped:
        return []
    return [
        f"looks byte-swapped: neighbours differ by {as_read:.0f} DN on average, and by "
        f"{swapped:.0f} with their bytes swapped (raw files: --byte-order)"
    ]


def _roughness(samples: NDArray[Any]) -> float:
    return float(np.abs(np.diff(samples.astype(np.int32), axis=2)).mean())
