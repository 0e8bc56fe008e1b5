"""Quantizer families in place of the codec's own, on the same latents."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from benchmarks.ablation.trellis import E8, dependent, independent, lattice
from benchmarks.ablation.trelliscoder import TrellisCodedScene, TrellisCoder, fit_trellis
from benchmarks.ablation.variants import Tiles, prepare
from benchmarks.ablation.vectorcoded import VectorCodedScene, training_vectors
from benchmarks.ablation.vectorquantizers import (
    SIZES,
    Books,
    product_books,
    residual_books,
    sphere_books,
)
from ground.scene import Scene
from onboard.codec.lapped.model import LappedModel

_BYTES = f"{SIZES[0]}..{SIZES[-1]} bytes a position"
BOOKS = (
    ("product", f"product VQ, {_BYTES}", product_books),
    ("residual", f"residual VQ, {_BYTES}", residual_books),
    ("sphere", f"gain-shape VQ, {_BYTES}", sphere_books),
)
# Last, the squared spacings that a bit is worth: the best of those tried.
TRELLISES = (
    ("independent", "dead zone by code length, bytes estimated", independent(), 0.12),
    ("dependent_4", "dependent quantisation, 4 states, estimated", dependent(4), 0.09),
    ("lattice_e8", "lattice E8, estimated", lattice(E8), 0.22),
)

Code = Callable[[int], tuple[int, NDArray[Any]]]
"""Codes a scene within a budget: bytes and the decoded image."""


def families(
    coder: LappedModel, tile: int, training: Sequence[Tiles]
) -> Iterator[tuple[str, str, Callable[[Scene], Code]]]:
    """Yield name, label and what codes a scene, of each family trained on the same tiles."""
    batches = prepare(coder, training, lambda _: coder.front_end)
    vectors = training_vectors(coder, batches)
    for name, label, train in BOOKS:
        yield name, label, partial(_by_books, coder, tile, train(vectors))
    for name, label, trellis, worth in TRELLISES:
        fitted = fit_trellis(coder, trellis, worth, batches)
        yield name, label, partial(_along, fitted, tile)


def _by_books(coder: LappedModel, tile: int, books: Books, scene: Scene) -> Code:
    return VectorCodedScene(coder, tile, books, scene).at


def _along(fitted: TrellisCoder, tile: int, scene: Scene) -> Code:
    return TrellisCodedScene(fitted, tile, scene).at
