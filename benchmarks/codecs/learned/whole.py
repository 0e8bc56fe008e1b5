"""Priors in whole numbers: what latents are expected to be, as encoder and decoder compute it.

What `prior.py` learns in floating point is rounded when a network is exported, see
`modulated/convolution.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.learned.layout import (
    CONDITIONAL,
    FAR,
    FEATURE_BITS,
    NEAR,
    NEAR_BITS,
    Layout,
)
from benchmarks.codecs.learned.mixture import Mixture, MixtureTables
from benchmarks.codecs.modulated.convolution import (
    FLOW_BITS,
    MOST_FLOW,
    WEIGHT_BITS,
    Floats,
    Layer,
    rectified,
    shifted,
)
from benchmarks.codecs.modulated.layout import SCALES
from benchmarks.codecs.modulated.scales import HyperSynthesis
from benchmarks.codecs.modulated.tables import Tables

Ints = NDArray[np.int64]
Where = tuple[slice, NDArray[np.bool_]]
"""Latents of a turn: which of each place, and at which places (rows, cols)."""
_LAYERS, _BEFORE = ("told", "around", "inner", "last"), "before"


class WholePrior(Protocol):
    """What latents are expected to be."""

    @property
    def hyper_tables(self) -> Tables | None:
        """Tables of the maps of side information; None where there is none."""

    def turns(self, code: int, hyper: Ints, values: Ints) -> Iterator[tuple[Where, Mixture]]:
        """Yield what is expected of latents, turn by turn.

        Args:
            code: of lambda.
            hyper: side information (maps, rows, cols); of no maps where there is none.
            values: latents (latents, rows, cols). Those of a turn must be known before the next is
                asked for; those of later turns are not looked at.
        """

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is kept of it."""


@dataclass(frozen=True)
class WholeFactorised:
    """A mixture for each map.

    Attributes:
        tables: of mixtures.
        logits: (components, latents), units of 2^-8.
        scales: u8 (codes of lambda, components, latents).
    """

    tables: MixtureTables
    logits: Ints
    scales: NDArray[np.uint8]
    hyper_tables = None

    def turns(self, code: int, _hyper: Ints, values: Ints) -> Iterator[tuple[Where, Mixture]]:
        """Yield all latents at once, see `WholePrior`."""
        everywhere = np.ones(values.shape[1:], np.bool_)
        logits, scales = (
            np.repeat(part, everywhere.size, axis=1)
            for part in (self.logits, self.scales[code].astype(np.int64))
        )
        every = slice(0, len(values))
        yield (every, everywhere), Mixture(self.tables, logits, np.zeros_like(logits), scales)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is kept of it."""
        return self.tables.arrays() | {"prior.logits": self.logits} | {"prior.scales": self.scales}


@dataclass(frozen=True)
class WholeGroup:
    """Layers of a group of latents, as `prior.Group` has them.

    Attributes:
        of: which latents.
        told: of features of side information.
        around: of neighbours.
        inner: behind them.
        last: logits, means and scales above those that are told.
        before: of earlier groups; None of the first.
    """

    of: slice
    told: Layer
    around: Layer
    inner: Layer
    last: Layer
    before: Layer | None

    def expect(self, scales: Floats, known: Floats, second: bool) -> Ints:
        """Expect latents of a turn.

        Args:
            scales: that side information tells (latents, rows, cols), units of 2^-8.
            known: latents as they are `seen`.
            second: whether neighbours are known.

        Returns:
            Logits, means, scales: (3, components, latents, rows, cols); units of 2^-8, scales 1.
        """
        sums = self.told.sums(shifted(scales, FEATURE_BITS))
        if second:
            sums = sums + self.around.sums(known[self.of])
        if self.before is not None:
            sums = sums + self.before.sums(known[: self.of.start])
        found = self.last.sums(rectified(self.inner.sums(rectified(sums))))
        size = self.of.stop - self.of.start
        parts = shifted(found, WEIGHT_BITS).reshape(3, -1, size, *scales.shape[1:])
        parts[2] = np.clip(shifted(parts[2] + scales[self.of], FLOW_BITS), 0, SCALES - 1)
        return parts.astype(np.int64)


@dataclass(frozen=True)
class WholeConditional:
    """Side information, and layers for each group of latents.

    Attributes:
        tables: of mixtures.
        hyper_tables: of side information, one for each of its maps.
        hyper_synthesis: the scales that it tells.
        groups: in the order in which they are coded.
    """

    tables: MixtureTables
    hyper_tables: Tables
    hyper_synthesis: HyperSynthesis
    groups: Sequence[WholeGroup]

    def turns(self, _code: int, hyper: Ints, values: Ints) -> Iterator[tuple[Where, Mixture]]:
        """Yield the two turns of each group, see `WholePrior`."""
        scales = self.hyper_synthesis.scales(hyper)
        fields = np.add.outer(*map(np.arange, values.shape[1:])) % 2 == 1
        for group in self.groups:
            for second in (False, True):
                chosen = fields == second
                parts = group.expect(scales, seen(values), second)[..., chosen]
                flat = parts.reshape(3, parts.shape[1], -1)
                yield (group.of, chosen), Mixture(self.tables, *flat)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is kept of it."""
        found = self.tables.arrays()
        found["hyper.frequencies"] = self.hyper_tables.frequencies
        found["hyper.shifts"] = self.hyper_tables.shifts
        for number, layer in enumerate(self.hyper_synthesis.layers):
            found |= layer.arrays(f"hyper_synthesis.{number}")
        for number, group in enumerate(self.groups):
            for name in (*_LAYERS, _BEFORE):
                if layer := getattr(group, name):
                    found |= layer.arrays(f"group.{number}.{name}")
        return found


def kept(layout: Layout, arrays: Mapping[str, NDArray[Any]]) -> WholePrior:
    """Return the prior of the `arrays` of one. Raises KeyError where something is missing."""
    tables = MixtureTables.kept(arrays)
    if layout.prior != CONDITIONAL:
        return WholeFactorised(tables, arrays["prior.logits"], arrays["prior.scales"])
    synthesis = HyperSynthesis([Layer.kept(arrays, f"hyper_synthesis.{n}") for n in range(3)])
    groups = []
    for number, of in enumerate(layout.slices):
        begin = f"group.{number}."
        told, around, inner, last = (Layer.kept(arrays, begin + name) for name in _LAYERS)
        before = Layer.kept(arrays, begin + _BEFORE) if of.start else None
        groups.append(WholeGroup(of, told, around, inner, last, before))
    hyper = Tables(arrays["hyper.frequencies"], arrays["hyper.shifts"])
    return WholeConditional(tables, hyper, synthesis, groups)


def seen(values: Ints) -> Floats:
    """Return latents as layers see them, units of 2^-8."""
    near, far = np.clip(values, -NEAR, NEAR), np.clip(values, -FAR, FAR)
    whole = (near << FLOW_BITS) + (far << FLOW_BITS - NEAR_BITS) + values
    return np.clip(whole, -MOST_FLOW, MOST_FLOW).astype(np.float64)
