"""Bounds: by how much samples may be off, as the caller says it, and what keeps to them.

(SPEC.md, section 20.)
"""

import re
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import Agreement, TileCoder
from onboard.errors import UsageError

BOUNDED = 16
"""Added to the state of a tile, not all nodata, whose samples are coded within a bound."""
MAX_BOUND = 32_767
ROOT_ONE = 256
"""A factor of one, of bounds that follow the root of a sample."""
MAX_ROOT = 65_535


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
        return f"sqrt:{self.root / ROOT_ONE:g}" if self.root else ",".join(map(str, self.bands))

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


@dataclass(frozen=True)
class BoundedBox:
    """Pixels whose tiles are coded within a bound, whatever the rest of a scene is.

    Attributes:
        box: first column and row, and the column and row after the last.
        bound: most that samples of tiles that touch the box may be off.
    """

    box: tuple[int, int, int, int]
    bound: Bound

    @classmethod
    def parse(cls, box: str, bound: str) -> "BoundedBox":
        """Read `x0,y0,x1,y1` and a bound.

        Raises:
            UsageError: one is none.
        """
        match = re.fullmatch(r"(\d{1,8}),(\d{1,8}),(\d{1,8}),(\d{1,8})", box)
        sides = tuple(map(int, match.groups())) if match else (0, 0, 0, 0)
        if not (sides[0] < sides[2] and sides[1] < sides[3]):
            raise UsageError(f"region: expected x0,y0,x1,y1, x1 and y1 greater, found {box!r:.60}")
        return cls((sides[0], sides[1], sides[2], sides[3]), Bound.parse(bound))

    def touches(self, index: int, columns: int, tile: int) -> bool:
        """Say whether a tile of a grid of so many columns has a pixel of the box."""
        row, column = divmod(index, columns)
        left, top, right, bottom = (side / tile for side in self.box)
        return left < column + 1 and column < right and top < row + 1 and row < bottom


class BoundedCodec(Protocol):
    """What the part `bounded` of a bundle makes: a codec for any number of bands."""

    @property
    def memory(self) -> tuple[Any, ...]:
        """Everything whose arrays decide bytes."""

    def open(self, bands: int, bound: Bound, nodata: int | None) -> TileCoder[Any, Any]:
        """Open a coder that keeps within a bound, and off a nodata value.

        Raises:
            UsageError: there is not one bound for each band.
        """

    def check(self) -> Agreement:
        """Code golden tiles; what agrees are whole tiles, and all must."""
