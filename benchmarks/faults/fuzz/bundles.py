"""Bundles small enough to be fuzzed: one of fixed-length indices, one of entropy-coded symbols.

Nobody trained them; their numbers only make every branch of the parsers reachable in a few bytes.
"""

from functools import cache
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from onboard.bundle import Bundle, load
from onboard.codec import rans
from onboard.codec.bounded.codec import BoundedCodec
from onboard.codec.bounded.read.tiles import TileReader
from onboard.codec.corsa.codebook import Codebook
from onboard.codec.corsa.golden import GoldenVector
from onboard.codec.corsa.golden import pack_golden as pack_golden_vectors
from onboard.codec.corsa.quantizer import Level, pack_levels
from onboard.codec.lapped import part as lappedpart
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.context import (
    BLOCK,
    FREQUENCIES,
    LATTICES,
    LEVELS,
    ContextModel,
    ContextWeights,
)
from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.part import GoldenTile
from onboard.codec.lapped.quantizers.quantisation import Quantisation
from onboard.codec.lapped.tables import ESCAPE, LARGEST, SYMBOLS, Tables, rows_of
from onboard.codec.lapped.transform import SUB_STEPS, LappedTransform
from onboard.codec.profile import SHIFT as PROFILE_SHIFT
from onboard.codec.profile import Profile
from onboard.codec.tile import ALL_VALID

BANDS = 2
PROFILE_BANDS = 17
TILE = 16
_CUTS = (2, 128)
_CODED_AC = 6
"""Channels: no fewer than symbols of high levels by which a run hides a sign."""
_SKIP = 20
_GRAPHS = {"encoder.onnx": b"", "encoder.tflite": b""}
_LEVELS = ((8, 8, 200, 2), (4, 10, 24, 2), (2, 3, 5, 1))
"""Reduction, index width, codewords and dimensions, coarse to fine."""
LEVEL_WIDTHS = tuple(width for _, width, _, _ in _LEVELS)


@cache
def profile(bands: int = PROFILE_BANDS, seed: int = 3) -> Profile:
    """Return a spectral profile: an orthonormal matrix at random."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((bands, bands)))[0]
    offsets = rng.integers(-9, 900, bands)
    return Profile(offsets, np.rint(basis * (1 << PROFILE_SHIFT)).astype(np.int64))


@cache
def bounded_reader(bands: int, signed: bool) -> TileReader:
    """Return what reads bounded tiles by the part of the shipped bundle."""
    return TileReader(BoundedCodec.of(load("skybook").bounded).model, bands, signed)


@cache
def fixed_bundle() -> Bundle:
    """Return a bundle of three levels with one golden vector."""
    levels: list[Level] = []
    for reduction, width, codewords, dims in _LEVELS:
        numbers = np.arange(codewords * dims, dtype=np.int64) * 37 % 511 - 255
        prediction = None
        if levels:
            above = levels[-1].codebook.codewords.shape[1]
            prediction = (np.arange(4 * dims * above) * 29 % 200 - 100).astype(np.int16)
            prediction = prediction.reshape(2, 2, dims, above)
        codebook = Codebook(numbers.reshape(codewords, dims).astype(np.int16))
        levels.append(Level(reduction, width, codebook, prediction))
    entries, codebooks = pack_levels(levels)
    wire = {
        "bands": BANDS,
        "tile": TILE,
        "front_end": {"kind": "affine", "target_rms": 32},
        "coder": {"kind": "fixed"},
        "levels": entries,
    }
    ramp = np.arange(BANDS * TILE * TILE, dtype=np.uint16).reshape(BANDS, TILE, TILE)
    vector = GoldenVector(ramp, tuple(index_maps(ramp, TILE, TILE)))
    golden = pack_golden_vectors([vector], LEVEL_WIDTHS)
    parts = {**_GRAPHS, "codebooks": codebooks, "golden": golden}
    return Bundle.assemble("fixed", wire, parts, {"macs_per_pixel": 1}, {})


def index_maps(samples: NDArray[np.uint16], rows: int, cols: int) -> list[NDArray[np.uint16]]:
    """Return index maps of the valid pixels of a tile: the samples themselves, cut to codewords."""
    return [
        samples[0, :rows:reduction, :cols:reduction] % codewords
        for reduction, _, codewords, _ in _LEVELS
    ]


@cache
def lapped_bundle() -> Bundle:
    """Return a bundle of four layers of symbols, most of them never coded, with a golden vector."""
    coder = LappedModel(
        AdaptiveFrontEnd(BANDS),
        _transform(),
        _contexts(),
        _quantizer(),
        _tables(),
    )
    part = lappedpart.pack(coder)
    wire = {
        "classes": BANDS,
        "tile": TILE,
        "front_end": {"kind": "adaptive"},
        "coder": lappedpart.wire_entry(coder),
        "lapped_sha256": sha256(part).hexdigest(),
    }
    ramp = (np.arange(BANDS * TILE * TILE) % 300 * 7).astype(np.uint16)
    golden = lappedpart.pack_golden([_golden(coder, ramp.reshape(BANDS, TILE, TILE))])
    parts = {**_GRAPHS, "lapped": part, "golden": golden}
    encoder = {"macs_per_pixel": 1, "error_permille": 1_000}
    return Bundle.assemble("lapped", wire, parts, encoder, {})


def _golden(model: LappedModel, tile: NDArray[np.uint16]) -> GoldenTile:
    return LappedCodec(model, TILE).open_planes().whole_body(tile, 80, ALL_VALID)


def _transform() -> LappedTransform:
    """Return the DCT of 8x8 pixels, without any lap."""
    k, n = np.arange(BLOCK)[:, None], np.arange(BLOCK)
    basis = np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK)) / 2
    basis[0] /= np.sqrt(2)
    filters = np.zeros((BLOCK, BLOCK, 2 * BLOCK, 2 * BLOCK))
    filters[:, :, 4:12, 4:12] = np.einsum("ui,vj->uvij", basis, basis)
    flat = filters.reshape(FREQUENCIES, 2 * BLOCK, 2 * BLOCK)
    mantissas = np.rint(4_096 * 2 ** (-np.arange(SUB_STEPS) / SUB_STEPS)).astype(np.int32)
    return LappedTransform(
        np.rint(flat * 256).astype(np.int8), np.rint(flat * (1 << 14)).astype(np.int16), mantissas
    )


def _contexts() -> ContextModel:
    """Return contexts under which only the first few AC channels are ever coded."""
    channels = BANDS * FREQUENCIES
    dc = [band * FREQUENCIES for band in range(BANDS)]
    rest = [c for c in range(channels) if c % FREQUENCIES]
    rest.sort(key=lambda c: (sum(divmod(c % FREQUENCIES, BLOCK)), c))
    same = np.zeros((channels, channels - BANDS), np.uint16)
    same[:BANDS, :_CODED_AC] = 24
    slope = np.zeros((2 * BANDS, channels - BANDS), np.uint16)
    slope[:, :_CODED_AC] = 12
    bias = np.full(channels - BANDS, 4, np.uint16)
    weights = np.full((2, 4 * BANDS, BANDS), 20, np.uint16)
    dc_bias = np.full((LATTICES, BANDS), 4_000, np.uint16)
    order = np.array(dc + rest)
    by_class = ContextWeights(order, _CUTS, same, same // 8, slope, bias, weights, dc_bias)
    return ContextModel(by_class, BANDS)


def _quantizer() -> Quantisation:
    codewords = np.tile(np.array([256, 512, 768, 1_024], np.uint16), (rows_of(1), 1))
    dead, rounding = np.full(LEVELS, 40, np.int32), np.full(LEVELS, 28, np.int32)
    return Quantisation(dead, rounding, _SKIP, codewords)


def _tables() -> Tables:
    """Return tables of Laplace laws whose scale rises with the level."""
    octaves = np.arange(LEVELS) / 4 - 6
    shifts = np.maximum(np.ceil(octaves - 3), 0).astype(np.uint8)
    scale = 2.0 ** (octaves - shifts)
    law = np.exp(-np.abs(np.arange(-LARGEST, LARGEST + 1)) / scale[:, None])
    frequencies = np.zeros((LEVELS, SYMBOLS), np.int64)
    shares = law / law.sum(axis=1, keepdims=True) * (rans.TOTAL - 16)
    frequencies[:, :ESCAPE] = np.floor(shares)
    frequencies[:, ESCAPE] = rans.TOTAL - frequencies.sum(axis=1)
    return Tables(np.tile(frequencies.astype(np.uint16), (3, 1)), shifts, (1,))
