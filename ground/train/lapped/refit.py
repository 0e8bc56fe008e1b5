"""Refit: the tables of a bundle, and its contexts, for the images of one camera."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ground.decode.decoder import find_decoder
from ground.decode.graphs.graph import for_model
from ground.scene import Scene
from ground.scenes.camera import Camera
from ground.train.lapped import fit as lappedfit
from onboard.bundle import Bundle
from onboard.codec.lapped import part
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.rans import TOTAL
from onboard.codec.tile import DEPENDENT, SIGN_HIDING
from onboard.errors import BundleError, InputError
from onboard.outputs import open_whole

MOST_SAMPLES = 1 << 23
"""That are fitted to; of more a draw."""
SAMPLES_AT_ONCE = 1 << 20
_SEEN_BEFORE = 2_000.0
"""Symbols of each table that its old frequencies count as."""
_LEAST_VALID = 0.5
CONTEXT_STEPS = 300
"""That are enough: a camera has few images, and most is learnt early."""


def fitted(
    bundle: Bundle,
    camera: Camera,
    scenes: Sequence[Scene],
    context_steps: int = 0,
    seed: int = 1,
    report: Callable[[int, int], None] = lambda _step, _of: None,
) -> LappedModel:
    """Return the model of a bundle, by its classes, with tables fitted to scenes.

    Args:
        bundle: bundle to start from.
        camera: camera that all scenes are of.
        scenes: scenes to fit to.
        context_steps: steps that train the weights of the context model further, before tables
            are fitted; with any, torch is needed.
        seed: seed of all that is drawn.
        report: called after each step of the contexts with its number and how many there are.

    Raises:
        InputError: not one tile has enough valid pixels.
    """
    generic = LappedCodec.of(bundle.codec)
    view = LappedCodec.of(bundle.for_scene(camera.bands, camera.bits).codec)
    model, whole = view.model, generic.model
    batches = _batches(model, scenes, view.tile, np.random.default_rng(seed))
    if context_steps:
        from ground.train.lapped.contexts import fitted_contexts  # noqa: PLC0415 (torch)

        training, unseen = _parted(batches)
        weights = fitted_contexts(model, training, unseen, seed, context_steps, report)
        model = replace(model, contexts=replace(model.contexts, by_class=weights))
        whole = replace(whole, contexts=replace(whole.contexts, by_class=weights))
    found = refitted(model, batches, seed)
    return replace(whole, tables=found.tables, quantisation=found.quantisation)


def refitted(
    model: LappedModel,
    batches: Sequence[PreparedTiles],
    seed: int,
    seen_before: float = _SEEN_BEFORE,
    rounds: int = lappedfit.ROUNDS,
    draw: lappedfit.Draw = lappedfit.draw_codes,
    report: Callable[[int, int], None] = lambda _round, _of: None,
) -> LappedModel:
    """Return a model whose tables, dead zones and codewords are fitted anew.

    Args:
        model: model to start from.
        batches: tiles to fit to, each batch of any number of bands.
        seed: seed of the steps that they are coded at.
        seen_before: symbols of each table that its old frequencies count as.
        rounds: rounds of fitting, each to what is sent with the tables of the last one.
        draw: function that gives the step codes that a batch is coded at.
        report: called after each round with its number and how many there are.
    """
    before = model.tables.frequencies.astype(np.float64) * (seen_before / TOTAL)
    return lappedfit.fit(model, batches, seed, rounds, draw=draw, before=before, report=report)


def bundle_of(model: LappedModel, bundle: Bundle, name: str, ground: Mapping[str, Any]) -> Bundle:
    """Return a bundle with another model, its golden vectors coded again.

    Args:
        model: model by classes, its transform that of the bundle.
        bundle: bundle that all else is of.
        name: name of the new bundle.
        ground: what to say of how it was made.

    Raises:
        BundleError: the transform is another.
    """
    old = LappedCodec.of(bundle.codec)
    if not np.array_equal(model.transform.analysis, old.model.transform.analysis):
        raise BundleError("refit: expected the transform of the bundle, found another")
    packed = part.pack(model)
    tiles = [replace(tile, body=bytes([_state(tile.body[0])])) for tile in old.golden]
    again = part.pack_golden(replace(old, model=model).open_planes("numpy").coded_anew(tiles))
    parts = {**bundle.parts, "lapped": packed, "golden": again}
    sha256 = hashlib.sha256(packed).hexdigest()
    wire = {**bundle.manifest["wire"], "coder": part.wire_entry(model), "lapped_sha256": sha256}
    return Bundle.assemble(name, wire, parts, bundle.manifest["encoder"], ground)


def write_bundle(path: Path, new: Bundle, old_path: Path, old: Bundle) -> None:
    """Write a refitted bundle, and beside it the decoder of the old one, if that has one.

    Args:
        path: NAME.skyb; its decoder is NAME.onnx, the same network under the new model's name.
        new: the bundle.
        old_path: where the old one lies.
        old: the old one.
    """
    with open_whole(path) as file:
        file.write(new.pack())
    try:
        graph = find_decoder(old, old_path).read_bytes()
    except BundleError:
        return
    with open_whole(path.with_suffix(".onnx")) as file:
        file.write(for_model(graph, old.model_hash.hex(), new.model_hash.hex()))


def _state(state: int) -> int:
    """Return the state that a golden tile gets: plain ones hide signs."""
    return state if state & DEPENDENT else state | SIGN_HIDING


def _batches(
    model: LappedModel, scenes: Iterable[Scene], side: int, rng: np.random.Generator
) -> list[PreparedTiles]:
    """Return the tiles of scenes, analysed; a draw of them where there are too many.

    Of more bands than a model has, each whole group of bands is a tile of its own.
    """
    cut = [_cut(scene, side) for scene in scenes]
    tiles, present = (np.concatenate(part) for part in zip(*cut, strict=True))
    if not len(tiles):
        raise InputError(f"fit: expected tiles of {side} x {side} pixels with data, found none")
    groups = tiles.shape[1] // model.bands
    tiles = tiles[:, : groups * model.bands].reshape(-1, model.bands, side, side)
    present = np.repeat(present, groups, axis=0)
    of_tile = tiles[0].size
    chosen = rng.permutation(len(tiles))[: max(1, MOST_SAMPLES // of_tile)]
    count = -(-len(chosen) * of_tile // SAMPLES_AT_ONCE)
    return [
        PreparedTiles.of(model, tiles[some], present[some])
        for some in np.array_split(chosen, min(count, len(chosen)))
    ]


def _parted(
    batches: Sequence[PreparedTiles],
) -> tuple[list[PreparedTiles], list[PreparedTiles]]:
    """Return batches in two parts: most tiles of each, and every fifth, or one of fewer."""
    parts: tuple[list[PreparedTiles], list[PreparedTiles]] = ([], [])
    for batch in batches:
        fifth = np.arange(len(batch.means)) % 5 == min(4, len(batch.means) - 1)
        for part_, chosen in zip(parts, (~fifth, fifth), strict=True):
            if chosen.any():
                part_.append(batch.take(np.flatnonzero(chosen)))
    if not parts[0]:
        raise InputError("fit: expected at least 2 tiles for contexts; fit tables alone")
    return parts


def _cut(scene: Scene, side: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the tiles of a scene that are mostly valid, and which pixels of each are.

    A scene smaller than a tile is continued symmetrically.
    """
    margin = [(0, max(side - length, 0)) for length in scene.image.shape[1:]]
    image = np.pad(scene.image, ((0, 0), *margin), "symmetric")
    valid = np.pad(scene.valid, margin, "symmetric")
    of_image = sliding_window_view(image, (side, side), (1, 2))[:, ::side, ::side]
    of_valid = sliding_window_view(valid, (side, side))[::side, ::side].reshape(-1, side, side)
    tiles = of_image.transpose(1, 2, 0, 3, 4).reshape(-1, len(image), side, side)
    kept = of_valid.mean(axis=(1, 2)) >= _LEAST_VALID
    return tiles[kept], of_valid[kept]
