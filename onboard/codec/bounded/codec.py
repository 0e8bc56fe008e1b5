"""Bounded codec: what the part `bounded` of a bundle makes."""

from dataclasses import dataclass
from typing import Any

from onboard.codec.agreement import Agreement
from onboard.codec.bound import Bound
from onboard.codec.bounded import golden, part
from onboard.codec.bounded.coder import BoundedTileCoder
from onboard.codec.bounded.model import BoundedModel
from onboard.codec.bounded.twoparts import TwoPartTileCoder
from onboard.errors import BundleError


@dataclass(frozen=True)
class BoundedCodec:
    """A model with what it takes to run and to check it.

    Attributes:
        model: all integers of the codec.
        golden: CRC-32C of the bodies of each golden tile.
    """

    model: BoundedModel
    golden: tuple[int, ...]

    @classmethod
    def read(cls, packed: bytes) -> "BoundedCodec":
        """Read a part.

        Raises:
            BundleError: its length or values are wrong.
        """
        model, found = part.unpack(packed)
        return cls(model, found)

    @classmethod
    def of(cls, codec: object) -> "BoundedCodec":
        """Return a codec as this one, for what only this one has.

        Raises:
            BundleError: it is another, or none.
        """
        if not isinstance(codec, cls):
            raise BundleError("bundle: expected a part `bounded`, found none")
        return codec

    @property
    def memory(self) -> tuple[Any, ...]:
        """Everything whose arrays decide bytes."""
        return (self.model,)

    def open(
        self, bands: int, bound: Bound, nodata: int | None, first: Bound | None = None
    ) -> BoundedTileCoder:
        """Open a coder for a scene; with `first`, within that bound first, and the rest apart.

        Raises:
            UsageError: there is not one bound for each band.
        """
        if first is not None:
            return TwoPartTileCoder(self.model, bands, (first, bound), nodata)
        return BoundedTileCoder(self.model, bands, bound, nodata)

    def check(self) -> Agreement:
        """Code the golden tiles; what agrees are whole tiles, and all must."""
        found = golden.checksums(self.model)
        agree = sum(a == b for a, b in zip(found, self.golden, strict=True))
        return Agreement([agree], [len(found)], 1.0)
