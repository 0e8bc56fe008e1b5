"""Write the quantised encoder as a TFLite flatbuffer, without a converter in between.

Everything is int8, maps are NHWC: input (1, tile, tile, bands), outputs (1, rows, cols, dims)
from coarse to fine. Source: the TFLite schema, as it ships inside ai-edge-litert.
"""

from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.corsa import graph
from export.corsa.graph import Add, Conv, Node, Upsample
from export.corsa.quantise import Grid, QuantisedEncoder
from onboard.errors import UsageError

SCHEMA_VERSION = 3
_IDENTIFIER = b"TFL3"
_OPERATORS = (
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.ADD,
    schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR,
)
# First version of each operator that takes int8 (of CONV_2D with weights per channel).
_VERSIONS = (3, 2, 2)


def encoder_tflite(encoder: QuantisedEncoder) -> bytes:
    """Return the TFLite file.

    Raises:
        UsageError: a convolution is padded in a way that TFLite cannot say.
    """
    writer = _TfliteWriter(encoder)
    for node in encoder.nodes:
        writer.add(node)
    return writer.pack()


class _TfliteWriter:
    """Collects buffers, tensors and operators of the one subgraph."""

    def __init__(self, encoder: QuantisedEncoder) -> None:
        self.encoder = encoder
        self.sizes = graph.shapes(encoder.nodes, encoder.bands, encoder.tile)
        self.buffers = [schema.BufferT()]
        self.tensors: list[schema.TensorT] = []
        self.operators: list[schema.OperatorT] = []
        self.index: dict[str, int] = {}
        self._map("samples")

    def add(self, node: Node) -> None:
        """Write one node and its output tensor."""
        match node:
            case Conv():
                inputs, options = self._conv(node)
            case Add():
                inputs = [self.index[node.first], self.index[node.second]]
                options = schema.AddOptionsT()
                options.fusedActivationFunction = _activation(node.relu)
            case Upsample():
                _, rows, cols = self.sizes[node.output]
                size = self._constant(f"{node.output}.size", np.array([rows, cols], np.int32))
                inputs, options = [self.index[node.input], size], _resize_options()
        operator = schema.OperatorT()
        operator.opcodeIndex = _opcode(node)
        operator.inputs = inputs
        operator.outputs = [self._map(node.output)]
        operator.builtinOptions = options
        operator.builtinOptionsType = _options_type(node)
        self.operators.append(operator)

    def pack(self) -> bytes:
        """Return the finished file."""
        subgraph = schema.SubGraphT()
        subgraph.name = "encoder"
        subgraph.tensors, subgraph.operators = self.tensors, self.operators
        subgraph.inputs = [self.index["samples"]]
        subgraph.outputs = [self.index[name] for name in graph.outputs(self.encoder.nodes)]
        model = schema.ModelT()
        model.version, model.description = SCHEMA_VERSION, "skybook"
        model.operatorCodes = _operator_codes()
        model.subgraphs, model.buffers = [subgraph], self.buffers
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())

    def _conv(self, node: Conv) -> tuple[list[int], schema.Conv2DOptionsT]:
        weights = self.encoder.weights[node.output]
        values = self._constant(
            f"{node.output}.weight", weights.values.transpose(0, 2, 3, 1), weights.scales
        )
        unit = np.float32(self.encoder.grids[node.input].scale) * weights.scales
        bias = self._constant(f"{node.output}.bias", weights.bias, unit)
        options = schema.Conv2DOptionsT()
        options.padding = self._padding(node)
        options.strideH = options.strideW = node.stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = _activation(node.relu)
        return [self.index[node.input], values, bias], options

    def _padding(self, node: Conv) -> int:
        """Return SAME or VALID, whichever says what `node.pad` does."""
        if node.pad == 0:
            return int(schema.Padding.VALID)
        side, size = self.sizes[node.input][1], node.weight.shape[2]
        same = max((-(-side // node.stride) - 1) * node.stride + size - side, 0)
        if same != 2 * node.pad:
            raise UsageError(
                f"{node.output}: expected the padding of TFLite's SAME, {same} in all, "
                f"found {node.pad} on each side"
            )
        return int(schema.Padding.SAME)

    def _map(self, name: str) -> int:
        """Add a tensor between operators."""
        channels, rows, cols = self.sizes[name]
        tensor = _tensor(name, (1, rows, cols, channels), schema.TensorType.INT8)
        tensor.quantization = _map_quantisation(self.encoder.grids[name])
        self.index[name] = self._append(tensor)
        return self.index[name]

    def _constant(
        self, name: str, values: NDArray[np.generic], scales: NDArray[np.float32] | None = None
    ) -> int:
        """Add a constant, quantised along axis 0 if there are scales."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.buffers.append(buffer)
        kind = schema.TensorType.INT8 if values.dtype == np.int8 else schema.TensorType.INT32
        tensor = _tensor(name, values.shape, kind)
        tensor.buffer = len(self.buffers) - 1
        if scales is not None:
            tensor.quantization = _quantisation(scales, np.zeros(len(scales), np.int64))
        return self._append(tensor)

    def _append(self, tensor: schema.TensorT) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1


def _tensor(name: str, shape: Sequence[int], kind: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = name, kind, 0
    tensor.shape = np.array(shape, np.int32)
    return tensor


def _map_quantisation(grid: Grid) -> schema.QuantizationParametersT:
    zero_points = np.array([grid.zero_point - 128], np.int64)
    return _quantisation(np.array([grid.scale], np.float32), zero_points)


def _quantisation(
    scales: NDArray[np.float32], zero_points: NDArray[np.int64]
) -> schema.QuantizationParametersT:
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = scales, zero_points
    parameters.quantizedDimension = 0
    return parameters


def _activation(relu: bool) -> int:
    kinds = schema.ActivationFunctionType
    return int(kinds.RELU if relu else kinds.NONE)


def _resize_options() -> schema.ResizeNearestNeighborOptionsT:
    options = schema.ResizeNearestNeighborOptionsT()
    options.alignCorners = options.halfPixelCenters = False
    return options


def _opcode(node: Node) -> int:
    return (Conv, Add, Upsample).index(type(node))


def _options_type(node: Node) -> int:
    kinds = schema.BuiltinOptions
    return int(
        (kinds.Conv2DOptions, kinds.AddOptions, kinds.ResizeNearestNeighborOptions)[_opcode(node)]
    )


def _operator_codes() -> list[schema.OperatorCodeT]:
    codes = []
    for operator, version in zip(_OPERATORS, _VERSIONS, strict=True):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = operator
        code.version = version
        codes.append(code)
    return codes
