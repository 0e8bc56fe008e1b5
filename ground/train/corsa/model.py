"""VQVAE-FPN of the CORSA paper: encoder blocks that halve the map, codebooks, one decoder.

Level 0 is the finest (half the tile's resolution). Lower levels are conditioned by adding the
upsampled, non-quantised map of the level above. A linear skip path runs beside the network in
encoder and decoder and starts as a block DCT, so that training begins from a working classical
codec (block transform, residual vector quantizer).

Only operations an int8 engine fuses are used in the encoder: convolution followed directly by
ReLU, addition, nearest x2 upsampling. Source: the CORSA paper, section 2.1 and Table 1.
"""

from collections.abc import Container
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from ground.train.corsa.quantizers.kinds import FREE, KINDS
from ground.train.corsa.quantizers.quantizer import Quantized, Quantizer

SAMPLE_SCALE = 1 / 16
"""int8 samples times this enter the network, so that typical values are near one."""


@dataclass(frozen=True)
class Architecture:
    """Shape of a VQVAE-FPN; lists run from level 0, the finest, upwards.

    Attributes:
        quantizer: kind of all levels' quantizers, one of `KINDS`.
        books: of each, where it is composed of several.
    """

    bands: int
    tile: int
    depths: tuple[int, ...]
    dims: tuple[int, ...]
    codewords: tuple[int, ...]
    residual_blocks: int
    residual_depth: int
    decoder_depth: int
    decoder_blocks: int
    quantizer: str = field(default=FREE, kw_only=True)
    books: int = field(default=2, kw_only=True)

    @property
    def levels(self) -> int:
        """Number of levels, 1 to 3."""
        return len(self.depths)


def _block_transform(level: int, bands: int, dims: int) -> Tensor:
    """Return an orthonormal block transform (dims, bands, size, size), low frequencies first.

    The 2-D DCT-II of a block of size 2^(level+1) (for size 2 that is Haar), ordered by frequency,
    bands side by side.
    """
    size = 2 ** (level + 1)
    position = torch.arange(size)
    basis = torch.cos(torch.pi * (2 * position[None] + 1) * position[:, None] / (2 * size))
    basis = basis * (2 / size) ** 0.5
    basis[0] /= 2**0.5
    order = sorted((u * u + v * v, u, v) for u in range(size) for v in range(size))
    kernel = torch.zeros(dims, bands, size, size)
    for row in range(min(dims, bands * len(order))):
        _, u, v = order[row // bands]
        kernel[row, row % bands] = basis[u][:, None] * basis[v][None]
    return kernel


def _block_prediction(level: int, shape: Architecture) -> Tensor:
    """Return the weight (dims above, dims, 2, 2) that predicts a level from the one above.

    Decoding a block with the transform of the level above and analysing its four quarters with
    that of this level is linear; this is its matrix.
    """
    above = _block_transform(level + 1, shape.bands, shape.dims[level + 1]) * 2 ** (level + 1)
    here = _block_transform(level, shape.bands, shape.dims[level]) / 2**level
    return functional.conv2d(above, here, stride=2 ** (level + 1))


def _zero(layer: nn.Module) -> None:
    """Set all weights of a layer to zero: at the start it adds nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Residual(nn.Module):
    """3x3 convolution, ReLU, 1x1 convolution, added to the input, ReLU."""

    def __init__(self, depth: int, inner: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(depth, inner, 3, padding=1)
        self.gather = nn.Conv2d(inner, depth, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        return functional.relu(maps + self.gather(functional.relu(self.spread(maps))))


class EncoderBlock(nn.Module):
    """Halve the map: the "top" encoder of VQVAE-2 with one downsampling convolution."""

    def __init__(self, inputs: int, depth: int, blocks: int, inner: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(inputs, depth // 2, 4, stride=2, padding=1)
        self.mix = nn.Conv2d(depth // 2, depth, 3, padding=1)
        self.residuals = nn.ModuleList(Residual(depth, inner) for _ in range(blocks))

    def forward(self, maps: Tensor) -> Tensor:
        """Return (batch, depth, rows / 2, cols / 2)."""
        maps = functional.relu(self.mix(functional.relu(self.down(maps))))
        for residual in self.residuals:
            maps = residual(maps)
        return maps


class Encoder(nn.Module):
    """Samples (batch, bands, tile, tile) -> latents per level, finest first."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        inputs = (shape.bands, *shape.depths[:-1])
        self.blocks = nn.ModuleList(
            EncoderBlock(i, d, shape.residual_blocks, shape.residual_depth)
            for i, d in zip(inputs, shape.depths, strict=True)
        )
        self.laterals = nn.ModuleList(
            nn.Conv2d(above, below, 1)
            for below, above in zip(shape.depths[:-1], shape.depths[1:], strict=True)
        )
        self.embeddings = nn.ModuleList(
            nn.Conv2d(depth, dims, 3, padding=1)
            for depth, dims in zip(shape.depths, shape.dims, strict=True)
        )
        self.skips = nn.ModuleList(
            nn.Conv2d(shape.bands, dims, 2 ** (level + 1), stride=2 ** (level + 1), bias=False)
            for level, dims in enumerate(shape.dims)
        )
        for level, dims in enumerate(shape.dims):
            skip, embedding = self.skips[level], self.embeddings[level]
            assert isinstance(skip, nn.Conv2d)
            assert isinstance(embedding, nn.Conv2d)
            skip.weight.data = _block_transform(level, shape.bands, dims) / 2**level
            _zero(embedding)

    def forward(self, samples: Tensor) -> list[Tensor]:
        """Return one latent map (batch, dims, rows, cols) per level, finest first."""
        features = []
        maps = samples
        for block in self.blocks:
            maps = block(maps)
            features.append(maps)
        for level in range(len(features) - 2, -1, -1):
            above = functional.interpolate(features[level + 1], scale_factor=2, mode="nearest")
            features[level] = features[level] + self.laterals[level](above)
        return [
            embedding(feature) + skip(samples)
            for embedding, feature, skip in zip(self.embeddings, features, self.skips, strict=True)
        ]


class DecoderBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU between, added to the input."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(depth, depth, 3, padding=1)
        self.second = nn.Conv2d(depth, depth, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        changed: Tensor = maps + self.second(functional.relu(self.first(maps)))
        return changed


class Decoder(nn.Module):
    """Codeword maps per level, finest first -> samples (batch, bands, tile, tile)."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        depth = shape.decoder_depth
        self.entries = nn.ModuleList(nn.Conv2d(d, depth, 3, padding=1) for d in shape.dims)
        self.blocks = nn.ModuleList(DecoderBlock(depth) for _ in range(shape.decoder_blocks))
        self.up = nn.ConvTranspose2d(depth, shape.bands, 4, stride=2, padding=1)
        nn.init.zeros_(self.up.weight)
        self.linear = nn.ModuleList(
            nn.ConvTranspose2d(dims, shape.bands, 2 ** (level + 1), stride=2 ** (level + 1))
            for level, dims in enumerate(shape.dims)
        )
        for level, dims in enumerate(shape.dims):
            linear = self.linear[level]
            assert isinstance(linear, nn.ConvTranspose2d)
            linear.weight.data = _block_transform(level, shape.bands, dims) * 2**level
            linear.bias.data.zero_()  # type: ignore[union-attr]

    def forward(self, codewords: list[Tensor]) -> Tensor:
        """Decode; coarser maps are upsampled to the finest by repetition."""
        maps = self.entries[0](codewords[0])
        for level in range(1, len(codewords)):
            wide = functional.interpolate(codewords[level], scale_factor=2**level, mode="nearest")
            maps = maps + self.entries[level](wide)
        maps = functional.relu(maps)
        for block in self.blocks:
            maps = block(maps)
        output: Tensor = self.up(functional.relu(maps))
        for linear, maps in zip(self.linear, codewords, strict=True):
            output = output + linear(maps)
        return output


class VqvaeFpn(nn.Module):
    """Encoder, one quantizer per level, decoder.

    Levels are quantised from coarse to fine in a closed loop: what the coarser codewords already
    say of a finer latent (`predictions`, a 2x2 transposed convolution) is subtracted before that
    latent is quantised, so that a finer level also corrects the error of the coarser ones.
    """

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape)
        self.quantizers = nn.ModuleList(
            KINDS[shape.quantizer](codewords, dims, shape.books)
            for codewords, dims in zip(shape.codewords, shape.dims, strict=True)
        )
        self.predictions = nn.ModuleList(
            nn.ConvTranspose2d(above, below, 2, stride=2, bias=False)
            for below, above in zip(shape.dims[:-1], shape.dims[1:], strict=True)
        )
        self.decoder = Decoder(shape)
        for level, prediction in enumerate(self.predictions):
            assert isinstance(prediction, nn.ConvTranspose2d)
            prediction.weight.data = _block_prediction(level, shape)

    def quantizer(self, level: int) -> Quantizer:
        """Return the quantizer of a level, 0 being the finest."""
        quantizer = self.quantizers[level]
        assert isinstance(quantizer, Quantizer)
        return quantizer

    def quantise(self, latents: list[Tensor], start: Container[int] = ()) -> list[Quantized]:
        """Quantise latents, finest first, from the coarsest level down.

        Codebooks of the levels in `start` are first set by k-means over what they will quantise.
        """
        made: list[Quantized] = []
        known: Tensor | None = None
        for level in range(self.shape.levels - 1, -1, -1):
            predicted = self.predictions[level](known) if known is not None else 0.0
            residual = latents[level] - predicted
            if level in start:
                self.quantizer(level).start(residual)
            quantized: Quantized = self.quantizer(level)(residual)
            known = quantized.codewords + predicted
            made.insert(0, quantized)
        return made

    def forward(self, samples: Tensor) -> tuple[Tensor, list[Quantized]]:
        """Code and decode int8-unit samples (batch, bands, tile, tile).

        Returns:
            Decoded samples in the same unit, and what each level's quantizer made, finest first.
        """
        made = self.quantise(self.encoder(samples * SAMPLE_SCALE))
        decoded = self.decoder([quantized.codewords for quantized in made])
        return decoded.float() / SAMPLE_SCALE, made
