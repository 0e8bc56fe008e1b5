"""PatchModel: a CORSA model on patches of its own size, sizes counted as the paper counts them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from ground.decode.decoder import find_decoder
from ground.decode.graphs.graph import Graph, open_float_session
from onboard.bundle import find, load
from onboard.codec.corsa.codebook import CODEWORD_LIMIT, LATENT_LIMIT, Codebook
from onboard.codec.corsa.codec import CorsaCodec
from onboard.codec.corsa.quantizer import UNITS_PER_LATENT, Level, quantise
from onboard.engine.network import Session

Patch = NDArray[np.uint16]
_VECTORS, _ROUNDS = 60_000, 12
"""Of each level: as many vectors at most, taken at random, and as many rounds of k-means."""


@dataclass(frozen=True)
class PatchModel:
    """Encoder, codebooks and decoder of a bundle.

    Attributes:
        name: in results.
        codec: of the bundle.
        levels: its levels, or ones with other codebooks, coarse to fine.
        encoder: int8 network.
        decoder: float network.
    """

    name: str
    codec: CorsaCodec
    levels: tuple[Level, ...]
    encoder: Session
    decoder: Graph

    @classmethod
    def open(cls, name: str) -> Self:
        """Open a bundle by name or path.

        Raises:
            BundleError: there is no such bundle, it is no CORSA model, or it has no decoder.
        """
        bundle = load(name)
        codec = CorsaCodec.of(bundle.codec)
        decoder = find_decoder(bundle, find(name)).read_bytes()
        encoder = codec.open("ort").session
        return cls(bundle.name, codec, codec.levels, encoder, open_float_session(decoder, 1))

    @property
    def level_bytes(self) -> tuple[int, ...]:
        """Bytes of the packed indices of a patch by level, the finest first."""
        positions = ((self.codec.tile // level.reduction) ** 2 for level in self.levels)
        packed = (-(-n * level.width // 8) for n, level in zip(positions, self.levels, strict=True))
        return tuple(reversed(list(packed)))

    def round_trip(self, patch: Patch) -> Patch:
        """Code and decode a patch (bands, tile, tile)."""
        front_end, valid = self.codec.front_end, np.ones(patch.shape[1:], np.bool_)
        side = front_end.analyse(patch, valid)
        maps = quantise(self.levels, self.encoder.run(front_end.normalise(patch, valid, side)))
        inputs = [
            level.codebook.codewords[indices].transpose(2, 0, 1)[None].astype(np.float32)
            for level, indices in zip(self.levels, maps, strict=True)
        ]
        decoded = front_end.denormalise(self.decoder.run(inputs)[0], side)
        return np.rint(decoded).clip(0, 65_535).astype(np.uint16)

    def through(self, image: Patch) -> Patch:
        """Code and decode an image tile by tile; what tiles lack at the border repeats its edge."""
        tile, (rows, cols) = self.codec.tile, image.shape[1:]
        padded = np.pad(image, [(0, 0), (0, -rows % tile), (0, -cols % tile)], "edge")
        for row in range(0, rows, tile):
            for col in range(0, cols, tile):
                place = np.s_[:, row : row + tile, col : col + tile]
                padded[place] = self.round_trip(padded[place])
        return padded[:, :rows, :cols]

    def refitted(self, name: str, codewords: int, patches: Sequence[Patch], seed: int) -> Self:
        """Return the same networks with codebooks of another size, found by k-means.

        Levels are fitted from coarse to fine in the loop that quantises them.

        Args:
            name: of the new model.
            codewords: of each level.
            patches: what the codebooks are fitted to.
            seed: of what is drawn by chance.
        """
        latents = [np.stack(maps) for maps in zip(*map(self._latents, patches), strict=True)]
        rng = np.random.default_rng(seed)
        levels: list[Level] = []
        known: NDArray[np.int32] | None = None
        for level, latent in zip(self.levels, latents, strict=True):
            target = UNITS_PER_LATENT * latent.astype(np.int32)
            predicted = np.zeros_like(target)
            if known is not None:
                predicted = np.stack([level.predict(codes) for codes in known])
            residual = np.clip(target - predicted, -LATENT_LIMIT, LATENT_LIMIT).astype(np.int16)
            fitted = _with_codebook(level, residual, codewords, rng)
            chosen = [fitted.codebook.codewords[fitted.codebook.nearest(r)] for r in residual]
            known = np.clip(
                predicted + np.stack(chosen).transpose(0, 3, 1, 2), -LATENT_LIMIT, LATENT_LIMIT
            ).astype(np.int32)
            levels.append(fitted)
        return replace(self, name=name, levels=tuple(levels))

    def _latents(self, patch: Patch) -> Sequence[NDArray[np.int8]]:
        front_end, valid = self.codec.front_end, np.ones(patch.shape[1:], np.bool_)
        side = front_end.analyse(patch, valid)
        return self.encoder.run(front_end.normalise(patch, valid, side))


def _with_codebook(
    level: Level, residual: NDArray[np.int16], codewords: int, rng: np.random.Generator
) -> Level:
    """Return a level with a codebook fitted to residuals (n, dims, rows, cols)."""
    vectors = residual.transpose(0, 2, 3, 1).reshape(-1, residual.shape[1])
    wanted = max(codewords, min(len(vectors), _VECTORS))
    drawn = np.resize(rng.permutation(len(vectors)), wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a codeword that nothing chooses stays
        found, _ = kmeans2(
            vectors[drawn].astype(np.float32), codewords, _ROUNDS, minit="points", seed=rng
        )
    codebook = np.rint(found).clip(-CODEWORD_LIMIT, CODEWORD_LIMIT).astype(np.int16)
    return replace(level, codebook=Codebook(codebook), width=(codewords - 1).bit_length())
