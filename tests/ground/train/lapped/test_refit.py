"""Refit of a bundle to a camera: what is fitted, what stays, what comes of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ground.decode.decoder import Decoder
from ground.scene import Scene
from ground.scenes.camera import Camera
from ground.scenes.procedural import procedural
from ground.train.lapped import trial
from ground.train.lapped.contexts import TiedContexts, fitted_contexts, started
from ground.train.lapped.fit import integer_contexts
from ground.train.lapped.refit import bundle_of, fitted
from onboard.bundle import Bundle, find, load
from onboard.bundle.selftest import golden_agreement
from onboard.codec.lapped import part
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.context import FREQUENCIES, LATTICES
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.kinds import PLAIN, QUANTIZERS
from onboard.codec.lapped.scan import Scanner
from onboard.errors import BundleError, InputError


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load("skybook")


def smooth(seed: int, rows: int = 128, cols: int = 256) -> Scene:
    """Return a thermal image blurred by its optics."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols))
    frequency[0, 0] = 1
    response = frequency**-1.5 * np.exp(-80 * frequency**2)
    plane = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((rows, cols))) * response, (rows, cols))
    return Scene(np.rint(30_000 + 300 * plane / plane.std())[None].astype(np.uint16))


def prepared(bundle: Bundle, scene: Scene) -> tuple[LappedModel, PreparedTiles]:
    """Return the model for a scene and its tiles, analysed."""
    camera = Camera.of(scene)
    codec = LappedCodec.of(bundle.for_scene(camera.bands, camera.bits).codec)
    n = codec.tile
    image = scene.image[:, :n, : 2 * n]
    tiles = image.reshape(camera.bands, n, 2, n).transpose(2, 0, 1, 3)
    return codec.model, PreparedTiles.of(codec.model, tiles, np.ones((2, n, n), np.bool_))


def test_weights_to_train_round_to_those_of_the_bundle(bundle: Bundle) -> None:
    weights = LappedCodec.of(bundle.codec).model.weights
    back = integer_contexts(started(weights)).by_class
    assert back.cuts == weights.cuts
    for name in ("order", "same", "near", "slope", "bias", "dc", "dc_bias"):
        np.testing.assert_array_equal(getattr(back, name), getattr(weights, name), name)


@pytest.mark.parametrize("bands", [1, 3, 6])
def test_what_is_trained_foretells_what_the_coder_does(bundle: Bundle, bands: int) -> None:
    model, tiles = prepared(bundle, procedural(3, 128, 256, bands, nodata=False))
    scanner = Scanner(model, QUANTIZERS[PLAIN](model))
    layers = list(scanner.scan(tiles.latents, np.full(2, 112, np.int64)))
    count, rows, cols = tiles.latents.shape
    symbols = np.zeros((count, rows * cols, bands * FREQUENCIES), np.float32)
    expected = np.full(symbols.shape, np.nan)
    row, col = np.indices((rows, cols)).reshape(2, -1)
    lattice = np.where(row % 2 == col % 2, row % 2, 2)
    for number, layer in enumerate(layers, 1):
        places = model.contexts.order[model.contexts.channels_of(number)]
        where = lattice == number - 1 if number <= LATTICES else np.ones(rows * cols, np.bool_)
        at = np.ix_(np.arange(count), np.flatnonzero(where), places)
        symbols[at] = layer.values + (layer.mean if number <= LATTICES else 0)
        if number > 1:
            expected[at] = layer.sums / 256
    shape = (count, rows, cols, -1)
    tied = TiedContexts(started(model.weights, 1e-9), bands)
    with torch.no_grad():
        seen = torch.from_numpy(symbols.reshape(shape).transpose(0, 3, 1, 2).copy())
        scale = tied(seen)[0].numpy().transpose(0, 2, 3, 1)
    known = ~np.isnan(expected.reshape(shape)) & (scale > 0.021) & (scale < 299)
    assert known.mean() > 0.5
    np.testing.assert_allclose(scale[known], expected.reshape(shape)[known], rtol=1e-3)


def test_contexts_that_do_no_better_on_unseen_tiles_stay(bundle: Bundle) -> None:
    model, tiles = prepared(bundle, smooth(1))
    assert fitted_contexts(model, [tiles], [tiles], 1, steps=0) is model.weights
    noise = replace(smooth(1), image=np.random.default_rng(1).permuted(smooth(1).image, axis=2))
    other = prepared(bundle, noise)[1]
    assert fitted_contexts(model, [other], [tiles], 1, steps=20) is model.weights


def test_a_camera_unlike_those_trained_on_gains_by_tables_and_more_by_contexts(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Camera(1, 16)
    scenes = [smooth(seed) for seed in (1, 2, 3)]
    monkeypatch.setattr(trial, "BITS", (0.7, 2.1))
    decoder, changes = Decoder(find("skybook"), linear=True), []
    for steps in (0, 60):
        model = fitted(bundle, camera, scenes, steps)
        new = bundle_of(model, bundle, "mine", {"images": 3})
        changes.append(trial.try_on([smooth(4)], bundle, new, decoder).change)
    assert changes[1] < changes[0] < 0


def test_one_seed_gives_one_model(bundle: Bundle) -> None:
    found = [
        part.pack(fitted(bundle, Camera(1, 16), [smooth(1)], steps, seed))
        for steps, seed in ((0, 1), (0, 1), (0, 2), (20, 1), (20, 1))
    ]
    assert found[0] == found[1] != found[2]
    assert found[3] == found[4]


def test_a_refitted_bundle_is_whole_and_another_model(bundle: Bundle) -> None:
    model = fitted(bundle, Camera(1, 16), [smooth(1)])
    new = Bundle.unpack(bundle_of(model, bundle, "mine", {}).pack())
    assert (new.name, new.codec.bands, new.tile) == ("mine", bundle.codec.bands, bundle.tile)
    assert new.model_hash != bundle.model_hash
    agree, total, _ = golden_agreement(new.codec, "numpy")
    assert agree == total
    changed = replace(model.transform, analysis=model.transform.analysis[::-1])
    with pytest.raises(BundleError, match="transform"):
        bundle_of(replace(model, transform=changed), bundle, "mine", {})


def test_cubes_are_fitted_group_by_group(bundle: Bundle) -> None:
    model = fitted(bundle, Camera(35, 16), [procedural(3, 64, 128, 35, nodata=False)])
    old = LappedCodec.of(bundle.codec).model
    assert not np.array_equal(model.tables.frequencies, old.tables.frequencies)
    assert model.bands == old.bands


def test_images_without_data_are_refused(bundle: Bundle) -> None:
    empty = Scene(np.zeros((1, 128, 128), np.uint16), nodata=0)
    with pytest.raises(InputError, match="expected tiles of 128 x 128 pixels with data"):
        fitted(bundle, Camera(1, 16), [empty])
