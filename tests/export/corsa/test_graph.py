"""The graph of the encoder and the ONNX file of the decoder against the torch modules."""

import functools

import numpy as np
import pytest
import torch

from export.corsa import graph
from ground.decode.graphs.graph import open_float_session
from ground.train.corsa.model import SAMPLE_SCALE, Architecture, VqvaeFpn
from tests.networks import THREE_LEVELS, TWO_LEVELS, network, tiles

BOTH = pytest.mark.parametrize("shape", [TWO_LEVELS, THREE_LEVELS], ids=["2 levels", "3 levels"])
HASH = "ab" * 32
SCALES = (0.1, 0.07, 0.05)


def codewords(shape: Architecture, count: int) -> list[np.ndarray]:
    """Return int8 codeword maps as float32, coarse to fine."""
    rng = np.random.default_rng(2)
    sides = [shape.tile // 2 ** (level + 1) for level in range(shape.levels)]
    maps = [
        rng.integers(-128, 128, (count, dims, side, side)).astype(np.float32)
        for dims, side in zip(shape.dims, sides, strict=True)
    ]
    return maps[::-1]


@BOTH
@torch.no_grad()
def test_nodes_equal_encoder(shape: Architecture) -> None:
    model = network(shape)
    samples = torch.from_numpy(tiles(shape, 3)).float() * SAMPLE_SCALE
    nodes = graph.walk(model.encoder)
    found = graph.run(nodes, samples)
    for name, latents in zip(graph.outputs(nodes), model.encoder(samples)[::-1], strict=True):
        torch.testing.assert_close(found[name], latents, rtol=1e-5, atol=1e-5)


@BOTH
@torch.no_grad()
def test_shapes_are_those_of_the_tensors(shape: Architecture) -> None:
    nodes = graph.walk(network(shape).encoder)
    tensors = graph.run(nodes, torch.zeros(1, shape.bands, shape.tile, shape.tile))
    expected = {name: tuple(tensor.shape[1:]) for name, tensor in tensors.items()}
    assert graph.shapes(nodes, shape.bands, shape.tile) == expected


def test_macs_per_pixel_of_one_level() -> None:
    shape = Architecture(4, 24, (16,), (8,), (16,), 1, 8, 16, 1)
    down, mix = 4 * 4 * 4 * 8, 3 * 3 * 8 * 16
    residual = 3 * 3 * 16 * 8 + 8 * 16
    embedding, skip = 3 * 3 * 16 * 8, 2 * 2 * 4 * 8
    expected = (down + mix + residual + embedding + skip) // 4
    assert graph.macs_per_pixel(graph.walk(network(shape).encoder)) == expected


@functools.cache
def decoder(shape: Architecture) -> VqvaeFpn:
    """Return a network whose decoder has weights that float16 holds exactly."""
    model = network(shape)
    for parameter in model.decoder.parameters():
        parameter.data = parameter.data.half().float()
    return model


@functools.cache
def decoder_file(shape: Architecture, half: bool) -> bytes:
    """Return the ONNX file of `decoder(shape)`."""
    return graph.decoder_onnx(decoder(shape), SCALES[: shape.levels], HASH, half)


@BOTH
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_decoder_equals_torch(shape: Architecture, half: bool) -> None:
    session = open_float_session(decoder_file(shape, half))
    assert session.metadata == {"model_hash": HASH}
    for count in (1, 3):
        maps = codewords(shape, count)
        pairs = zip(maps, SCALES[: shape.levels], strict=True)
        latents = [torch.from_numpy(levels * np.float32(scale)) for levels, scale in pairs]
        with torch.no_grad():
            expected = decoder(shape).decoder(latents[::-1]).numpy() / SAMPLE_SCALE
        found = session.run(maps)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_decoder_gives_the_same_pixels_with_one_and_two_threads() -> None:
    one, two = (open_float_session(decoder_file(TWO_LEVELS, True), threads) for threads in (1, 2))
    maps = codewords(TWO_LEVELS, 5)
    np.testing.assert_array_equal(one.run(maps), two.run(maps))


def test_decoder_file_is_small_and_says_nothing_of_this_machine() -> None:
    whole, half = decoder_file(TWO_LEVELS, False), decoder_file(TWO_LEVELS, True)
    assert len(half) < 0.65 * len(whole)
    assert b".py" not in whole
    assert graph.decoder_onnx(decoder(TWO_LEVELS), SCALES[:2], HASH) == whole
