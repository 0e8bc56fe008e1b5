"""Graphs of the lapped codec: its exact transform as ONNX and TFLite, its refinement as ONNX."""

import io

import flatbuffers
import numpy as np
import onnx
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ground.train.lapped.model import Refinement
from onboard.codec.lapped.context import BLOCK, FREQUENCIES

OPSET = 17
_FLOAT_CONV_VERSION = 1


def transform_onnx(analysis: NDArray[np.int8]) -> bytes:
    """Return the transform as ONNX: planes f32 (n, 1, rows, cols), margins of 4 included.

    The weights are int8 with a scale of 1, so that a runtime sees integers and sums exactly.
    """
    nodes = [
        helper.make_node("DequantizeLinear", ["weights", "one"], ["filters"]),
        helper.make_node("Conv", ["planes", "filters"], ["latents"], strides=[BLOCK, BLOCK]),
    ]
    planes = helper.make_tensor_value_info("planes", TensorProto.FLOAT, ["n", 1, "rows", "cols"])
    latents = helper.make_tensor_value_info(
        "latents", TensorProto.FLOAT, ["n", FREQUENCIES, "rows_out", "cols_out"]
    )
    constants = [
        numpy_helper.from_array(analysis[:, None], "weights"),
        numpy_helper.from_array(np.ones((), np.float32), "one"),
    ]
    made = helper.make_graph(nodes, "transform", [planes], [latents], constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def transform_tflite(analysis: NDArray[np.int8], tile: int) -> bytes:
    """Return the transform as TFLite: one plane f32 (1, tile + 8, tile + 8, 1)."""
    side = tile + BLOCK
    tensors = [
        _tensor("planes", (1, side, side, 1), 0),
        _tensor("filters", (FREQUENCIES, 2 * BLOCK, 2 * BLOCK, 1), 1),
        _tensor("bias", (FREQUENCIES,), 2),
        _tensor("latents", (1, tile // BLOCK, tile // BLOCK, FREQUENCIES), 0),
    ]
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = BLOCK
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = schema.ActivationFunctionType.NONE
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptions = options
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    subgraph = schema.SubGraphT()
    subgraph.name, subgraph.tensors, subgraph.operators = "transform", tensors, [operator]
    subgraph.inputs, subgraph.outputs = [0], [3]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = _FLOAT_CONV_VERSION
    model = schema.ModelT()
    model.version, model.description = 3, "skybook"
    model.operatorCodes, model.subgraphs = [code], [subgraph]
    filters = analysis[..., None].astype(np.float32)
    model.buffers = [_buffer(b""), _buffer(filters.tobytes()), _buffer(bytes(4 * FREQUENCIES))]
    builder = flatbuffers.Builder(1 << 17)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: tuple[int, ...], buffer: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = name, schema.TensorType.FLOAT32, buffer
    tensor.shape = np.array(shape, np.int32)
    return tensor


def _buffer(content: bytes) -> schema.BufferT:
    buffer = schema.BufferT()
    if content:
        buffer.data = np.frombuffer(content, np.uint8)
    return buffer


def refinement_onnx(network: Refinement, model_hash: str) -> bytes:
    """Return the refinement network as ONNX, for scenes of any size that is a multiple of 4."""
    network.eval()
    image = torch.zeros(1, network.bands, 64, 64)
    cells = torch.ones(1, 1, 16, 16)
    packed = io.BytesIO()
    torch.onnx.export(
        network,
        (image, cells, cells.clone(), torch.zeros(1, 2, 16, 16)),
        packed,  # type: ignore[arg-type]
        input_names=["image", "step", "known", "border"],
        output_names=["refined"],
        dynamic_axes={
            "image": {2: "rows", 3: "cols"},
            "step": {2: "cell_rows", 3: "cell_cols"},
            "known": {2: "cell_rows", 3: "cell_cols"},
            "border": {2: "cell_rows", 3: "cell_cols"},
            "refined": {2: "rows", 3: "cols"},
        },
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load_from_string(packed.getvalue())
    for key, value in (("model_hash", model_hash), ("radius", str(network.halo))):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return bytes(model.SerializeToString(deterministic=True))
