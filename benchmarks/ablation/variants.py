"""Variants of a lapped codec: one part changed, the tables fitted again to the same tiles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.decoder import Decoder
from ground.train.lapped.fit import (
    draw_codes,
    fit,
    fit_quantizer,
    level_scale,
    point_codewords,
    start_tables,
)
from onboard.bundle import Bundle
from onboard.codec.lapped import bandtransform
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.context import BLOCK, LATTICES, ContextModel
from onboard.codec.lapped.contextstate import levels
from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd
from onboard.codec.lapped.frontends.frontend import Analysed, FrontEnd, LappedSide
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.deadzone import DeadZone
from onboard.codec.lapped.quantizers.kinds import PLAIN
from onboard.codec.lapped.quantizers.quantisation import Quantisation
from onboard.codec.lapped.scan import Scanner
from onboard.codec.lapped.sizeguess import SizeGuess
from onboard.codec.lapped.tables import Tables
from onboard.codec.lapped.transform import PLANE_LIMIT, SUB_STEPS
from onboard.errors import StreamError

SEED = 1
NO_TURN = 128
"""The angle that leaves bands as they are."""
OCTAVES = range(3, 12)
"""Of steps, from 4 to 2,048 DN."""
_HALF = 32
_AC = ("same", "near", "slope")

Tiles = NDArray[Any]
Draw = Callable[[PreparedTiles, np.random.Generator], NDArray[np.int64]]
"""Gives the step code of each tile of a batch."""


@dataclass(frozen=True)
class FixedBands(AdaptiveFrontEnd):
    """Means and step of each tile, but one band transform for all, which tiles do not carry.

    Attributes:
        angles: angles of the band transform.
    """

    angles: tuple[int, ...] = ()

    @property
    def side_bytes(self) -> int:
        """Length of the packed side information, which has no angles."""
        return 1 + 2 * self.bands

    def unpack(self, packed: bytes, signed: bool) -> LappedSide:
        """Unpack side information; `signed` says that samples are i16."""
        if len(packed) != self.side_bytes:
            raise StreamError(f"side: expected {self.side_bytes} bytes, found {len(packed)}")
        means = np.frombuffer(packed, ">i2" if signed else ">u2", offset=1)
        return LappedSide(tuple(means.tolist()), packed[0], self.angles)

    def analyse(self, tiles: NDArray[Any], present: NDArray[np.bool_]) -> Analysed:
        """Measure tiles and rotate their bands; the tiles' own angles are empty."""
        means = super().analyse(tiles, present).means
        count, bands, rows, cols = tiles.shape
        away = (tiles - means[:, :, None, None]) * present[:, None]
        away = np.pad(away, [(0, 0), (0, 0), (0, -rows % BLOCK), (0, -cols % BLOCK)], "symmetric")
        turn = bandtransform.matrix(np.array([self.angles], np.uint8), bands)[0]
        flat = turn @ away.reshape(count, bands, -1)
        flat = (flat + (1 << (bandtransform.SHIFT - 1))) >> bandtransform.SHIFT
        shifts = np.zeros(count, np.int64)
        planes = flat
        while (over := np.abs(planes).max(axis=(1, 2)) > PLANE_LIMIT).any():
            shifts += over
            by = shifts[:, None, None]
            planes = (flat + ((1 << by) >> 1)) >> by
        shape = (count * bands, *away.shape[2:])
        none = np.zeros((count, 0), np.uint8)
        return Analysed(means, none, shifts, planes.reshape(shape).astype(np.float32))


ChooseFrontEnd = Callable[[NDArray[Any]], FrontEnd]
"""Gives the front end of a scene, whole (1, bands, rows, cols) or as tiles."""


def no_band_transform(tiles: NDArray[Any]) -> AdaptiveFrontEnd:
    """Return the front end that codes bands as they are."""
    bands = tiles.shape[1]
    return FixedBands(bands, angles=(NO_TURN,) * bandtransform.angle_count(bands))


def scene_band_transform(tiles: NDArray[Any]) -> AdaptiveFrontEnd:
    """Return the front end with one band transform, chosen as a tile's is, for the whole scene."""
    bands = tiles.shape[1]
    means = np.rint(tiles.mean(axis=(0, 2, 3))).astype(np.int32)
    away = tiles.astype(np.int32) - means[:, None, None]
    present = np.ones((len(tiles), *tiles.shape[2:]), np.bool_)
    covariance = bandtransform.measure(away, present).sum(axis=0)
    angles = bandtransform.choose(covariance[None])[0]
    return FixedBands(bands, angles=tuple(angles.tolist()))


@dataclass(frozen=True)
class Variant:
    """A codec made from the full one.

    Attributes:
        label: what is different.
        coder: model of all scenes.
        front_end: gives the front end of each scene, instead of the model's.
        scene_bytes: side information of a scene that the stream has no place for.
        by_octave: coders instead, by octave of the step; of those near the right one the better.
        trellis: choose indices along a trellis.
    """

    label: str
    coder: LappedModel
    front_end: ChooseFrontEnd | None = None
    scene_bytes: int = 0
    by_octave: tuple[LappedModel, ...] = ()
    trellis: bool = False

    def coders(self, image: NDArray[Any], budget: int) -> Sequence[LappedModel]:
        """Return the coders of which the better is to code an image in a budget of bytes."""
        if not self.by_octave:
            return [self.coder]
        present = np.ones((1, *image.shape[1:]), np.bool_)
        latents = PreparedTiles.of(self.coder, image[None], present).latents
        code = int((SizeGuess.of(self.coder.transform).bits(latents)[0] <= 8 * budget).argmax())
        first = min(max(code // SUB_STEPS - OCTAVES.start, 0), len(self.by_octave) - 2)
        return self.by_octave[first : first + 2]

    def bundle(self, full: Bundle, coder: LappedModel, image: NDArray[Any]) -> Bundle:
        """Return the bundle that codes an image, for memory alone: golden vectors are `full`'s.

        No compiled code stands for its model.
        """
        front_end = self.front_end(image[None]) if self.front_end else coder.front_end
        model = replace(coder, front_end=front_end)
        return replace(full, codec=replace(LappedCodec.of(full.codec), model=model, library=""))


def linear_decoder(path: Path, bundle: Bundle) -> Decoder:
    """Return a decoder of `bundle`'s streams without the network of the bundle at `path`."""
    return Decoder(path, linear=True).of(bundle)


def prepare(
    coder: LappedModel, training: Sequence[Tiles], front_end: ChooseFrontEnd
) -> list[PreparedTiles]:
    """Analyse training tiles, each scene with its front end."""
    found = []
    for tiles in training:
        present = np.ones((len(tiles), *tiles.shape[2:]), np.bool_)
        model = replace(coder, front_end=front_end(tiles))
        found.append(PreparedTiles.of(model, tiles, present))
    return [found[first].join(found[first + 1 : first + 8]) for first in range(0, len(found), 8)]


def variants(full: LappedModel, training: Sequence[Tiles]) -> Iterator[tuple[str, Variant]]:
    """Yield name and variant of each part of the codec, `full` (fitted again) first."""
    batches = prepare(full, training, lambda _: full.front_end)
    fitted = fit(full, batches, SEED)
    yield "full", Variant("full codec", fitted)
    yield "trellis", Variant("with indices chosen along a trellis", fitted, trellis=True)
    yield "shipped", Variant("its tables as shipped", full)
    angles = bandtransform.angle_count(full.front_end.bands)
    for name, label, front_end, scene_bytes in (
        ("bands_none", "no band transform", no_band_transform, 0),
        ("bands_scene", "one band transform a scene", scene_band_transform, angles),
    ):
        turned = _fit_plain(full, prepare(full, training, front_end))
        yield name, Variant(label, turned, front_end, scene_bytes)
    for name, label, kept in (
        ("contexts_same", "AC contexts: same place only", "same"),
        ("contexts_near", "AC contexts: neighbours only", "near"),
    ):
        yield name, Variant(label, _fit_plain(keep_context(full, batches, kept), batches))
    static = tuple(without_contexts(full, batches, octave) for octave in OCTAVES)
    label = "no AC contexts: a table a channel and octave"
    yield "contexts_none", Variant(label, full, scene_bytes=1, by_octave=static)
    one = start_tables((1,))
    alike = replace(full, tables=one, quantisation=fit_quantizer(one, full.quantisation.skip))
    yield "tables_one", Variant("one set of tables for all layers", _fit_plain(alike, batches))
    plain = fit(full, batches, SEED, decide=plain_rounding, quantizers=(PLAIN,))
    yield "rounding", Variant("no dead zone, codewords at centres", at_centres(plain))
    yield "dead_zone", Variant("no dead zone, learned codewords", plain)
    yield "codewords", Variant("dead zone, codewords at centres", at_centres(fitted))
    unskipped = replace(full, quantisation=replace(full.quantisation, skip=-1))
    yield "skip", Variant("every symbol coded, none skipped", _fit_plain(unskipped, batches))


def _fit_plain(coder: LappedModel, batches: Sequence[PreparedTiles]) -> LappedModel:
    return fit(coder, batches, SEED, quantizers=(PLAIN,))


def plain_rounding(tables: Tables, skip: int) -> Quantisation:
    """Return rounding to the nearest step, whatever it costs."""
    fitted = fit_quantizer(tables, skip)
    half = np.full_like(fitted.dead, _HALF)
    return replace(fitted, dead=half, rounding=half, ease=0)


def at_centres(coder: LappedModel) -> LappedModel:
    """Return the codec whose symbols stand for whole steps."""
    return replace(
        coder, quantisation=replace(coder.quantisation, codewords=point_codewords(coder.tables))
    )


def keep_context(coder: LappedModel, batches: Sequence[PreparedTiles], kept: str) -> LappedModel:
    """Take the AC contexts away but one, 'same' or 'near'; the DC keeps its own.

    What is left is scaled so that each channel's mean level stays.
    """
    weights = coder.weights
    changed: dict[str, Any] = {name: 0 * getattr(weights, name) for name in _AC if name != kept}
    alone = _with_weights(coder, changed)
    lost = mean_levels(coder, batches) - mean_levels(alone, batches)
    for name in (kept, "bias"):
        scaled = np.rint(getattr(weights, name) * 2 ** (lost / 4))
        changed[name] = np.clip(scaled, 0, 65_535).astype(np.uint16)
    return _with_weights(coder, changed)


def _with_weights(coder: LappedModel, changed: dict[str, Any]) -> LappedModel:
    """Return the codec with some of the weights of its contexts changed."""
    return replace(coder, contexts=ContextModel(replace(coder.weights, **changed), coder.bands))


def without_contexts(
    coder: LappedModel, batches: Sequence[PreparedTiles], octave: int
) -> LappedModel:
    """Give each AC channel one level for good, its mean at steps of an octave; none is skipped."""

    def draw(batch: PreparedTiles, rng: np.random.Generator) -> NDArray[np.int64]:
        return SUB_STEPS * octave + rng.integers(0, SUB_STEPS, len(batch.means))

    means = mean_levels(coder, batches, draw)
    bias = np.array([round(256 * level_scale(round(level))) for level in means], np.uint16)
    changed: dict[str, Any] = {name: 0 * getattr(coder.weights, name) for name in _AC}
    quantizer = replace(coder.quantisation, skip=-1)
    static = replace(_with_weights(coder, {**changed, "bias": bias}), quantisation=quantizer)
    return fit(static, batches, SEED, rounds=2, draw=draw, quantizers=(PLAIN,))


def mean_levels(
    coder: LappedModel, batches: Sequence[PreparedTiles], draw: Draw = draw_codes
) -> NDArray[np.float64]:
    """Return the mean level of each AC channel over training tiles, at steps drawn for them."""
    rng = np.random.default_rng(SEED)
    model: ContextModel = coder.contexts
    sums, count = np.zeros(model.cuts[-1]), 0
    scanner = Scanner(coder, DeadZone.of(coder))
    for batch in batches:
        codes = np.maximum(draw(batch, rng), batch.finest(coder))
        for number, layer in enumerate(scanner.scan(batch.latents, codes), 1):
            if number > LATTICES:
                sums[model.channels_of(number)] += levels(layer.sums).sum(axis=(0, 1))
        count += layer.sums.shape[0] * layer.sums.shape[1]
    mean: NDArray[np.float64] = sums[model.bands :] / count
    return mean
