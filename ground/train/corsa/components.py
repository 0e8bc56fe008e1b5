"""Start of the linear path where bands have two resolutions: principal components of blocks.

A block of a level holds size x size pixels of the fine bands and a quarter as many of the coarse
ones. A block DCT, band by band, would leave most of its numbers to a few bands; the components of
what the finer levels still have to say fill few dimensions with most of it, and the codebooks with
what is left.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ground.train.corsa.model import VqvaeFpn


@torch.no_grad()
def start_linear_path(model: VqvaeFpn, samples: Tensor, coarse: int) -> None:
    """Set the linear path and the codebooks, from the coarsest level down, in a closed loop.

    Args:
        model: model in evaluation mode, to be changed.
        samples: what the encoder sees (tiles, bands, tile, tile).
        coarse: how many bands, the last ones, are coarse, each pixel repeated 2x2.
    """
    left = samples
    for level in range(model.shape.levels - 1, -1, -1):
        size = 2 ** (level + 1)
        basis = _components(left, size, coarse, model.shape.dims[level])
        skip, linear = model.encoder.skips[level], model.decoder.linear[level]
        assert isinstance(skip, nn.Conv2d)
        assert isinstance(linear, nn.ConvTranspose2d)
        # A coarse pixel is the mean of the four that repeat it, and is repeated again.
        share = torch.ones(samples.shape[1])
        share[len(share) - coarse :] = 1 / 4
        skip.weight.copy_(basis * share[:, None, None] / 2**level)
        linear.weight.copy_(basis * 2**level)
        latents = skip(left)
        model.quantizer(level).start(latents)
        left = left - linear(model.quantizer(level)(latents).codewords)
    for level, prediction in enumerate(model.predictions):
        assert isinstance(prediction, nn.ConvTranspose2d)
        above, here = model.decoder.linear[level + 1], model.encoder.skips[level]
        assert isinstance(above, nn.ConvTranspose2d)
        assert isinstance(here, nn.Conv2d)
        step = 2 ** (level + 1)
        prediction.weight.copy_(functional.conv2d(above.weight, here.weight, stride=step))


def _components(samples: Tensor, size: int, coarse: int, dims: int) -> Tensor:
    """Return the strongest components of blocks, orthonormal over what they hold of each band.

    Returns:
        (dims, bands, size, size), coarse bands repeated 2x2; zero beyond what blocks hold.
    """
    fine = samples.shape[1] - coarse
    parts = [functional.unfold(samples[:, :fine], size, stride=size)]
    if coarse:
        small = functional.avg_pool2d(samples[:, fine:], 2)
        parts.append(functional.unfold(small, size // 2, stride=size // 2))
    vectors = torch.cat(parts, 1).transpose(1, 2).flatten(0, 1)
    _, rows = torch.linalg.eigh((vectors.T @ vectors).double())
    found = rows.T.flip(0)[:dims].float()
    basis = torch.zeros(dims, samples.shape[1], size, size)
    split = fine * size * size
    basis[: len(found), :fine] = found[:, :split].unflatten(1, (fine, size, size))
    if coarse:
        half = found[:, split:].unflatten(1, (coarse, size // 2, size // 2))
        basis[: len(found), fine:] = half.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return basis
