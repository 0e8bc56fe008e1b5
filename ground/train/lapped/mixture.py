"""Tables of a bundle, fitted to what several cameras see."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ground.scenes.camera import Camera
from ground.scenes.folders import Item, read_item
from ground.train.lapped.fit import draw_codes
from ground.train.lapped.refit import SAMPLES_AT_ONCE, bundle_of, refitted, write_bundle
from ground.train.recipe import TomlRecipe
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.errors import InputError
from onboard.image.nodata import has_data

Tiles = NDArray[np.uint16]
_USUAL_BANDS = 4
_MANY_BANDS = 10
_SMALL, _LARGE = 64, 128
"""Sides of tiles."""
_WORD, _BYTE = 16, 8
"""Bits of a sample."""
_EIGHT_BIT = 4
"""Bits that are taken off samples so that some tiles are like those of 8-bit cameras."""
_COLOURS = [2, 1, 0]


@dataclass(frozen=True)
class TablesRecipe(TomlRecipe):
    """All that decides a fit, as a TOML file holds it (recipes/skybook-tables.toml)."""

    kind: str
    name: str
    bundle: str
    tiles: int
    colour_share: float
    one_band_share: float
    many_bands_share: float
    finest_octave: float
    coarsest_octave: float
    other_steps_share: float
    rounds: int
    seen_before: float
    seed: int

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Least and most of entries."""
        shares = ("colour_share", "one_band_share", "many_bands_share")
        return dict.fromkeys(shares, (0, 100)) | {
            "tiles": (1, 1 << 20),
            "finest_octave": (-20, 20),
            "coarsest_octave": (-20, 20),
            "other_steps_share": (0, 1),
            "rounds": (1, 1000),
            "seen_before": (1e-3, 1e9),
            "seed": (0, 1 << 32),
        }


@dataclass(frozen=True)
class Sight:
    """What one camera sees.

    Attributes:
        bits: significant bits of a sample.
        tiles: (tiles, bands, side, side).
    """

    bits: int
    tiles: Tiles


def train(
    recipe: TablesRecipe,
    items: Sequence[Item],
    output: Path,
    tell: Callable[[str], None] = lambda _text: None,
) -> Path:
    """Fit the tables of a bundle to tiles of scenes; return the path of the bundle.

    Its decoder lies beside it: the same network under the new model's name.

    Raises:
        InputError: no scene of four bands has a tile with data.
    """
    path = bundles.find(recipe.bundle)
    old = bundles.load(recipe.bundle)
    model, batches = LappedCodec.of(old.codec).model, []
    for sight in sights(recipe, items):
        count, bands, side, _ = sight.tiles.shape
        tell(f"{count} tiles of {side} x {side} pixels: {Camera(bands, sight.bits)}")
        batches += _analysed(old, sight)

    def report(number: int, rounds: int) -> None:
        tell(f"round {number} of {rounds}")

    octaves = recipe.finest_octave, recipe.coarsest_octave
    draw = partial(draw_codes, octaves=octaves, other_share=recipe.other_steps_share)
    rounds, before = recipe.rounds, recipe.seen_before
    model = refitted(model, batches, recipe.seed, before, rounds, draw, report)
    new = bundle_of(model, old, recipe.name, old.manifest["ground"])
    output.mkdir(parents=True, exist_ok=True)
    found = output / f"{recipe.name}.skyb"
    write_bundle(found, new, path, old)
    return found


def sights(recipe: TablesRecipe, items: Sequence[Item]) -> Iterator[Sight]:
    """Return what to fit to: scenes of four bands in tiles of both sizes, and as others see them.

    Others see colours of 16 and of 8 bits, or one band; where there are scenes of ten bands and
    more these are seen, too, whole, by their middle ten bands and by six.

    Raises:
        InputError: no scene of four bands has a tile with data.
    """
    rng = np.random.default_rng(recipe.seed)
    usual, large, many = _cut(items)
    if not usual:
        raise InputError(
            f"training: no scene of {_USUAL_BANDS} bands has a tile of {_SMALL} x {_SMALL} pixels "
            "without nodata"
        )

    def drawn(found: Sequence[Tiles], share: float) -> Tiles:
        of_tile = found[0].size / (_USUAL_BANDS * _SMALL * _SMALL)
        count = max(1, int(share * recipe.tiles / of_tile))
        return np.stack([found[n] for n in rng.permutation(len(found))[:count]])

    yield Sight(_WORD, drawn(usual, 1.0))
    if large:
        yield Sight(_WORD, drawn(large, 1.0))
        for bits in (_WORD, _BYTE):
            colours = drawn([tile[_COLOURS] for tile in large], recipe.colour_share)
            seen = colours if bits == _WORD else np.minimum(colours >> _EIGHT_BIT, 255)
            yield Sight(bits, seen.astype(np.uint16))
        band = int(rng.integers(_USUAL_BANDS))
        yield Sight(_WORD, drawn([tile[band : band + 1] for tile in large], recipe.one_band_share))
    for wanted, share in ((None, 1.0), (10, 1 / 2), (6, 1 / 3)):
        if many:
            some = [tile if wanted is None else _middle(tile, wanted) for tile in many]
            yield Sight(_WORD, drawn(some, share * recipe.many_bands_share))


def _middle(tile: Tiles, bands: int) -> Tiles:
    first = (len(tile) - bands) // 2
    return tile[first : first + bands]


def _cut(items: Sequence[Item]) -> tuple[list[Tiles], list[Tiles], list[Tiles]]:
    """Return small and large tiles of scenes of four bands, and small ones of many, with data."""
    usual: list[Tiles] = []
    large: list[Tiles] = []
    many: list[Tiles] = []
    most = 0
    for item in items:
        scene = read_item(item)
        image = np.clip(scene.image, 0, None).astype(np.uint16)
        present = has_data(scene.image, scene.nodata) & (image != 0).any(axis=0)
        if len(image) == _USUAL_BANDS:
            usual += _whole(image, present, _SMALL)
            large += _whole(image, present, _LARGE)
        elif len(image) >= _MANY_BANDS and most in (0, len(image)):
            most = len(image)
            many += _whole(image, present, _SMALL)
    return usual, large, many


def _whole(image: Tiles, present: NDArray[np.bool_], side: int) -> list[Tiles]:
    """Return the tiles of an image all of whose pixels are there."""
    if min(present.shape) < side:
        return []
    of_image = sliding_window_view(image, (side, side), (1, 2))[:, ::side, ::side]
    kept = sliding_window_view(present, (side, side))[::side, ::side].all(axis=(2, 3))
    return [of_image[:, row, col] for row, col in np.argwhere(kept)]


def _analysed(bundle: Bundle, sight: Sight) -> list[PreparedTiles]:
    """Return tiles in batches, analysed as those of their camera are."""
    codec: Any = bundle.for_scene(sight.tiles.shape[1], sight.bits).codec
    model = LappedCodec.of(codec).model
    count = -(-sight.tiles.size // SAMPLES_AT_ONCE)
    return [
        PreparedTiles.of(model, some, np.ones((len(some), *some.shape[2:]), np.bool_))
        for some in np.array_split(sight.tiles, min(count, len(sight.tiles)))
    ]
