"""Features of the lapped codec: what coarse symbols of a tile tell, without an image.

Only layer 0, the DC of all components and the AC layers up to `LAST` are read, of four bands 22 of
256 channels. DC symbols, turned back, are a small picture of the tile, one number for each
8 x 8 pixels and band; its means, spread and quantiles are pooled over the tile, and so are
logarithms of ratios of bands, which light and haze hardly change. AC symbols are pooled to the
energy of each component and frequency.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.lanes import LaneTile, alike, read_lanes
from ground.decode.lapped.synthesis import synthesise
from ground.decode.vectors import Real, Vectors, signed_log
from onboard.codec.lapped import bandtransform
from onboard.codec.lapped.context import FREQUENCIES, LATTICES
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.read.layers import LayerReader, Read
from onboard.codec.lapped.transform import SUB_STEPS
from onboard.codec.tile import ALL_NODATA, EMPTY

LAST = 8
"""Last layer that is read: for each more, reading takes longer."""
_QUANTILES = {"low": 0.1, "middle": 0.5, "high": 0.9}
_TILES_AT_ONCE = 256


class FeatureReader:
    """Makes vectors of tiles of one codec."""

    def __init__(self, reader: LayerReader) -> None:
        """Take what reads the lanes of tiles."""
        self._reader, self._model = reader, reader.model
        self._last = min(LAST, self._model.contexts.layers)
        self._bands = self._model.front_end.bands
        self._pairs = np.array([*combinations(range(self._bands), 2)], np.int64).reshape(-1, 2)
        self._gain = _gain(self._model)
        self.names = self._named()

    def _named(self) -> tuple[str, ...]:
        bands, contexts = range(1, self._bands + 1), self._model.contexts
        pairs = [f"{a + 1}/{b + 1}" for a, b in self._pairs.tolist()]
        places = [*bands, *pairs]
        names = [f"mean.{band}" for band in bands] + ["step"]
        names += [f"spread.{place}" for place in places]
        names += [f"{quantile}.{place}" for quantile in _QUANTILES for place in places]
        ac = contexts.order[self._bands : contexts.channels_of(self._last).stop]
        return (*names, *(f"energy.{c // FREQUENCIES + 1}.{c % FREQUENCIES}" for c in ac.tolist()))

    def vectors(self, tiles: Mapping[int, LaneTile], count: int) -> Vectors:
        """Return the vectors of tiles, by number, of `count` that there are in all."""
        found = Vectors.none(count, self.names, 1 + self._last)
        for index, tile in tiles.items():
            if tile.state == ALL_NODATA:
                found.layers[index] = found.wanted
        known = {index: tile for index, tile in tiles.items() if tile.side is not None}
        for members in alike(known, _TILES_AT_ONCE):
            batch = [known[index] for index in members]
            read = read_lanes(self._reader, batch, self._last)
            layers = read.complete
            if batch[0].coding & EMPTY:  # nothing of them is coded
                layers = np.full(len(batch), self._last)
            found.layers[members] = 1 + layers
            found.values[members] = self._of_batch(batch, read, layers)
        return found

    def _of_batch(self, tiles: Sequence[LaneTile], read: Read, layers: NDArray[np.int64]) -> Real:
        """Return the vectors of tiles of one shape that are coded alike."""
        sides = [tile.side for tile in tiles if tile.side is not None]
        unit = np.float32(2.0**-self._model.front_end.fraction)
        steps = np.array([side.step for side in sides], np.float32) * unit
        means = np.array([side.means for side in sides], np.float32) * unit
        in_steps = np.float32(read.points.in_steps)
        dc = np.zeros((*read.state.shape, self._bands), np.float32)
        energies = []
        for number, layer in enumerate(read.layers, 1):
            values = (layer.values + layer.mean).astype(np.float32)
            if number <= LATTICES:
                read.state.set(dc, number, values)
                continue
            if read.coarser is not None:
                values *= 2.0 ** (read.coarser.reshape(len(values), -1, 1) / SUB_STEPS)
            root = np.sqrt(np.square(values).mean(axis=1)) * (in_steps * steps[:, None])
            root[layers < number] = np.nan
            energies.append(np.log2(1 + root))
        dc *= (self._gain * in_steps * steps)[:, None, None, None]
        matrix = bandtransform.matrix(np.array([s.angles for s in sides], np.uint8), self._bands)
        turned = dc.reshape(len(dc), -1, self._bands) @ (
            matrix.astype(np.float32) / (1 << bandtransform.SHIFT)
        )
        pooled = self._pooled(turned + means[:, None])
        pooled[layers < LATTICES] = np.nan
        return np.concatenate(
            [signed_log(means), np.log2(steps)[:, None], pooled, *energies], axis=1
        )

    def _pooled(self, picture: Real) -> Real:
        """Return spread and quantiles of bands and of ratios of two, of (tiles, places, bands)."""
        logs = signed_log(picture)
        first, second = self._pairs.T
        ratios = logs[..., first] - logs[..., second]
        every = np.sort(np.concatenate([logs, ratios], axis=2), axis=1)
        spreads = [np.log2(1 + picture.std(axis=1)), ratios.std(axis=1)]
        last = every.shape[1] - 1
        quantiles = [every[:, round(share * last)] for share in _QUANTILES.values()]
        return np.concatenate([*spreads, *quantiles], axis=1)


def _gain(model: LappedModel) -> np.float32:
    """Return the mean, in steps, of pixels that a DC latent of one step stands for."""
    latent = np.zeros((1, 2, 2, FREQUENCIES), np.float32)
    latent[..., 0] = 1
    return np.float32(synthesise(model.transform, latent).mean())
