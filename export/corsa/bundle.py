"""Bundle: from a checkpoint to the files that fly and decode."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from export.corsa.graph import decoder_onnx, macs_per_pixel, walk
from export.corsa.quantise import QuantisedEncoder, encoder_onnx
from export.corsa.tflite import encoder_tflite
from ground.scenes.folders import Item
from ground.scenes.procedural import procedural
from ground.train.corsa.model import VqvaeFpn
from ground.train.corsa.recipe import Recipe
from ground.train.corsa.tiles import TileSet
from onboard.bundle import Bundle
from onboard.codec.corsa.codebook import CODEWORD_LIMIT, Codebook
from onboard.codec.corsa.codec import CorsaCodec
from onboard.codec.corsa.golden import GoldenVector, pack_golden
from onboard.codec.corsa.quantizer import PREDICTION_SHIFT, UNITS_PER_LATENT, Level, pack_levels

CALIBRATION_TILES = 96
GOLDEN_SEEDS = (1, 2)


def calibration_samples(items: Sequence[Item], recipe: Recipe) -> NDArray[np.int8]:
    """Return int8 tiles (n, bands, tile, tile), spread evenly over the scenes."""
    samples = TileSet.read(items, recipe).samples
    chosen = np.linspace(0, len(samples) - 1, min(CALIBRATION_TILES, len(samples)))
    return samples[chosen.astype(np.int64)]


def quantised_levels(model: VqvaeFpn, latent_scales: Sequence[float]) -> tuple[Level, ...]:
    """Return the levels, coarse to fine, with codebooks and predictions in integers.

    Args:
        model: trained network.
        latent_scales: worth of one int8 unit of each level's latents, coarse to fine.
    """
    levels = []
    for number, scale in enumerate(latent_scales):
        level = model.shape.levels - 1 - number
        width = (model.shape.codewords[level] - 1).bit_length()
        codewords = model.quantizer(level).table()
        in_units = np.rint(codewords.numpy() * UNITS_PER_LATENT / scale)
        codebook = np.clip(in_units, -CODEWORD_LIMIT, CODEWORD_LIMIT).astype(np.int16)
        prediction = None
        if number:
            weight = model.predictions[level].weight
            assert isinstance(weight, torch.Tensor)
            factor = latent_scales[number - 1] / scale * (1 << PREDICTION_SHIFT)
            matrix = weight.detach().permute(2, 3, 1, 0).numpy() * factor
            prediction = np.rint(matrix).astype(np.int16)
        levels.append(Level(2 ** (level + 1), width, Codebook(codebook), prediction))
    return tuple(levels)


def make_bundle(
    name: str,
    recipe: Recipe,
    model: VqvaeFpn,
    encoder: QuantisedEncoder,
    made_by: Mapping[str, Any],
) -> Bundle:
    """Return the flight bundle, golden vectors included.

    Args:
        name: name of the bundle.
        recipe: recipe of the checkpoint.
        model: trained network.
        encoder: encoder of that network, quantised.
        made_by: what to say under `ground` in the manifest.
    """
    levels = quantised_levels(model, encoder.latent_scales)
    entries, codebooks = pack_levels(levels)
    wire = {
        "bands": recipe.bands,
        "tile": recipe.tile,
        "front_end": {"kind": "affine", "target_rms": recipe.target_rms},
        "coder": {"kind": "fixed"},
        "levels": entries,
    }
    parts = {
        "encoder.onnx": encoder_onnx(encoder),
        "encoder.tflite": encoder_tflite(encoder),
        "codebooks": codebooks,
        "golden": pack_golden([], []),
    }
    encoder_entry = {"macs_per_pixel": macs_per_pixel(walk(model.encoder))}
    bundle = Bundle.assemble(name, wire, parts, encoder_entry, made_by)
    parts["golden"] = pack_golden(_golden(bundle), [level.width for level in levels])
    return Bundle.assemble(name, wire, parts, encoder_entry, made_by)


def _golden(bundle: Bundle) -> list[GoldenVector]:
    """Encode procedural tiles with the reference engine."""
    encoder = CorsaCodec.of(bundle.codec).open("ort")
    size = bundle.tile
    present = np.ones((size, size), np.bool_)
    vectors = []
    for seed in GOLDEN_SEEDS:
        samples = procedural(seed, size, size, bundle.bands, nodata=False).image.astype(np.uint16)
        found = encoder.index_maps(samples, present, size, size)
        vectors.append(GoldenVector(samples, tuple(found.maps)))
    return vectors


def make_decoder(model: VqvaeFpn, bundle: Bundle, encoder: QuantisedEncoder, half: bool) -> bytes:
    """Return decoder.onnx; its metadata name the model and how far a loss reaches, in pixels."""
    scales = [scale / UNITS_PER_LATENT for scale in encoder.latent_scales]
    packed = decoder_onnx(model, scales, bundle.model_hash.hex(), half)
    program = onnx.load_from_string(packed)
    radius = program.metadata_props.add()
    radius.key, radius.value = "radius", str(receptive_radius(model))
    return bytes(program.SerializeToString(deterministic=True))


def receptive_radius(model: VqvaeFpn) -> int:
    """Return how many pixels beyond a finest-level position a codeword can change a sample.

    Each 3x3 convolution reaches one position of two pixels further, the 4x4 transposed convolution
    one pixel.
    """
    convolutions = 1 + 2 * model.shape.decoder_blocks
    return 2 * convolutions + 1
