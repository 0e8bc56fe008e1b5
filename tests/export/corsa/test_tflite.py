"""The TFLite file against the ONNX file of the same quantised encoder."""

import dataclasses

import numpy as np
import pytest

from export.corsa import graph
from export.corsa.quantise import encoder_onnx
from export.corsa.tflite import encoder_tflite
from ground.train.corsa.model import Architecture
from onboard.engine.network import open_session
from onboard.errors import UsageError
from tests.networks import THREE_LEVELS, TWO_LEVELS, quantised, tiles

pytest.importorskip("ai_edge_litert")
BOTH = pytest.mark.parametrize("shape", [TWO_LEVELS, THREE_LEVELS], ids=["2 levels", "3 levels"])


@BOTH
def test_equals_onnx(shape: Architecture) -> None:
    encoder = quantised(shape)
    onnx, tflite = encoder_onnx(encoder), encoder_tflite(encoder)
    ort = open_session(onnx, tflite, shape.levels, "ort")
    litert = open_session(onnx, tflite, shape.levels, "litert")
    for tile in tiles(shape, 50, seed=3):
        for left, right in zip(ort.run(tile), litert.run(tile), strict=True):
            np.testing.assert_array_equal(left, right)


@BOTH
def test_one_and_two_threads_give_the_same_bytes(shape: Architecture) -> None:
    model = encoder_tflite(quantised(shape))
    one, two = (open_session(b"", model, shape.levels, "litert", threads) for threads in (1, 2))
    for tile in tiles(shape, 4, seed=7):
        for left, right in zip(one.run(tile), two.run(tile), strict=True):
            np.testing.assert_array_equal(left, right)


def test_same_file_twice() -> None:
    encoder = quantised(TWO_LEVELS)
    assert encoder_tflite(encoder) == encoder_tflite(encoder)


def test_padding_that_tflite_cannot_say() -> None:
    encoder = quantised(TWO_LEVELS)
    first = encoder.nodes[0]
    assert isinstance(first, graph.Conv)
    wider = dataclasses.replace(first, pad=2)
    with pytest.raises(UsageError, match="SAME"):
        encoder_tflite(dataclasses.replace(encoder, nodes=(wider,)))
