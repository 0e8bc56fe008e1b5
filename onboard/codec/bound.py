"""Bounds: by how much samples may be off, as the caller says it, and what keeps to them.

(SPEC.md, section 20.)
"""

import re
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from onboard.codec.agreement import Agreement
from onboard.codec.blocks import has_field
from onboard.codec.tile import TileCoder
from onboard.errors import UsageError

BOUNDED = 16
"""Added to the state of a tile, not all nodata, whose samples are coded within a bound."""
TWO_PARTS = 32
"""Added instead where a rest of a finer bound may follow."""
MAX_BOUND = 32_767
ROOT_ONE = 256
"""A factor of one, of bounds that follow the root of a sample."""
MAX_ROOT = 65_535


def is_within(state: int) -> bool:
    """Say of a tile state whether the tile is within a bound on its error."""
    return bool(state & (BOUNDED | TWO_PARTS)) and not has_field(state)


def in_two_parts(state: int) -> bool:
    """Say of a tile state whether the tile is in two parts."""
    return bool(state & TWO_PARTS) and not has_field(state)


@dataclass(frozen=True)
class Bound:
    """Most that a sample may be off.

    Attributes:
        bands: DN, of each band, or one for all.
        root: in 1/256, factor of the square root of the sample instead; 0 if not.
    """

    bands: tuple[int, ...] = (0,)
    root: int = 0

    def __post_init__(self) -> None:
        if not self.bands or not all(0 <= most <= MAX_BOUND for most in self.bands):
            raise UsageError(f"max error: expected 0..{MAX_BOUND} DN, found {self}")
        if not 0 <= self.root <= MAX_ROOT:
            raise UsageError(f"max error: expected sqrt:0.004 to sqrt:255, found {self}")

    @classmethod
    def parse(cls, text: str) -> "Bound":
        """Read `D`, `D1,D2,...` or `sqrt:K`.

        Raises:
            UsageError: it is none of these, or out of range.
        """
        if match := re.fullmatch(r"sqrt:(\d{1,3}(\.\d{1,6})?)", text):
            root = round(float(match[1]) * ROOT_ONE)
            if not 1 <= root <= MAX_ROOT:
                raise UsageError(f"max error: expected sqrt:0.004 to sqrt:255, found {text!r}")
            return cls((0,), root)
        if not re.fullmatch(r"\d{1,5}(,\d{1,5})*", text):
            raise UsageError(f"max error: expected D, D1,D2,... or sqrt:K, found {text!r:.80}")
        return cls(tuple(map(int, text.split(","))))

    def __str__(self) -> str:
        if self.root:
            return f"sqrt:{self.root / ROOT_ONE:.6f}".rstrip("0").rstrip(".")
        return ",".join(map(str, self.bands))

    def check_not_finer(self, both: "Bound") -> None:
        """Refuse to be the first bound of tiles whose rest would not come within a finer one.

        Raises:
            UsageError: it is finer, of some band; bounds of DN and of a root are not compared.
        """
        if bool(self.root) != bool(both.root):
            return
        bands = max(len(self.bands), len(both.bands))
        first, last = (bound.of_bands(bands) for bound in (self, both))
        if self.root < both.root or any(a < b for a, b in zip(first, last, strict=True)):
            raise UsageError(
                f"max error first: expected no bound below that of both parts, {both}, found {self}"
            )

    def of_bands(self, bands: int) -> tuple[int, ...]:
        """Return the bound of each band.

        Raises:
            UsageError: there is one for each of another number of bands.
        """
        if len(self.bands) not in (1, bands):
            raise UsageError(
                f"max error: expected one bound or one for each of {bands} bands, found {self}"
            )
        return self.bands * (bands if len(self.bands) == 1 else 1)

    def of_group(self, group: int, groups: int, bands: int) -> "Bound":
        """Return the bound of a group of so many bands; 0 for those that fill it up.

        Raises:
            UsageError: there is one for each of another number of bands.
        """
        each = self.of_bands(bands)
        if len(self.bands) == 1 or groups == 1:
            return self
        own = -(-bands // groups)
        found = each[group * own : (group + 1) * own]
        return Bound(found + (0,) * (own - len(found)))

    def at(self, samples: NDArray[Any]) -> NDArray[np.int64]:
        """Return (bands, ...) by how much each of some samples (bands, ...) may be off, DN."""
        if self.root:
            square = self.root**2 * np.maximum(samples.astype(np.int64), 0)
            # Below 2^53 the float root is off by less than one.
            found = np.sqrt(square.astype(np.float64)).astype(np.int64)
            found -= found * found > square
            found += (found + 1) ** 2 <= square
            return np.asarray(found // ROOT_ONE)
        shape = (-1,) + (1,) * (samples.ndim - 1)
        each = np.array(self.of_bands(len(samples)), np.int64).reshape(shape)
        return np.broadcast_to(each, samples.shape)


class BoundedCodec(Protocol):
    """What the part `bounded` of a bundle makes: a codec for any number of bands."""

    @property
    def memory(self) -> tuple[Any, ...]:
        """Everything whose arrays decide bytes."""

    def open(
        self, bands: int, bound: Bound, nodata: int | None, first: Bound | None = None
    ) -> TileCoder[Any, Any]:
        """Open a coder that keeps within a bound, and off a nodata value.

        With `first` tiles are in two parts, the first of which is within that bound.

        Raises:
            UsageError: there is not one bound for each band.
        """

    def in_engine(self, engine: str | None, threads: int) -> Self:
        """Return the codec that takes compiled code, where there is any and no other is named."""

    def engine_of(self, first: Bound | None) -> str:
        """Return the name of the engine that codes tiles, with a first bound or without."""

    def check(self) -> Agreement:
        """Code golden tiles; what agrees are whole tiles, and all must."""
