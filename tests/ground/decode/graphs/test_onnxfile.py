"""ONNX files, read without a runtime: what the library reads that makes them, no other errors."""

from contextlib import suppress

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ground.decode.decoder import DECODERS
from ground.decode.graphs.onnxfile import OnnxFile
from onboard.errors import BundleError


def small() -> bytes:
    """A file with weights of two types and metadata."""
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    initializers = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.arange(4), "places"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [3, 1])
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, [2, 1])
    nodes = [helper.make_node("MatMul", ["weights", "image"], ["made"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [image], [made], initializers))
    helper.set_model_props(model, {"radius": "43", "empty": ""})
    return bytes(model.SerializeToString(deterministic=True))


@pytest.mark.parametrize("name", ["skybook", "corsa-2level-1024"])
def test_weights_and_metadata_are_those_of_the_library(name: str) -> None:
    content = (DECODERS / f"{name}.onnx").read_bytes()
    found, expected = OnnxFile.read(content), onnx.load_from_string(content)
    assert found.metadata == {entry.key: entry.value for entry in expected.metadata_props}
    floats = [w for w in expected.graph.initializer if w.data_type == TensorProto.FLOAT]
    assert set(found.weights) == {weight.name for weight in floats}
    for weight in floats:
        assert np.array_equal(found.weights[weight.name], numpy_helper.to_array(weight))


def test_nodes_tell_graphs_apart_and_weights_do_not() -> None:
    one = small()
    found = OnnxFile.read(one)
    assert found.metadata == {"radius": "43", "empty": ""}
    assert found.weights.keys() == {"weights"}
    value = np.float32(5).tobytes()
    other = OnnxFile.read(one.replace(value, np.float32(6).tobytes()))
    assert other.nodes == found.nodes
    assert other.weights["weights"][1, 2] == 6
    assert OnnxFile.read(one.replace(b"MatMul", b"MatMuL")).nodes != found.nodes


def test_damage_is_an_error_of_ours_or_harmless() -> None:
    content = small()
    rng = np.random.default_rng(3)
    for stop in range(len(content)):
        _read(content[:stop])
    for _ in range(2_000):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 2):
            damaged[place] = rng.integers(256)
        _read(bytes(damaged))
    with pytest.raises(BundleError, match="expected an ONNX file"):
        OnnxFile.read(b"\xff" * 40)


def _read(content: bytes) -> None:
    with suppress(BundleError):
        OnnxFile.read(content)
