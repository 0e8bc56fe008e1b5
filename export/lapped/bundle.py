"""Bundle of a lapped codec: integers, graphs and golden vectors in one file."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.lapped.graph import transform_onnx, transform_tflite
from ground.scenes.procedural import procedural
from onboard.bundle import Bundle
from onboard.bundle.bundle import GoldenBody, pack_golden_bodies
from onboard.codec.lapped import part as lappedpart
from onboard.codec.lapped.coder import LappedCoder
from onboard.codec.lapped.context import BLOCK
from onboard.codec.tile import ALL_VALID, DEPENDENT, Chosen

GOLDEN_SEEDS = (1, 2, 3, 4)
GOLDEN_CODES = (40, 80, 112, 144)
GOLDEN_STATES = (ALL_VALID, DEPENDENT | ALL_VALID) * 2
_ROOM = 65_535


def make_lapped_bundle(
    name: str, coder: LappedCoder, tile: int, error_permille: int, made_by: Mapping[str, Any]
) -> Bundle:
    """Return the flight bundle, golden vectors included.

    Args:
        name: of the bundle.
        coder: all integers of the codec.
        tile: rows and columns of a tile.
        error_permille: squared error on the ground over that of the rounding on board.
        made_by: what to say under `ground` in the manifest.
    """
    part = lappedpart.pack(coder)
    wire = {
        "bands": coder.front_end.bands,
        "tile": tile,
        "front_end": {"kind": "adaptive"},
        "coder": lappedpart.wire_entry(coder),
        "lapped_sha256": hashlib.sha256(part).hexdigest(),
    }
    parts = {
        "encoder.onnx": transform_onnx(coder.transform.analysis),
        "encoder.tflite": transform_tflite(coder.transform.analysis, tile),
        "lapped": part,
        "golden": pack_golden_bodies(_golden(coder, tile)),
    }
    encoder = {"macs_per_pixel": macs_per_pixel(coder), "error_permille": error_permille}
    return Bundle.assemble(name, wire, parts, encoder, made_by)


def macs_per_pixel(coder: LappedCoder) -> int:
    """Return multiply-accumulates per pixel of all bands: transform and context model."""
    transform = coder.front_end.bands * coder.transform.macs_per_sample
    return transform + -(-coder.contexts.macs_per_position // BLOCK**2)


def _golden(coder: LappedCoder, tile: int) -> list[GoldenBody]:
    """Code procedural tiles."""
    bands = coder.front_end.bands
    vectors = []
    for seed, code, state in zip(GOLDEN_SEEDS, GOLDEN_CODES, GOLDEN_STATES, strict=True):
        samples = procedural(seed, tile, tile, bands, nodata=False).image.astype(np.uint16)
        prepared = coder.prepare(samples[None], np.ones((1, tile, tile), np.bool_))
        codes = np.maximum(np.array([code]), coder.finest(prepared))
        ((_, _, body),) = coder.code([Chosen(prepared, codes, [state], _ROOM)])[0][0]
        vectors.append(GoldenBody(samples, int(codes[0]), body))
    return vectors
