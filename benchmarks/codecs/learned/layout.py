"""Layout: numbers that encoder and decoder of a learned codec share."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

FACTORISED, CONDITIONAL = "factorised", "conditional"
HYPER_STRIDE = 4
"""Places of latents, each way, for one of side information."""
FEATURE_BITS = 4
"""Scales that side information tells are divided by 2^4 for the layers behind."""
NEAR, FAR, NEAR_BITS, FAR_BITS = 4, 64, 4, 8
"""A known latent y is seen as its part within 4, plus its part within 64 / 2^4, plus y / 2^8."""


@dataclass(frozen=True)
class Layout:
    """Widths of a network, and what its latents are expected to be by.

    Attributes:
        bands: of an image.
        maps: of the layers between the halvings of the grid, of which there is one more.
        latents: for each place that is left.
        prior: `FACTORISED`: each latent is told by its map alone; `CONDITIONAL`: by side
            information, by its neighbours, and by latents of earlier groups.
        groups: latents that are coded together, the first ones first.
        components: of the mixture of Gaussians that each latent is expected to be.
        hyper: maps of side information.
        hidden: units of the layers that expect.
        attention: whether there are attention modules.
    """

    bands: int
    maps: tuple[int, ...]
    latents: int
    prior: str
    groups: tuple[int, ...]
    components: int
    hyper: int
    hidden: int
    attention: bool = False

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Layout":
        """Return the layout that JSON tells."""
        whole: dict[str, Any] = dict(told)
        return cls(**whole | {name: tuple(told[name]) for name in ("maps", "groups")})

    @property
    def stride(self) -> int:
        """Pixels of a side for each place of latents."""
        return 1 << len(self.maps) + 1

    @property
    def multiple(self) -> int:
        """Pixels that the sides of an image are filled to multiples of."""
        return self.stride * (HYPER_STRIDE if self.prior == CONDITIONAL else 1)

    @property
    def slices(self) -> list[slice]:
        """Which latents each group has."""
        stops = list(accumulate(self.groups))
        return [slice(stop - size, stop) for size, stop in zip(self.groups, stops, strict=True)]
