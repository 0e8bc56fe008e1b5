"""Post-training quantisation of the encoder, and its int8 ONNX file.

Activations are 8-bit with one scale per tensor, weights are symmetric int8 with one scale per
output channel, biases are int32 in units of input scale times weight scale. Clipping ranges
minimise the squared error over calibration tiles. Latents are symmetric (zero point 0 as int8),
so that the closed loop between levels, which adds and subtracts them, stays linear.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from export.corsa import graph
from export.corsa.graph import Add, Conv, Node, Upsample
from ground.train.corsa.model import SAMPLE_SCALE, Encoder
from onboard.errors import InputError

OPSET = 17
_BATCH = 4
_KEPT_VALUES = 1 << 20
_CLIPS = np.linspace(1.0, 0.3, 36)
# The scale of an addend is so many times 1/511 of the sum's, at least once: then no sum lies nearer
# than 1/1022 to half way between two bytes, and all engines round alike. XNNPACK's multipliers of
# 21 bits are off by less (1/4000 where no addend has more than twice the scale of the sum), and
# onnxruntime's floats by less still.
_ADDEND_PARTS = 511
# Least weight scale, in output steps per input step: keeps a bias well inside 32 bits.
_LEAST_MULTIPLIER = 2.0**-20


@dataclass(frozen=True)
class Grid:
    """What a byte `q` (u8, 0..255) of a tensor means: `(q - zero_point) * scale`.

    As int8 it is `q - 128` with `zero_point - 128`. `scale` is exact in float32.
    """

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Weights:
    """Weights of a convolution.

    Attributes:
        values: int8 (outputs, inputs, size, size), -127..127.
        scales: float32 (outputs,).
        bias: int32 (outputs,), in units of the input's scale times `scales`.
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float32]
    bias: NDArray[np.int32]


@dataclass(frozen=True)
class QuantisedEncoder:
    """The encoder in integers: all that the ONNX and the TFLite writer write.

    Attributes:
        nodes: the graph, float weights included.
        bands: bands of the input.
        tile: rows and columns of the input.
        grids: grid of every tensor, by name.
        weights: weights of every convolution, by the name of its output.
    """

    nodes: tuple[Node, ...]
    bands: int
    tile: int
    grids: Mapping[str, Grid]
    weights: Mapping[str, Weights]

    @property
    def latent_scales(self) -> tuple[float, ...]:
        """Scale of the int8 latents of each level, coarse to fine."""
        return tuple(self.grids[name].scale for name in graph.outputs(self.nodes))


def quantise(encoder: Encoder, samples: NDArray[np.int8]) -> QuantisedEncoder:
    """Quantise the encoder.

    Args:
        encoder: trained network.
        samples: calibration tiles, int8 (n, bands, tile, tile), as the front end makes them.

    Raises:
        InputError: `samples` is not of that type and shape, or empty.
    """
    nodes = graph.walk(encoder)
    bands = graph.bands(nodes)
    shape = samples.shape
    if samples.dtype != np.int8 or len(shape) != 4 or shape[1] != bands or shape[2] != shape[3]:
        raise InputError(
            f"calibration tiles: expected int8 (n, {bands}, tile, tile), "
            f"found {samples.dtype} {shape}"
        )
    if not samples.size:
        raise InputError("calibration tiles: expected at least one, found none")
    grids = _grids(nodes, _observe(nodes, samples))
    weights = {
        node.output: _weights(node, grids[node.input].scale, grids[node.output].scale)
        for node in nodes
        if isinstance(node, Conv)
    }
    return QuantisedEncoder(nodes, bands, shape[2], grids, weights)


def _observe(nodes: Sequence[Node], samples: NDArray[np.int8]) -> dict[str, NDArray[np.float32]]:
    """Run the calibration tiles; return evenly spaced values, and the extremes, of each tensor."""
    found: dict[str, list[NDArray[np.float32]]] = {node.output: [] for node in nodes}
    for first in range(0, len(samples), _BATCH):
        batch = torch.from_numpy(samples[first : first + _BATCH]).float() * SAMPLE_SCALE
        tensors = graph.run(nodes, batch)
        for name, kept in found.items():
            values = tensors[name].numpy().ravel()
            # An odd stride visits all rows and columns in turn.
            stride = values.size * len(samples) // (len(batch) * _KEPT_VALUES) | 1
            extremes = np.array([values.min(), values.max()], np.float32)
            kept += [values[::stride].copy(), extremes]
    return {name: np.concatenate(kept) for name, kept in found.items()}


def _grids(nodes: Sequence[Node], seen: Mapping[str, NDArray[np.float32]]) -> dict[str, Grid]:
    """Choose the grid of each tensor, consumers first: some bind the grid of what they read."""
    latents = graph.outputs(nodes)
    grids = {
        node.output: _best_grid(seen[node.output], symmetric=node.output in latents)
        for node in nodes
    }
    for node in reversed(nodes):
        match node:
            case Upsample():
                grids[node.input] = grids[node.output]
            case Add():
                for name in (node.first, node.second):
                    grids[name] = _addend(grids[name], grids[node.output].scale)
    grids["samples"] = Grid(SAMPLE_SCALE, 128)
    return grids


def _addend(grid: Grid, total: float) -> Grid:
    """Return the least wider grid whose scale is a whole part of the scale of a sum."""
    parts = math.ceil(grid.scale / total * _ADDEND_PARTS * (1 - 2.0**-20))
    return Grid(float(np.float32(total * parts / _ADDEND_PARTS)), grid.zero_point)


def _best_grid(values: NDArray[np.float32], symmetric: bool) -> Grid:
    """Return the grid of least squared error; never negative values get zero point 0."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if symmetric:
        high = max(high, -low)
        low = -high
    candidates = [_grid(low * clip, high * clip, symmetric) for clip in _CLIPS]
    return min(candidates, key=lambda grid: _squared_error(values, grid))


def _grid(low: float, high: float, symmetric: bool) -> Grid:
    """Return the grid that spans low..high, which includes 0."""
    steps = 254 if symmetric else 255
    scale = float(np.float32(max((high - low) / steps, 2.0**-20)))
    return Grid(scale, 128 if symmetric else round(-low / scale))


def _squared_error(values: NDArray[np.float32], grid: Grid) -> float:
    steps = np.clip(np.rint(values / grid.scale), -grid.zero_point, 255 - grid.zero_point)
    return float(np.square(steps * grid.scale - values).sum(dtype=np.float64))


def _weights(node: Conv, scale_in: float, scale_out: float) -> Weights:
    """Quantise the weights and bias of a convolution."""
    least = _LEAST_MULTIPLIER * scale_out / scale_in
    peaks = np.abs(node.weight).max(axis=(1, 2, 3))
    scales = np.maximum(peaks / 127, least).astype(np.float32)
    values = np.clip(np.rint(node.weight / scales[:, None, None, None]), -127, 127)
    bias = np.rint(node.bias / (scales.astype(np.float64) * scale_in))
    limit = 2**30
    return Weights(values.astype(np.int8), scales, np.clip(bias, -limit, limit).astype(np.int32))


def encoder_onnx(encoder: QuantisedEncoder) -> bytes:
    """Return the ONNX file: u8 `samples` (int8 sample + 128) to int8 `level1`, `level2`, ...

    The form is QDQ with unsigned activations and signed weights, which onnxruntime fuses into its
    fast integer kernels. There is no ReLU node: a tensor after a ReLU has zero point 0, so that
    quantising it clips at zero.
    """
    writer = _OnnxWriter(encoder)
    for node in encoder.nodes:
        writer.add(node)
    for name in graph.outputs(encoder.nodes):
        writer.add_output(name)
    return writer.pack()


class _OnnxWriter:
    """Collects nodes and initialisers. Tensor `x` is `x.u8` in bytes, `x.real` dequantised."""

    def __init__(self, encoder: QuantisedEncoder) -> None:
        self.encoder = encoder
        self.nodes: list[NodeProto] = []
        self.initialisers: dict[str, TensorProto] = {}
        self._dequantised: set[str] = set()

    def add(self, node: Node) -> None:
        """Write one node and the quantisation of its output."""
        match node:
            case Conv():
                self._conv(node)
                self._quantise(node.output)
            case Add():
                reals = [self._real(node.first), self._real(node.second)]
                self._node("Add", reals, f"{node.output}.sum")
                self._quantise(node.output)
            case Upsample():
                scales = self._constant("repeat", np.array([1, 1, 2, 2], np.float32))
                self._node(
                    "Resize",
                    [_bytes(node.input), "", scales],
                    _bytes(node.output),
                    mode="nearest",
                    coordinate_transformation_mode="asymmetric",
                    nearest_mode="floor",
                )

    def add_output(self, name: str) -> None:
        """Write an output as int8; that step is exact."""
        zero = self._constant("zero", np.array(0, np.int8))
        self._node("QuantizeLinear", [self._real(name), f"{name}.scale", zero], name)

    def pack(self) -> bytes:
        """Return the finished file."""
        nodes = self.encoder.nodes
        sizes = graph.shapes(nodes, self.encoder.bands, self.encoder.tile)
        samples = helper.make_tensor_value_info(
            "samples", TensorProto.UINT8, [1, *sizes["samples"]]
        )
        latents = [
            helper.make_tensor_value_info(name, TensorProto.INT8, [1, *sizes[name]])
            for name in graph.outputs(nodes)
        ]
        body = helper.make_graph(
            self.nodes, "encoder", [samples], latents, list(self.initialisers.values())
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(body, opset_imports=[opset], ir_version=8)
        model.producer_name = "skybook"
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def _conv(self, node: Conv) -> None:
        weights = self.encoder.weights[node.output]
        scales = self._constant(f"{node.output}.weight.scale", weights.scales)
        values = self._constant(f"{node.output}.weight", weights.values)
        bias = self._constant(f"{node.output}.bias", weights.bias)
        unit = np.float32(self.encoder.grids[node.input].scale) * weights.scales
        units = self._constant(f"{node.output}.bias.scale", unit)
        self._node("DequantizeLinear", [values, scales], f"{values}.real", axis=0)
        self._node("DequantizeLinear", [bias, units], f"{bias}.real", axis=0)
        inputs = [self._real(node.input), f"{values}.real", f"{bias}.real"]
        self._node(
            "Conv", inputs, f"{node.output}.sum", strides=[node.stride] * 2, pads=[node.pad] * 4
        )

    def _quantise(self, name: str) -> None:
        """Write `name.sum` as bytes."""
        self._node("QuantizeLinear", [f"{name}.sum", *self._grid(name)], _bytes(name))

    def _real(self, name: str) -> str:
        """Return the name of a tensor dequantised, writing that once."""
        real = f"{name}.real"
        if name not in self._dequantised:
            self._dequantised.add(name)
            self._node("DequantizeLinear", [_bytes(name), *self._grid(name)], real)
        return real

    def _grid(self, name: str) -> tuple[str, str]:
        grid = self.encoder.grids[name]
        scale = self._constant(f"{name}.scale", np.array(grid.scale, np.float32))
        return scale, self._constant(f"{name}.zero_point", np.array(grid.zero_point, np.uint8))

    def _constant(self, name: str, values: NDArray[np.generic]) -> str:
        self.initialisers[name] = numpy_helper.from_array(values, name)
        return name

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))


def _bytes(name: str) -> str:
    return name if name == "samples" else f"{name}.u8"
