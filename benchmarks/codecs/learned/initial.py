"""Initial weights: untrained, a network is a KLT of blocks of all bands.

The skips of its residual blocks are KLTs of 2 x 2 pixels, of 4 x 4 and so on, each made of the one
before and of as many vectors as there are maps; branches add nothing. The rest is as it is in
`modulated/initial.py`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.codecs.learned.layout import Layout
from benchmarks.codecs.learned.network import (
    Attention,
    LearnedNetwork,
    Residual,
    ResidualDown,
    ResidualUp,
)
from benchmarks.codecs.learned.prior import Conditional, Factorised
from benchmarks.codecs.modulated.initial import (
    Floats,
    Layer,
    bias_of,
    expected,
    hush,
    layers_of,
    placed,
    scales_of,
    set_hyper,
    set_masks,
    set_step,
)

_BLOCKS = 2_000
"""Of an image as many at most, of which the KLT is."""


@torch.no_grad()
def begun(
    layout: Layout, seed: int, scale: float, images: Sequence[NDArray[np.uint16]]
) -> LearnedNetwork:
    """Return a network to train.

    Args:
        layout: its widths.
        seed: of what is drawn by chance.
        scale: DN that become 1.
        images: (bands, rows, cols) each.
    """
    torch.manual_seed(seed)
    network = LearnedNetwork(layout)
    basis = np.eye(layout.bands)
    for way, maps in zip(_ways(network), (*layout.maps, layout.latents), strict=True):
        side = int(np.sqrt(basis.shape[1] // layout.bands)) * 2
        variances, vectors = np.linalg.eigh(_covariance(scale, images, side))
        order = np.argsort(-variances)[:maps]
        basis, finer = vectors.T[order], basis
        set_step(way, basis @ placed(finer, layout.bands).T)
    for module in network.modules():
        if isinstance(module, Residual | ResidualDown | ResidualUp | Attention):
            last = layers_of(module.branch)[-1]
            last.weight.zero_()
            bias_of(last).zero_()
    hush(network)
    set_masks(network.modulation)
    sigma = expected(variances[order])
    if isinstance(network.prior, Conditional):
        set_hyper(network.prior, sigma)
    elif isinstance(network.prior, Factorised):
        unmodulated = scales_of(sigma / expected(np.ones(1)))
        network.prior.scales.add_(torch.from_numpy(unmodulated).float())
    return network


def _ways(network: LearnedNetwork) -> list[tuple[Layer, Layer]]:
    """Return what halves the grid, and what leads back, from the image on."""
    halving = [part for part in network.analysis if isinstance(part, Layer | ResidualDown)]
    doubling = [part for part in network.synthesis if isinstance(part, Layer | ResidualUp)]
    return [(_skip(a), _skip(b)) for a, b in zip(halving, reversed(doubling), strict=True)]


def _skip(part: Layer | ResidualDown | ResidualUp) -> Layer:
    return part if isinstance(part, Layer) else part.skip


def _covariance(scale: float, images: Sequence[NDArray[np.uint16]], side: int) -> Floats:
    """Return the covariance of blocks of side x side pixels about the means of their images."""
    total = np.zeros((images[0].shape[0] * side * side,) * 2)
    count = 0
    for image in images:
        blocks = _blocks(image, side) / scale
        blocks = blocks[:: -(-len(blocks) // _BLOCKS)]
        total += blocks.T @ blocks
        count += len(blocks)
    return total / max(count, 1)


def _blocks(image: NDArray[np.uint16], side: int) -> Floats:
    bands, rows, cols = image.shape
    rows, cols = rows // side, cols // side
    cut = image[:, : rows * side, : cols * side] - np.rint(image.mean(axis=(1, 2)))[:, None, None]
    squares = cut.reshape(bands, rows, side, cols, side).transpose(1, 3, 0, 2, 4)
    return np.asarray(squares.reshape(-1, bands * side * side), np.float64)
