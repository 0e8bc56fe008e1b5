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
from onboard.codec.tile import ALL_VALID, DEPENDENT

GOLDEN_SEEDS = (1, 2, 3, 4)
GOLDEN_STEPS = (40, 80, 112, 144)
GOLDEN_STATES = (ALL_VALID, DEPENDENT | ALL_VALID) * 2


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
        "bands": model.front_end.bands,
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
    transform = model.front_end.bands * model.transform.macs_per_sample
    return transform + -(-model.contexts.macs_per_position // BLOCK**2)


def _golden(model: LappedModel, tile: int) -> list[GoldenTile]:
    """Code procedural tiles."""
    bands = model.front_end.bands
    coder, tiles = LappedCodec(model, tile).open(), []
    for seed, step, state in zip(GOLDEN_SEEDS, GOLDEN_STEPS, GOLDEN_STATES, strict=True):
        samples = procedural(seed, tile, tile, bands, nodata=False).image.astype(np.uint16)
        tiles.append(coder.whole_body(samples, step, state))
    return tiles
