"""Places: values that the first part of a tile leaves open, told apart (SPEC.md, section 20)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onboard.codec import rans
from onboard.codec.bounded.leastsquares import bit_length
from onboard.codec.bounded.model import Ints
from onboard.codec.bounded.scales import LARGEST_SAMPLE, Cells, Scale

_MOST_GROUPS = 64
Below = Callable[[Ints], Ints]
_GROUP_BITS = _MOST_GROUPS.bit_length() - 1


@dataclass(frozen=True)
class Places:
    """Values low..high of pixels, in places of `2 bound + 1`, in groups of places.

    All are arrays of one shape, or broadcast to it.

    Attributes:
        low: least value.
        high: largest value.
        bound: by how much values may be off.
    """

    low: Ints
    high: Ints
    bound: Ints

    @classmethod
    def between(cls, first: Scale, values: Ints, scale: Scale) -> "Places":
        """Return the places that the first part of a tile leaves on the scale of the rest.

        Args:
            first: scale of the first part.
            values: of its pixels, decoded.
            scale: of the rest.
        """
        if not scale.most:
            none = np.zeros_like(values)
            return cls(none, none, none)
        low, high = _values(scale, *_span(first, values))
        low, high = np.maximum(low, 0), np.minimum(high, scale.most)
        return cls(low, high, np.full_like(low, scale.bound))

    @property
    def step(self) -> Ints:
        """Values of a place."""
        return 2 * self.bound + 1

    @cached_property
    def count(self) -> Ints:
        """How many places there are."""
        return np.asarray((self.high - self.low) // self.step + 1)

    @cached_property
    def shift(self) -> Ints:
        """Bits of a place that its group does not tell."""
        return np.maximum(bit_length(self.count - 1) - _GROUP_BITS, 0)

    @cached_property
    def groups(self) -> Ints:
        """How many groups there are."""
        return np.asarray((self.count - 1 >> self.shift) + 1)

    def at(self, tiles: Ints | slice, pixel: int) -> "Places":
        """Return the places of a pixel of some tiles; of arrays (tiles, pixels), bounds (tiles, 1).

        What follows from them is not worked out again.
        """
        found = Places(self.low[tiles, pixel], self.high[tiles, pixel], self.bound[tiles, 0])
        known = {"count": self.count, "shift": self.shift, "groups": self.groups}
        found.__dict__.update({name: array[tiles, pixel] for name, array in known.items()})
        return found

    def nearest(self, values: Ints) -> Ints:
        """Return the places of values."""
        return np.asarray((values - self.low) // self.step)

    def values(self, places: Ints) -> Ints:
        """Return the values that places stand for."""
        return np.minimum(self.low + self.step * places + self.bound, self.high)

    def first_of(self, groups: Ints) -> Ints:
        """Return the value with which a group begins; of one beyond the last that after `high`."""
        return np.minimum(self.low + self.step * (groups << self.shift), self.high + 1)


class Slots:
    """Slots, of 4096, of the groups of places, whose values have weights."""

    def __init__(self, places: Places, below: Below) -> None:
        """Take places.

        Args:
            places: whose groups they are.
            below: says what all values below some weigh.
        """
        self._places, self._below = places, below
        self._nothing = below(places.low)
        self._total = np.maximum(below(places.high + 1) - self._nothing, 1)
        self._shared = rans.TOTAL - places.groups

    def of(self, groups: Ints) -> Ints:
        """Return the slot with which each group begins, up to that beyond the last."""
        before = self._below(self._places.first_of(groups)) - self._nothing
        found = groups + before * self._shared // self._total
        return np.where(groups >= self._places.groups, rans.TOTAL, found)

    def find(self, slots: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the groups of slots, the first slot of each, and how many it has."""
        group, start = np.zeros_like(slots), np.zeros_like(slots)
        size = 1 << (int(self._places.groups.max()) - 1).bit_length()
        while size > 1:
            size //= 2
            begins = self.of(np.minimum(group + size, self._places.groups))
            later = begins <= slots
            group, start = np.where(later, group + size, group), np.where(later, begins, start)
        return group, start, self.of(group + 1) - start


def _span(scale: Scale, values: Ints) -> tuple[Ints, Ints]:
    """Return the least and the largest samples that decoded values may stand for."""
    if not scale.most:  # of samples in one cell the one that was sent may be anywhere
        return np.full_like(values, -LARGEST_SAMPLE), np.full_like(values, LARGEST_SAMPLE)
    if isinstance(scale, Cells):
        return scale.spans(values)
    low, high = np.maximum(values - scale.bound, 0), np.minimum(values + scale.bound, scale.most)
    return scale.samples(low), scale.samples(high)


def _values(scale: Scale, low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Return the least and the largest values of samples low..high, which may be off the scale."""
    if isinstance(scale, Cells):
        return scale.values(low), scale.values(high)
    found = scale.samples(np.arange(scale.most + 1))
    return (
        np.searchsorted(found, low, side="left").astype(np.int64),
        np.searchsorted(found, high, side="right").astype(np.int64) - 1,
    )
