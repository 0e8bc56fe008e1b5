"""Quantisation of the encoder and its ONNX file, as onnxruntime runs it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.corsa import graph
from export.corsa.quantise import QuantisedEncoder, encoder_onnx, quantise
from ground.train.corsa.model import SAMPLE_SCALE, Architecture, VqvaeFpn
from onboard.engine.network import open_session
from onboard.errors import InputError
from tests.networks import THREE_LEVELS, TWO_LEVELS, network, quantised, tiles

BOTH = pytest.mark.parametrize("shape", [TWO_LEVELS, THREE_LEVELS], ids=["2 levels", "3 levels"])


def latents_db(encoder: QuantisedEncoder, model: VqvaeFpn, samples: np.ndarray) -> list[float]:
    """Return signal to error in dB of each level, coarse to fine, against float32."""
    levels = len(encoder.latent_scales)
    session = open_session(encoder_onnx(encoder), b"", levels, "ort")
    maps = [session.run(tile) for tile in samples]
    with torch.no_grad():
        wanted = model.encoder(torch.from_numpy(samples).float() * SAMPLE_SCALE)[::-1]
    ratios = []
    for level, scale in enumerate(encoder.latent_scales):
        found = np.stack([tile[level] for tile in maps]) * scale
        expected = wanted[level].numpy()
        error = np.square(found - expected).mean()
        ratios.append(10 * np.log10(np.square(expected).mean() / error))
    return ratios


@BOTH
def test_int8_latents_are_close(shape: Architecture) -> None:
    unseen = tiles(shape, 6, seed=5)
    assert min(latents_db(quantised(shape), network(shape), unseen)) > 25


def test_untrained_network_with_layers_of_zeros() -> None:
    model = VqvaeFpn(TWO_LEVELS).eval()
    samples = tiles(TWO_LEVELS, 8)
    assert min(latents_db(quantise(model.encoder, samples), model, samples)) > 25


def test_one_black_tile_is_enough_to_load() -> None:
    encoder = quantise(network(TWO_LEVELS).encoder, np.zeros((1, 4, 24, 24), np.int8))
    open_session(encoder_onnx(encoder), b"", 2, "ort").run(tiles(TWO_LEVELS, 1)[0])


@BOTH
def test_numbers_fit_the_engines(shape: Architecture) -> None:
    encoder = quantised(shape)
    assert encoder.grids["samples"].scale == SAMPLE_SCALE
    assert encoder.grids["samples"].zero_point == 128
    for node in encoder.nodes:
        grid = encoder.grids[node.output]
        assert grid.scale == float(np.float32(grid.scale))
        if isinstance(node, graph.Upsample):
            assert encoder.grids[node.input] == grid
        elif node.relu:
            assert grid.zero_point == 0
    for name in graph.outputs(encoder.nodes):
        assert encoder.grids[name].zero_point == 128


@BOTH
def test_no_sum_is_near_half_way_between_two_bytes(shape: Architecture) -> None:
    """So that engines round it alike, whatever their arithmetic."""
    encoder = quantised(shape)
    byte = np.arange(256)
    for node in encoder.nodes:
        if isinstance(node, graph.Add):
            total = encoder.grids[node.output].scale
            first, second = (
                (byte - grid.zero_point) * (grid.scale / total)
                for grid in (encoder.grids[node.first], encoder.grids[node.second])
            )
            sums = first[:, None] + second
            assert np.abs(sums - np.floor(sums) - 0.5).min() > 1 / 1100


@BOTH
def test_onnxruntime_fuses_everything(shape: Architecture, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(encoder_onnx(quantised(shape)), options)
    fused = onnx.load(tmp_path / "fused.onnx")
    kinds = {node.op_type for node in fused.graph.node}
    assert kinds >= {"QLinearConv", "QLinearAdd"}
    assert not kinds & {"Conv", "FusedConv", "Add", "Relu"}


@BOTH
def test_one_and_two_threads_give_the_same_bytes(shape: Architecture) -> None:
    model = encoder_onnx(quantised(shape))
    one, two = (open_session(model, b"", shape.levels, "ort", threads) for threads in (1, 2))
    for tile in tiles(shape, 4, seed=7):
        for left, right in zip(one.run(tile), two.run(tile), strict=True):
            np.testing.assert_array_equal(left, right)


def test_same_file_twice() -> None:
    samples = tiles(TWO_LEVELS, 4)
    first, second = (encoder_onnx(quantise(network(TWO_LEVELS).encoder, samples)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((1, 4, 24, 24), np.uint8),
        np.zeros((1, 3, 24, 24), np.int8),
        np.zeros((1, 4, 24, 20), np.int8),
        np.zeros((4, 24, 24), np.int8),
        np.zeros((0, 4, 24, 24), np.int8),
    ],
    ids=["type", "bands", "not square", "no batch", "none"],
)
def test_calibration_tiles_that_do_not_fit(samples: np.ndarray) -> None:
    with pytest.raises(InputError, match="calibration tiles"):
        quantise(network(TWO_LEVELS).encoder, samples)
