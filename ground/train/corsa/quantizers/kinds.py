"""Kinds of quantizer of the CORSA models, by the name that a recipe has."""

from collections.abc import Callable

from ground.train.corsa.quantizers.composed import ProductQuantizer, ResidualQuantizer
from ground.train.corsa.quantizers.quantizer import Quantizer
from ground.train.corsa.quantizers.scalar import ScalarQuantizer
from ground.train.corsa.quantizers.sphere import SphericalQuantizer
from ground.train.corsa.quantizers.vector import VectorQuantizer

FREE, COMPOSED = "vq", ("product", "residual", "sphere")
"""The kind that takes any number of codewords, others powers of two; those that have books."""
KINDS: dict[str, Callable[[int, int, int], Quantizer]] = {
    FREE: lambda codewords, dims, _books: VectorQuantizer(codewords, dims),
    "product": ProductQuantizer,
    "residual": ResidualQuantizer,
    "sphere": lambda codewords, dims, books: ProductQuantizer(
        codewords, dims, books, SphericalQuantizer
    ),
    "scalar": lambda codewords, dims, _books: ScalarQuantizer(codewords, dims),
}
"""Makers by codewords, dimensions and books: `sphere` is grouped spherical quantisation (GSQ),
`scalar` finite scalar quantisation (FSQ)."""
