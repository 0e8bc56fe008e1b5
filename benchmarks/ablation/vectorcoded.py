"""Scenes coded by fixed-length vector quantizers.

Tiles are scaled by their detail, as CORSA scales them by their deviation. A tile takes as many
codewords as pay best, one of the sizes of its books; so the rate adapts from tile to tile, although
every codeword has a fixed length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablation.latents import LatentScene, Part
from benchmarks.ablation.variants import SEED
from benchmarks.ablation.vectorquantizers import Books, Vectors
from ground.scene import Scene
from ground.train.lapped.fit import SCALE
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.transform import LATENT_SHIFT
from onboard.codec.tile import STEPS
from onboard.errors import LimitError

_VECTORS = 10_000
_FINER = 48
"""Sixteenths of an octave that latents are resolved finer than the detail of their tile."""


def training_vectors(coder: LappedModel, batches: Sequence[PreparedTiles]) -> Vectors:
    """Return latents (n, channels) of positions of training tiles, scaled by their tile."""
    vectors = np.concatenate(
        [_scaled(coder, batch)[0].reshape(-1, coder.contexts.cuts[-1]) for batch in batches]
    )
    chosen = np.random.default_rng(SEED).permutation(len(vectors))[:_VECTORS]
    return vectors[chosen]


def _scaled(coder: LappedModel, prepared: PreparedTiles) -> tuple[Vectors, NDArray[np.int64]]:
    """Return latents (tiles, rows, cols, channels) in steps, and the step code of each tile."""
    latents = prepared.latents
    ac = np.concatenate(latents.parts[1:], axis=3, dtype=np.float64)
    detail = np.abs(ac).mean(axis=(1, 2, 3)) * 2.0**latents.shifts
    digital_numbers = np.maximum(detail * (1 << LATENT_SHIFT) / SCALE, 1)
    codes = np.rint(16 * np.log2(2 * digital_numbers)).astype(np.int64) - _FINER
    codes = np.maximum(np.clip(codes, 0, STEPS - 1), prepared.finest(coder))
    scaled = latents.scaled(codes, coder.transform.mantissas)
    return scaled.astype(np.float32) / np.float32(64), codes


@dataclass(frozen=True)
class _Choices:
    """What each size, none at all first, makes of tiles of one shape.

    Attributes:
        part: the tiles.
        steps: (tiles,) DN.
        values: latents (tiles, rows, cols, channels) in steps, by size.
        errors: (tiles, sizes) squared DN.
        bodies: (sizes,) bytes of a tile, segments not counted.
    """

    part: Part
    steps: NDArray[np.float32]
    values: list[Vectors]
    errors: NDArray[np.float64]
    bodies: NDArray[np.int64]


class VectorCodedScene:
    """A scene coded by vector quantizers, to be had at any budget."""

    def __init__(self, coder: LappedModel, tile: int, books: Books, scene: Scene) -> None:
        self._scene = LatentScene(coder, tile, scene)
        self._choices = [_choices(coder, books, part) for part in self._scene.parts]

    def _choose(self, worth: float) -> tuple[int, list[NDArray[np.int64]]]:
        """Return all bytes, headers included, and each tile's size, at squared DN a byte."""
        sizes = []
        for one in self._choices:
            lengths = one.bodies + one.part.segments(one.bodies) * one.part.around
            sizes.append((one.errors + worth * lengths).argmin(axis=1))
        pairs = zip(self._choices, sizes, strict=True)
        return self._scene.stream_bytes([one.bodies[size] for one, size in pairs]), sizes

    def at(self, budget: int) -> tuple[int, NDArray[np.uint16]]:
        """Return bytes, at most the budget, and the decoded image.

        Raises:
            LimitError: not even means and band transforms fit.
        """
        low, high = -10.0, 60.0  # octaves of what a byte is worth
        length, sizes = self._choose(2.0**high)
        if length > budget:
            raise LimitError(f"budget: expected {length} bytes or more, found {budget}")
        for _ in range(40):
            middle = (low + high) / 2
            found, chosen = self._choose(2.0**middle)
            if found <= budget:
                high, length, sizes = middle, found, chosen
            else:
                low = middle
        return length, self._rebuilt(sizes)

    def _rebuilt(self, sizes: Sequence[NDArray[np.int64]]) -> NDArray[np.uint16]:
        values = [
            np.stack([one.values[size][tile] for tile, size in enumerate(chosen.tolist())])
            for one, chosen in zip(self._choices, sizes, strict=True)
        ]
        return self._scene.image(values, [one.steps for one in self._choices])


def _choices(coder: LappedModel, books: Books, part: Part) -> _Choices:
    latents, codes = _scaled(coder, part.prepared)
    tiles, rows, cols, channels = latents.shape
    flat = latents.reshape(-1, channels)
    values, bits = [np.zeros_like(flat)], [0]
    for of_size in books:
        found = np.zeros_like(flat)
        for book in of_size:
            found += book.quantised(flat - found)
        values.append(found)
        bits.append(sum(book.bits for book in of_size))
    steps = (2.0 ** (codes / 16 - 1)).astype(np.float32)
    power = coder.power / 256
    lost = [np.square(flat - v) @ power for v in values]
    errors = np.stack([e.reshape(tiles, -1).sum(axis=1) for e in lost], axis=1)
    side = 2 + coder.front_end.side_bytes  # tile state and size
    return _Choices(
        part,
        steps,
        [v.reshape(latents.shape) for v in values],
        errors * np.square(steps, dtype=np.float64)[:, None],
        side + -(-np.array(bits) * rows * cols // 8),
    )
