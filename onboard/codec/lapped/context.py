"""Context model: how large each symbol of a tile will be, from those known (SPEC.md, section 10).

Weights are by classes of components; a component past the last class has the weights of that class,
so one model serves any number of bands. All are integers, and float32 holds every partial sum.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.errors import BundleError

BLOCK = 8
FREQUENCIES = BLOCK * BLOCK
LATTICES = 3
LEVELS = 64
SIZE_CAP = 40
HALF_SIZE_CAP = 63
"""Of sizes in half steps; the sum of four fits 8 bits."""
SLOPE_CAP = 2 * SIZE_CAP
DC_CAP = 2047
STEP = 64
"""One step, in the units of numbers before they are quantised."""
_EXACT = 1 << 23
"""Sums have halves."""

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class ContextWeights:
    """Integer weights of the context model, in 1/256, by classes of components.

    Attributes:
        order: channels (class * 64 + frequency): the DC of each class, then AC by layer.
        cuts: begin of each AC layer in `order`; the last entry is the number of channels.
        same: u16 (channels, AC channels), weights of magnitudes at the same place, both in `order`.
        near: u16 (channels, AC channels), weights of the sum of the four neighbours.
        slope: u16 (2 classes, AC channels), weights of DC differences across and down.
        bias: u16 (AC channels,).
        dc: u16 (2, 4 classes, classes), weights of differences for the second and third lattice.
        dc_bias: u16 (3, classes).
    """

    order: NDArray[np.int64]
    cuts: tuple[int, ...]
    same: NDArray[np.uint16]
    near: NDArray[np.uint16]
    slope: NDArray[np.uint16]
    bias: NDArray[np.uint16]
    dc: NDArray[np.uint16]
    dc_bias: NDArray[np.uint16]

    @property
    def classes(self) -> int:
        """Classes of components."""
        return self.cuts[0]

    @cached_property
    def class_of(self) -> NDArray[np.int64]:
        """Class of each channel, in `order`."""
        return self.order // FREQUENCIES

    def first(self, classes: int) -> "ContextWeights":
        """Return the weights of the first classes alone; layers left without a channel are gone."""
        if classes == self.classes:
            return self
        kept = np.flatnonzero(self.class_of < classes)
        ac = kept[classes:] - self.classes
        among = np.arange(self.classes) < classes
        cuts = np.searchsorted(kept, self.cuts)
        return ContextWeights(
            self.order[kept],
            tuple(np.unique(cuts).tolist()),
            self.same[np.ix_(kept, ac)],
            self.near[np.ix_(kept, ac)],
            self.slope[np.ix_(np.tile(among, 2), ac)],
            self.bias[ac],
            self.dc[:, np.repeat(among, 4)][:, :, among],
            self.dc_bias[:, among],
        )


@dataclass(frozen=True)
class Product:
    """A product whose rows are sums of the context model.

    Attributes:
        used: features that it depends on.
        weights: float32 (features used, sums).
    """

    used: NDArray[np.int64]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, weights: NDArray[np.float32]) -> "Product":
        """Return the product with weights (features, sums), features without any left out."""
        used = np.flatnonzero(weights.any(axis=1))
        return cls(used, weights[used])


@dataclass(frozen=True)
class ContextModel:
    """The context model of scenes of so many bands.

    Attributes:
        by_class: weights by classes of components.
        bands: bands of a scene.
    """

    by_class: ContextWeights
    bands: int

    def __post_init__(self) -> None:
        ac = self.largest_ac_sum(SIZE_CAP, SLOPE_CAP)
        if max(ac, self._largest_dc_sum()) >= _EXACT:
            raise BundleError("context model: sums reach 2^23, not exact in float32")

    def largest_ac_sum(self, size_cap: int, slope_cap: int, unit: int = 1) -> int:
        """Return what no sum of AC passes, with caps of sizes and slopes and `unit` of the bias."""
        weights, most = self.weights, 0
        for target in range(weights.classes):
            count = self._count_for(target)
            of_channel, to = count[weights.class_of], weights.class_of[weights.classes :] == target
            same, near = (
                w[:, to].T.astype(np.int64) @ of_channel for w in (weights.same, weights.near)
            )
            slopes = weights.slope[:, to].T.astype(np.int64) @ np.tile(count, 2)
            sums = size_cap * (same + 4 * near) + slope_cap * slopes + unit * weights.bias[to]
            most = max(most, int(sums.max(initial=0)))
        return most

    def _largest_dc_sum(self) -> int:
        weights, most = self.weights, 0
        for target in range(weights.classes):
            count = np.repeat(self._count_for(target), 4)
            features = weights.dc[:, :, target].astype(np.int64) @ count
            most = max(most, DC_CAP * int(features.max()) + int(weights.dc_bias.max()))
        return most

    def _count_for(self, target: int) -> NDArray[np.int64]:
        """Return how many components of each class count for one of a class."""
        found = np.ones(self.weights.classes, np.int64)
        found[-1] = 1 if target == self.weights.classes - 1 else self.alike
        return found

    @cached_property
    def weights(self) -> ContextWeights:
        """Weights of the classes that the scene has components of."""
        return self.by_class.first(min(self.bands, self.by_class.classes))

    @cached_property
    def alike(self) -> int:
        """Components of the last class that the scene has components of."""
        return self.bands - self.weights.classes + 1

    @cached_property
    def repeats(self) -> NDArray[np.int64]:
        """Components that each channel of `weights` stands for."""
        last = self.weights.class_of == self.weights.classes - 1
        return np.where(last, self.alike, 1)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Channels (component * 64 + frequency): the DC of each component, then AC by layer.

        Where a channel is of the last class, the components of that class follow each other.
        """
        first = np.repeat(self.weights.order, self.repeats)
        begins = np.repeat(np.cumsum(self.repeats) - self.repeats, self.repeats)
        return first + FREQUENCIES * (np.arange(len(first)) - begins)

    @cached_property
    def cuts(self) -> tuple[int, ...]:
        """Begin of each AC layer in `order`; the last entry is the number of channels."""
        ends = np.concatenate([[0], np.cumsum(self.repeats)])
        return tuple(ends[list(self.weights.cuts)].tolist())

    @cached_property
    def class_of_component(self) -> NDArray[np.int64]:
        """Class of each component."""
        return np.minimum(np.arange(self.bands), self.weights.classes - 1)

    @cached_property
    def dc(self) -> NDArray[np.float32]:
        """Weights (2, 4 bands, bands) of differences for the second and third lattice."""
        classes = self.class_of_component
        by_feature = self.weights.dc.reshape(2, -1, 4, self.weights.classes)
        found = by_feature[:, classes][..., classes].astype(np.float32)
        alike = classes[:, None] == classes
        found *= ~(alike & ~np.eye(self.bands, dtype=np.bool_))[:, None]
        return found.reshape(2, 4 * self.bands, self.bands)

    @cached_property
    def dc_bias(self) -> NDArray[np.float32]:
        """(3, bands)."""
        found = self.weights.dc_bias[:, self.class_of_component]
        return np.ascontiguousarray(found, np.float32)

    @property
    def layers(self) -> int:
        """Layers of symbols: the DC lattices, then AC."""
        return LATTICES + len(self.cuts) - 1

    def channels_of(self, layer: int) -> slice:
        """Return the channels of a layer, 1..layers, in `order`."""
        return _part(self.cuts, layer)

    def of_classes(self, layer: int) -> slice:
        """Return the channels of a layer, 1..layers, in the order of `weights`."""
        return _part(self.weights.cuts, layer)

    @cached_property
    def widest_layer(self) -> int:
        """Channels of the layer that has most."""
        return int(np.diff([0, *self.cuts]).max())

    @property
    def features(self) -> int:
        """Numbers by class that the sums of a position may depend on, see `ContextState`."""
        return 1 + len(self.weights.slope) + 2 * self.weights.cuts[-1]

    @property
    def slopes(self) -> slice:
        """Features of slopes, after the one for the bias and before those of channels."""
        return slice(1, 1 + len(self.weights.slope))

    def features_of(self, layer: int) -> tuple[slice, slice]:
        """Return where the magnitudes of a layer's symbols are, and those of its neighbours."""
        part = self.of_classes(layer)
        count = part.stop - part.start
        first = self.slopes.stop + 2 * part.start
        return slice(first, first + count), slice(first + count, first + 2 * count)

    @cached_property
    def of_last_class(self) -> NDArray[np.bool_]:
        """Which features are of the last class."""
        found = np.zeros(self.features, np.bool_)
        last = self.weights.classes - 1
        found[self.slopes] = np.arange(len(self.weights.slope)) % self.weights.classes == last
        for layer in range(LATTICES, self.layers + 1):
            of_layer = self.weights.class_of[self.of_classes(layer)] == last
            for part in self.features_of(layer):
                found[part] = of_layer
        return found

    @cached_property
    def products(self) -> list[tuple[Product, Product | None]]:
        """What the sums of each AC layer are, in the order of `weights`.

        Of features by class, those of the last one added up over its components. And, where there
        are several of these, what is added to the sums of each of them of its own features, those
        `of_last_class`: others of its class do not count.
        """
        found: list[tuple[Product, Product | None]] = []
        last = self.of_last_class
        for layer in range(LATTICES + 1, self.layers + 1):
            channels, weights = self.of_classes(layer), self._weights_of(layer)
            if self.alike == 1:
                found.append((Product.of(weights), None))
                continue
            to_last = self.weights.class_of[channels] == self.weights.classes - 1
            own = Product.of(weights[np.ix_(last, to_last)]) if to_last.any() else None
            weights[np.ix_(last, to_last)] = 0
            found.append((Product.of(weights), own))
        return found

    def _weights_of(self, layer: int) -> NDArray[np.float32]:
        """Return weights (features, channels) of an AC layer."""
        by_class, channels = self.weights, self.of_classes(layer)
        part = slice(channels.start - by_class.classes, channels.stop - by_class.classes)
        weights = np.zeros((self.features, part.stop - part.start), np.float32)
        weights[0], weights[self.slopes] = by_class.bias[part], by_class.slope[:, part]
        for earlier in range(LATTICES, layer):
            size, near = self.features_of(earlier)
            weights[size] = by_class.same[self.of_classes(earlier), part]
            weights[near] = by_class.near[self.of_classes(earlier), part]
        return weights

    @cached_property
    def macs_per_position(self) -> int:
        """Multiply-accumulates of the sums, zero weights too, per position of 8x8 pixels."""
        total = int(self.dc[0].size)
        for layer in range(LATTICES + 1, self.layers + 1):
            part = self.of_classes(layer)
            total += (part.stop - part.start) * (self.features_of(layer)[0].start - 1)
            if self.alike > 1:
                of_last = self.weights.class_of[part] == self.weights.classes - 1
                own = np.count_nonzero(self.of_last_class[: self.features_of(layer)[0].start])
                total += self.alike * int(of_last.sum()) * int(own)
        return total


def _part(cuts: tuple[int, ...], layer: int) -> slice:
    """Return the channels of a layer."""
    ac = layer - LATTICES
    return slice(*cuts[ac - 1 : ac + 1]) if ac > 0 else slice(0, cuts[0])
