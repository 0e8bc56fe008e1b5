"""Quality: what a codec of chunks is asked to keep, as its metadata tell it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from onboard import bundle as bundles
from onboard.codec.bound import Bound
from onboard.encoder.options import Options
from onboard.errors import BundleError, UsageError
from onboard.link.segment import MAX_SEGMENT_BYTES

DEFAULT_BUNDLE = "skybook"
_MOST_BANDS = 1_024
RATES = ("max_error", "rmse", "psnr", "ratio", "bytes")
"""What may be asked for, one at a time."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "bundle": (str,),
    "model_hash": (str,),
    "max_error": (int, str),
    "rmse": (int, float),
    "psnr": (int, float),
    "ratio": (int, float),
    "bytes": (int,),
    "trellis": (bool,),
}
"""Of each parameter, as JSON has it."""


@dataclass(frozen=True)
class Quality:
    """A bundle, and one of the rates; as in `ground encode`, of every chunk by itself.

    Attributes:
        bundle: name of the bundle, for whoever reads the metadata.
        model_hash: SHA-256 of what streams depend on, 64 hexadecimal digits: by it a reader finds
            the bundle.
        max_error: most that any sample may be off: DN, 0 without loss; or `sqrt:K` or `D1,D2,...`.
        rmse: root mean square error aimed at, DN.
        psnr: PSNR aimed at, dB, of peak 65535.
        ratio: raw bytes over bytes.
        bytes: most bytes of a chunk.
        trellis: whether to choose symbols along a trellis: smaller, slower.
    """

    bundle: str = DEFAULT_BUNDLE
    model_hash: str = ""
    max_error: int | str | None = None
    rmse: float | None = None
    psnr: float | None = None
    ratio: float | None = None
    bytes: int | None = None
    trellis: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and type(value) not in _TYPES[field.name]:
                kinds = " or ".join(kind.__name__ for kind in _TYPES[field.name])
                raise UsageError(
                    f"codec skybook, {field.name}: expected {kinds}, found {value!r:.80}"
                )
        asked = [name for name in RATES if getattr(self, name) is not None]
        if len(asked) != 1:
            found = " and ".join(asked) or "none"
            raise UsageError(f"codec skybook: expected one of {', '.join(RATES)}, found {found}")
        if not self.model_hash:
            known = bundles.load(self.bundle).model_hash.hex()
            object.__setattr__(self, "model_hash", known)
        if not re.fullmatch("[0-9a-f]{64}", self.model_hash):
            raise UsageError(
                f"codec skybook, model_hash: expected 64 hexadecimal digits, found "
                f"{self.model_hash!r:.80}"
            )
        if self.bytes is not None and self.bytes < 1:
            raise UsageError(f"codec skybook, bytes: expected 1 or more, found {self.bytes}")
        self.options()

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "Quality":
        """Read a configuration as metadata have it.

        Raises:
            UsageError: a key is unknown, or a value makes no sense.
        """
        names = [field.name for field in fields(cls)]
        unknown = [key for key in configuration if key not in names]
        if unknown:
            known = ", ".join(names)
            raise UsageError(f"codec skybook: expected keys of {known}, found {unknown[0]!r}")
        return cls(**configuration)

    def configuration(self) -> dict[str, Any]:
        """Return the configuration as metadata have it: what is not asked for is left out."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        if not self.trellis:
            del found["trellis"]
        return {key: value for key, value in found.items() if value is not None}

    def options(self) -> Options:
        """Return what the encoder is told.

        Raises:
            UsageError: the rate is out of range.
        """
        return Options(
            segment_bytes=MAX_SEGMENT_BYTES,
            budget=self.bytes,
            ratio=self.ratio,
            rmse=self.rmse,
            psnr=self.psnr,
            trellis=self.trellis,
            max_error=None if self.max_error is None else Bound.parse(str(self.max_error)),
        )

    @property
    def is_lossless(self) -> bool:
        """Whether samples come back as they were."""
        return str(self.max_error) == "0"

    def attributes(self) -> dict[str, Any]:
        """Return what an array should say of itself to whoever does not look at its codec."""
        if self.is_lossless:
            return {"compression": f"lossless: skybook, bundle {self.bundle}"}
        ((name, value),) = [(n, getattr(self, n)) for n in RATES if getattr(self, n) is not None]
        return {
            "compression": f"lossy: skybook, bundle {self.bundle}",
            f"compression_{name}": value,
            "compression_comment": _COMMENTS[name],
        }


_EACH = "of each chunk, in digital numbers"
_COMMENTS = {
    "max_error": "no sample is off by more, in digital numbers, unless a chunk was rewritten",
    "rmse": f"root mean square error aimed at {_EACH}; single samples may be off by more",
    "psnr": "PSNR aimed at of each chunk, dB of peak 65535; single samples may be off by any",
    "ratio": "raw bytes over bytes of each chunk; the error is not bounded",
    "bytes": "most bytes of a chunk; the error is not bounded",
}


@lru_cache
def path_of(model_hash: str) -> Path:
    """Return the file of the known bundle whose streams depend on the same.

    Raises:
        BundleError: none of the shipped ones, nor in the folder SKYBOOK_BUNDLES.
    """
    for path in bundles.known_paths():
        if bundles.load(str(path)).model_hash.hex() == model_hash:
            return path
    raise BundleError(
        f"codec skybook: expected the bundle of model {model_hash[:8]} in the folder "
        "SKYBOOK_BUNDLES, found others"
    )


def check_shape(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse chunks that are no images of samples of a type of ours.

    Raises:
        UsageError: saying what was expected and found.
    """
    if dtype.kind not in "iu" or dtype.itemsize > 2:
        raise UsageError(
            f"codec skybook: expected u8, i8, u16 or i16, found {dtype}: store digital numbers, "
            "scale and offset as attributes"
        )
    if len(shape) < 2:
        raise UsageError(f"codec skybook: expected chunks (..., y, x), found {shape}")
    bands = int(np.prod(shape[:-2], dtype=np.int64))
    if not 1 <= bands <= _MOST_BANDS:
        raise UsageError(
            f"codec skybook: expected 1 to {_MOST_BANDS} bands in a chunk, which all dimensions "
            f"before the last two make, found {bands} of {shape}"
        )
