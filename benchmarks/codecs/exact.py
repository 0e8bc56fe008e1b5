"""Exact: what rival codecs that keep every sample, or a bound on its error, offer.

A rival that is lossless alone keeps a bound D by coding the plane of indices floor((x + D) / (2D +
1)) in place of the samples: three lines that a user can write, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from onboard.image.files import Image


class Exact(Protocol):
    """A rival codec of images (bands, rows, cols) of uint8 or uint16, without loss or nearly so."""

    def encode(self, image: Image, bound: int) -> list[bytes]:
        """Return all that a receiver needs, in as many parts as the codec makes."""

    def decode(self, parts: list[bytes], shape: tuple[int, ...], bound: int) -> NDArray[Any]:
        """Return the image, no sample off by more than the bound."""


@dataclass(frozen=True)
class Quantised:
    """A lossless codec, of the plane of indices where a bound is given.

    Attributes:
        pack: codes an image without loss.
        unpack: decodes what that made, to an image of this shape.
    """

    pack: Callable[[Image], list[bytes]]
    unpack: Callable[[list[bytes], tuple[int, ...]], NDArray[Any]]

    def encode(self, image: Image, bound: int) -> list[bytes]:
        """See `Exact`."""
        return self.pack(indices(image, bound))

    def decode(self, parts: list[bytes], shape: tuple[int, ...], bound: int) -> NDArray[Any]:
        """See `Exact`."""
        return self.unpack(parts, shape).astype(np.int64) * (2 * bound + 1)


def indices(image: Image, bound: int) -> Image:
    """Return the plane of indices of an image, of the same type."""
    wide = (image.astype(np.int64) + bound) // (2 * bound + 1)
    return cast(Image, wide.astype(image.dtype))


def shortest(candidates: list[list[bytes]]) -> list[bytes]:
    """Return the shortest of several encodings, a byte before it telling which."""
    number = min(range(len(candidates)), key=lambda n: sum(map(len, candidates[n])))
    return [bytes([number]), *candidates[number]]
