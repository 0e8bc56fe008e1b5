"""Bundle of a lapped codec: integers, graphs and golden vectors in one file."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.lapped.graph import transform_onnx, transform_tflite
from ground.scenes.procedural import procedural
from onboard.bundle import Bundle
from onboard.codec.lapped import part as lappedpart
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.context import BLOCK
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.part import GoldenTile
from onboard.codec.tile import DEPENDENT, SIGN_HIDING

_GOLDEN = (
    (4, 16, 40, SIGN_HIDING),
    (4, 16, 80, DEPENDENT),
    (4, 16, 112, SIGN_HIDING),
    (4, 16, 144, DEPENDENT),
    (1, 12, 120, SIGN_HIDING),
    (3, 8, 110, DEPENDENT),
    (8, 16, 102, SIGN_HIDING),
    (16, 16, 118, DEPENDENT),
)
"""Bands, significant bits, step code and state of golden vectors."""


def make_lapped_bundle(
    name: str, model: LappedModel, tile: int, error_permille: int, made_by: Mapping[str, Any]
) -> Bundle:
    """Return the flight bundle, golden vectors included.

    Args:
        name: name of the bundle.
        model: all integers of the codec.
        tile: rows and columns of a tile.
        error_permille: squared error on the ground over that of the rounding on board.
        made_by: what to say under `ground` in the manifest.
    """
    part = lappedpart.pack(model)
    wire = {
        "classes": model.weights.classes,
        "tile": tile,
        "front_end": {"kind": "adaptive"},
        "coder": lappedpart.wire_entry(model),
        "lapped_sha256": hashlib.sha256(part).hexdigest(),
    }
    parts = {
        "encoder.onnx": transform_onnx(model.transform.analysis),
        "encoder.tflite": transform_tflite(model.transform.analysis, tile),
        "lapped": part,
        "golden": lappedpart.pack_golden(_golden(model, tile)),
    }
    encoder = {"macs_per_pixel": macs_per_pixel(model), "error_permille": error_permille}
    return Bundle.assemble(name, wire, parts, encoder, made_by)


def macs_per_pixel(model: LappedModel) -> int:
    """Return multiply-accumulates per pixel of all bands: transform and context model."""
    transform = model.bands * model.transform.macs_per_sample
    return transform + -(-model.contexts.macs_per_position // BLOCK**2)


def _golden(model: LappedModel, tile: int) -> list[GoldenTile]:
    """Code procedural tiles."""
    codec, tiles = LappedCodec(model, tile), []
    for seed, (bands, bits, step, state) in enumerate(_GOLDEN, 1):
        of_scene = codec.for_scene(bands, bits)
        side = of_scene.tile
        image = procedural(seed, side, side, bands, nodata=False).image
        samples = np.minimum(image, (1 << 14) - 1) >> max(14 - bits, 0)
        tiles.append(of_scene.open_planes().whole_body(samples.astype(np.uint16), step, state))
    return tiles
