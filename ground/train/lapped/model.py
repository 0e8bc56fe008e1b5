"""Torch models of the lapped codec: transform, context model and refinement network."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ground.decode.lapped.synthesis import CELL
from onboard.codec.lapped.context import BLOCK, FREQUENCIES, SIZE_CAP, SLOPE_CAP

_LEAST_SCALE, _LARGEST_SCALE = 0.02, 300.0
_LAST_LAYER = 20
"""Channels of the last layer of AC for each of the first; in between they rise evenly."""


def lapped_basis(size: int = BLOCK, correlation: float = 0.95) -> NDArray[np.float64]:
    """Return a lapped orthogonal transform, (size, 2 size), its even filters symmetric.

    Source: H. S. Malvar and D. H. Staelin, "The LOT: transform coding without blocking effects",
    IEEE Trans. ASSP 37 (1989): the eigenvectors of the covariance of an AR(1) signal within the
    space of orthogonal lapped bases that folding a DCT spans.
    """
    k, n = np.arange(size)[:, None], np.arange(size)[None]
    cosines = np.cos(np.pi * (2 * n + 1) * k / (2 * size)) * np.sqrt(2 / size)
    cosines[0] /= np.sqrt(2)
    half = cosines[0::2].T - cosines[1::2].T
    fold = 0.5 * np.block([[half, half], [half[::-1], -half[::-1]]])
    places = np.arange(2 * size)
    covariance = fold.T @ correlation ** np.abs(places[:, None] - places) @ fold
    basis = np.zeros((size, 2 * size))
    for parity, part in enumerate((slice(0, size // 2), slice(size // 2, size))):
        vectors = np.linalg.eigh(covariance[part, part])[1][:, ::-1]
        basis[parity::2] = (fold[:, part] @ vectors).T
    return basis


def _parity() -> Tensor:
    """Return (-1)^u of the row frequency of each filter; of the column frequency: transposed."""
    signs = torch.tensor([1.0, -1.0]).repeat(BLOCK // 2)
    return signs[:, None].expand(BLOCK, BLOCK).reshape(-1)


def _mirror(planes: Tensor, width: int) -> Tensor:
    """Continue planes symmetrically by `width` on all sides."""
    for axis in (-2, -1):
        size = planes.shape[axis]
        first, last = planes.narrow(axis, 0, width), planes.narrow(axis, size - width, width)
        planes = torch.cat([first.flip(axis), planes, last.flip(axis)], axis)
    return planes


class LappedTransform(nn.Module):
    """64 filters of 16x16, stride 8, for one plane; each symmetric or antisymmetric per axis.

    With that symmetry, planes continued symmetrically have latents that continue likewise, up to
    sign: a tile is analysed and rebuilt alone, and its border is as good as its middle.
    """

    row_sign: Tensor
    col_sign: Tensor

    def __init__(self) -> None:
        super().__init__()
        basis = lapped_basis()
        filters = torch.from_numpy(np.einsum("ui,vj->uvij", basis, basis)).float()
        filters = filters.reshape(FREQUENCIES, 1, 2 * BLOCK, 2 * BLOCK)
        self.analysis, self.synthesis = nn.Parameter(filters), nn.Parameter(filters.clone())
        rows = _parity()
        self.register_buffer("row_sign", rows[:, None, None])
        cols = rows.reshape(BLOCK, BLOCK).T.reshape(-1)
        self.register_buffer("col_sign", cols[:, None, None])

    def symmetric(self, filters: Tensor) -> Tensor:
        """Return the nearest filters of the right symmetry."""
        filters = (filters + self.row_sign[..., None] * filters.flip(2)) / 2
        return (filters + self.col_sign[..., None] * filters.flip(3)) / 2

    def analyse(self, planes: Tensor) -> Tensor:
        """Return latents (n, 64, rows/8, cols/8) of planes (n, 1, rows, cols)."""
        filters = self.symmetric(self.analysis)
        return F.conv2d(_mirror(planes, BLOCK // 2), filters, stride=BLOCK)

    def synthesise(self, latents: Tensor) -> Tensor:
        """Return planes (n, 1, rows, cols) of latents (n, 64, rows/8, cols/8)."""
        first, last = latents[..., :1, :], latents[..., -1:, :]
        latents = torch.cat([self.row_sign * first, latents, self.row_sign * last], -2)
        first, last = latents[..., :1], latents[..., -1:]
        latents = torch.cat([self.col_sign * first, latents, self.col_sign * last], -1)
        planes = F.conv_transpose2d(latents, self.symmetric(self.synthesis), stride=BLOCK)
        margin = BLOCK + BLOCK // 2
        return planes[..., margin:-margin, margin:-margin]


def laplace_bits(residuals: Tensor, scale: Tensor) -> Tensor:
    """Return -log2 of the probability of integers under a Laplace law of mean 0."""
    away = residuals.abs()
    upper = torch.where(
        away > 0.5,
        0.5 * torch.exp(-(away - 0.5).clamp(min=0) / scale),
        1 - 0.5 * torch.exp((away - 0.5).clamp(max=0) / scale),
    )
    inner = torch.log((upper - 0.5 * torch.exp(-(away + 0.5) / scale)).clamp_min(1e-9))
    tail = torch.log1p(-torch.exp(-1 / scale).clamp(max=1 - 1e-7)) - math.log(2)
    return -torch.where(away > 0.5, tail - (away - 0.5) / scale, inner) / math.log(2)


def layer_channels(bands: int, layers: int) -> list[list[int]]:
    """Return the AC channels (component * 64 + frequency) of each layer, coarse to fine.

    A later component of the band transform counts as a higher frequency.
    """
    ranked = sorted(
        ((math.hypot(u, v) + 1) * (1 + component), component, u * BLOCK + v)
        for component in range(bands)
        for u in range(BLOCK)
        for v in range(BLOCK)
        if u or v
    )
    channels = [component * FREQUENCIES + frequency for _, component, frequency in ranked]
    sizes = np.cumsum(np.linspace(1, _LAST_LAYER, layers))
    ends = np.rint(sizes / sizes[-1] * len(channels)).astype(int)
    cuts = [0, *np.maximum(ends, np.arange(1, layers + 1))]
    return [channels[a:b] for a, b in itertools.pairwise(cuts)]


class ContextModel(nn.Module):
    """Scale of each symbol's Laplace law from symbols of earlier layers (SPEC.md, section 10).

    AC: magnitudes of earlier layers at the same place and at its four neighbours, and differences
    of the DC around it. DC: three lattices, each predicted from the ones before.
    """

    earlier: Tensor

    def __init__(self, bands: int, layers: int) -> None:
        super().__init__()
        self.bands = bands
        channels = bands * FREQUENCIES
        self.channels = layer_channels(bands, layers)
        rank = torch.zeros(channels, dtype=torch.long)
        for number, members in enumerate(self.channels, 1):
            rank[members] = number
        self.register_buffer("earlier", (rank[None] < rank[:, None]).float())
        self.same = nn.Parameter(torch.full((channels, channels), -6.0))
        self.near = nn.Parameter(torch.full((channels, channels), -6.0))
        self.slope = nn.Parameter(torch.full((channels, 2 * bands), -5.0))
        self.bias = nn.Parameter(torch.full((channels,), -2.0))
        self.dc_own = nn.Parameter(torch.full((2, bands, 4), -2.5))
        self.dc_cross = nn.Parameter(torch.full((2, bands, bands), -4.0))
        self.dc_bias = nn.Parameter(torch.tensor([20.0, 1.0, 1.0])[:, None].repeat(1, bands))

    def integer_weights(self) -> dict[str, NDArray[np.uint16]]:
        """Return the weights in 1/256, as the context model on board takes them."""

        def units(weights: Tensor) -> NDArray[np.uint16]:
            rounded = torch.round(F.softplus(weights.detach()) * 256).clamp(0, 65_535)
            return rounded.numpy().astype(np.uint16)

        # (lattice, component, feature) on the diagonal, (lattice, to, from) for all features.
        own, cross = units(self.dc_own), units(self.dc_cross)
        dc = np.repeat(cross.transpose(0, 2, 1)[:, :, None], 4, axis=2)
        for band in range(self.bands):
            dc[:, band, :, band] += own[:, band]
        earlier = self.earlier.numpy() > 0
        return {
            "same": units(self.same) * earlier,
            "near": (units(self.near) // 4) * earlier,
            "slope": units(self.slope),
            "bias": units(self.bias),
            "dc": dc.reshape(2, 4 * self.bands, self.bands),
            "dc_bias": units(self.dc_bias),
        }

    def forward(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and predicted mean of each symbol.

        Args:
            symbols: symbols (n, channels, rows, cols).
        """
        size = symbols.abs().clamp(max=SIZE_CAP)
        around = F.pad(size, (1, 1, 1, 1))
        near = around[..., 1:-1, :-2] + around[..., :-2, 1:-1]
        near = near + around[..., 1:-1, 2:] + around[..., 2:, 1:-1]
        dc = symbols[:, ::FREQUENCIES]
        wide = F.pad(dc, (1, 1, 1, 1), mode="replicate")
        across = (wide[..., 1:-1, :-2] - wide[..., 1:-1, 2:]).abs()
        down = (wide[..., :-2, 1:-1] - wide[..., 2:, 1:-1]).abs()
        slopes = torch.cat([across, down], 1).clamp(max=SLOPE_CAP)
        weights = torch.cat(
            [
                F.softplus(self.same) * self.earlier,
                F.softplus(self.near) * self.earlier / 4,
                F.softplus(self.slope),
            ],
            1,
        )
        features = torch.cat([size, near, slopes], 1)
        scale = F.conv2d(features, weights[..., None, None])
        scale = scale + F.softplus(self.bias)[:, None, None]
        dc_scale, dc_mean = self._dc(dc)
        shape = (len(symbols), self.bands, FREQUENCIES, *symbols.shape[2:])
        scale = torch.cat([dc_scale[:, :, None], scale.reshape(shape)[:, :, 1:]], 2)
        mean = torch.zeros(shape)
        mean[:, :, 0] = dc_mean
        return scale.reshape(symbols.shape).clamp(_LEAST_SCALE, _LARGEST_SCALE), mean.reshape(
            symbols.shape
        )

    def _dc(self, dc: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and mean of the DC, lattice by lattice."""
        wide = F.pad(dc, (1, 1, 1, 1), mode="reflect")
        up, down = wide[..., :-2, 1:-1], wide[..., 2:, 1:-1]
        left, right = wide[..., 1:-1, :-2], wide[..., 1:-1, 2:]
        corners = wide[..., :-2, :-2], wide[..., :-2, 2:], wide[..., 2:, :-2], wide[..., 2:, 2:]
        scale = torch.zeros_like(dc) + F.softplus(self.dc_bias[0])[:, None, None]
        mean = torch.zeros_like(dc)
        rows, cols = np.indices(dc.shape[2:])
        lattices = (corners, (up, left, right, down))
        wheres = ((rows % 2 == 1) & (cols % 2 == 1), rows % 2 != cols % 2)
        for number, (four, where) in enumerate(zip(lattices, wheres, strict=True)):
            one, two, three, last = four
            features = torch.stack(
                [
                    (one - last).abs(),
                    (two - three).abs(),
                    (one - two).abs() + (three - last).abs(),
                    (one - three).abs() + (two - last).abs(),
                ],
                2,
            )
            own = torch.einsum("ncfhw,cf->nchw", features, F.softplus(self.dc_own[number]))
            total = features.sum(2)
            cross = torch.einsum("nchw,ec->nehw", total, F.softplus(self.dc_cross[number]))
            wide_scale = own + cross + F.softplus(self.dc_bias[1 + number])[:, None, None]
            place = torch.from_numpy(where)
            scale = torch.where(place, wide_scale, scale)
            mean = torch.where(place, torch.floor((one + two + three + last + 2) / 4), mean)
        return scale, mean


class Refinement(nn.Module):
    """Residual network over the linearly rebuilt scene, across tiles, at a quarter of its size.

    Takes DN and the step of every 4x4 cell; works on DN less the local mean, in steps, so that it
    sees the same thing whatever the tile, the band transform or the rate. It is told where tiles
    meet, since no latents reach across.
    """

    def __init__(self, bands: int, depth: int, blocks: int) -> None:
        super().__init__()
        self.bands = bands
        self.head = nn.Conv2d(2 * bands, depth, CELL, CELL)
        self.side = nn.Conv2d(4, depth, 1, bias=False)
        # Begins as it would if head and side were one layer: else it drowns the head for long.
        bound = 1 / math.sqrt(4 + self.head.weight[0].numel())
        nn.init.uniform_(self.side.weight, -bound, bound)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(depth, depth, 3, 1, 1), nn.ReLU(), nn.Conv2d(depth, depth, 3, 1, 1)
            )
            for _ in range(blocks)
        )
        self.tail = nn.ConvTranspose2d(depth, bands, CELL, CELL)
        nn.init.zeros_(self.tail.weight)
        assert self.tail.bias is not None
        nn.init.zeros_(self.tail.bias)

    @property
    def halo(self) -> int:
        """Pixels that a pixel's result can depend on, in each direction."""
        return CELL * (2 * len(self.blocks) + 2) + CELL - 1

    def forward(self, image: Tensor, step: Tensor, known: Tensor, border: Tensor) -> Tensor:
        """Return the refined image.

        Args:
            image: linearly rebuilt image (n, bands, rows, cols) DN, sides multiples of 4.
            step: step of each cell (n, 1, rows/4, cols/4), DN.
            known: share of the symbols of each cell that arrived, 0..1, of the same shape.
            border: where tiles meet (n, 2, rows/4, cols/4), as
                `ground.decode.lapped.synthesis.tile_borders` gives it.
        """
        local = F.avg_pool2d(F.avg_pool2d(image, CELL), 5, 1, 2, count_include_pad=False)
        away = (image - _enlarged(local)) * _enlarged(0.5 / step)
        seen = torch.cat([away.clamp(-3, 3), (away * 0.1).clamp(-4, 4)], 1)
        told = torch.cat([(torch.log2(step) - 5) / 2, known, border], 1)
        features = self.head(seen) + self.side(told)
        for block in self.blocks:
            features = features + block(torch.relu(features))
        refined: Tensor = image + _enlarged(step) * self.tail(torch.relu(features))
        return refined


def _enlarged(cells: Tensor) -> Tensor:
    """Return the pixels of cells."""
    return F.interpolate(cells, scale_factor=CELL, mode="nearest")
