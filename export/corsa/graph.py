"""Graphs of the two networks: the encoder as a short list of nodes, the decoder as ONNX.

The list is what is quantised and what both int8 writers write, so that they cannot differ in it.
Tensors are known by name: `samples` is the input, `level1`, `level2`, ... are the outputs from
coarse to fine (SPEC.md, section 7).
"""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from ground.train.corsa.model import (
    SAMPLE_SCALE,
    Architecture,
    Decoder,
    Encoder,
    EncoderBlock,
    Residual,
    VqvaeFpn,
)

OPSET = 18
_NOMINAL_TILE = 64
_HALF_FROM = 64


@dataclass(frozen=True)
class Conv:
    """2-D convolution with equal stride and padding on both axes, then ReLU if `relu`.

    `weight` is float32 (outputs, inputs, size, size), `bias` is float32 (outputs,).
    """

    output: str
    input: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int
    pad: int
    relu: bool


@dataclass(frozen=True)
class Add:
    """Sum of two tensors of one shape, then ReLU if `relu`."""

    output: str
    first: str
    second: str
    relu: bool


@dataclass(frozen=True)
class Upsample:
    """Each value repeated 2x2."""

    output: str
    input: str


Node = Conv | Add | Upsample
Shape = tuple[int, int, int]


def walk(encoder: Encoder) -> tuple[Node, ...]:
    """Return the nodes of the encoder, in an order in which they can run.

    A 1x1 convolution and nearest upsampling commute, so the laterals come before the upsampling:
    the same numbers for a quarter of the work.
    """
    nodes: list[Node] = []
    features: list[str] = []
    for index, block in enumerate(encoder.blocks):
        assert isinstance(block, EncoderBlock)
        features.append(_walk_block(nodes, block, f"block{index}", (["samples", *features])[-1]))
    for index in range(len(features) - 2, -1, -1):
        lateral = _conv(nodes, encoder.laterals[index], f"lateral{index}", features[index + 1])
        nodes.append(Upsample(f"wide{index}", lateral))
        nodes.append(Add(f"feature{index}", features[index], f"wide{index}", False))
        features[index] = f"feature{index}"
    for index, feature in enumerate(features):
        embedding = _conv(nodes, encoder.embeddings[index], f"embedding{index}", feature)
        skip = _conv(nodes, encoder.skips[index], f"skip{index}", "samples")
        nodes.append(Add(f"level{len(features) - index}", embedding, skip, False))
    return tuple(nodes)


def _walk_block(nodes: list[Node], block: EncoderBlock, name: str, source: str) -> str:
    """Append the nodes of a block; return the name of its output."""
    maps = _conv(nodes, block.down, f"{name}.down", source, relu=True)
    maps = _conv(nodes, block.mix, f"{name}.mix", maps, relu=True)
    for index, residual in enumerate(block.residuals):
        assert isinstance(residual, Residual)
        spread = _conv(nodes, residual.spread, f"{name}.spread{index}", maps, relu=True)
        gather = _conv(nodes, residual.gather, f"{name}.gather{index}", spread)
        nodes.append(Add(f"{name}.residual{index}", maps, gather, True))
        maps = nodes[-1].output
    return maps


def _conv(nodes: list[Node], module: nn.Module, name: str, source: str, relu: bool = False) -> str:
    """Append a convolution; return the name of its output."""
    assert isinstance(module, nn.Conv2d)
    weight = module.weight.detach().float().numpy().copy()
    bias = np.zeros(len(weight), np.float32)
    if module.bias is not None:
        bias = module.bias.detach().float().numpy().copy()
    nodes.append(Conv(name, source, weight, bias, module.stride[0], int(module.padding[0]), relu))
    return name


def outputs(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Return the names of the output tensors, coarse to fine."""
    return tuple(sorted(node.output for node in nodes if node.output.startswith("level")))


def shapes(nodes: Sequence[Node], bands: int, tile: int) -> dict[str, Shape]:
    """Return (channels, rows, cols) of every tensor for samples (bands, tile, tile)."""
    found: dict[str, Shape] = {"samples": (bands, tile, tile)}
    for node in nodes:
        match node:
            case Conv():
                _, rows, cols = found[node.input]
                span = node.weight.shape[2] - 2 * node.pad
                rows, cols = ((side - span) // node.stride + 1 for side in (rows, cols))
                found[node.output] = (len(node.weight), rows, cols)
            case Add():
                found[node.output] = found[node.first]
            case Upsample():
                channels, rows, cols = found[node.input]
                found[node.output] = (channels, 2 * rows, 2 * cols)
    return found


def bands(nodes: Sequence[Node]) -> int:
    """Return the number of bands the nodes take."""
    first = next(n for n in nodes if isinstance(n, Conv) and n.input == "samples")
    return int(first.weight.shape[1])


def macs_per_pixel(nodes: Sequence[Node]) -> int:
    """Return multiply-accumulates per pixel of the tile (all bands together), rounded down."""
    sizes = shapes(nodes, bands(nodes), _NOMINAL_TILE)
    total = 0
    for node in nodes:
        if isinstance(node, Conv):
            _, rows, cols = sizes[node.output]
            total += node.weight.size * rows * cols
    return total // _NOMINAL_TILE**2


@torch.no_grad()
def run(nodes: Sequence[Node], samples: Tensor) -> dict[str, Tensor]:
    """Run the nodes in float32 on `samples` (n, bands, tile, tile); return every tensor by name."""
    tensors = {"samples": samples}
    for node in nodes:
        match node:
            case Conv():
                weight, bias = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
                source = tensors[node.input]
                made = functional.conv2d(source, weight, bias, node.stride, node.pad)
            case Add():
                made = tensors[node.first] + tensors[node.second]
            case Upsample():
                made = functional.interpolate(tensors[node.input], scale_factor=2, mode="nearest")
        relu = not isinstance(node, Upsample) and node.relu
        tensors[node.output] = functional.relu(made) if relu else made
    return tensors


def decoder_onnx(
    model: VqvaeFpn, latent_scales: Sequence[float], model_hash: str, half: bool = False
) -> bytes:
    """Return the decoder as an ONNX file (SPEC.md, section 7).

    Args:
        model: trained network.
        latent_scales: what one unit of the integer codewords of a level is worth, coarse to fine.
        model_hash: 64 hex digits, kept as metadata.
        half: store weights as float16; the arithmetic stays float32.
    """
    names = [f"level{number}" for number in range(1, len(latent_scales) + 1)]
    program = _trace(_Decoding(model.decoder, latent_scales), _example(model.shape), names)
    # Traces name source files of the machine that exported.
    for node in program.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del program.graph.value_info[:]
    if half:
        _store_half(program.graph)
    helper.set_model_props(program, {"model_hash": model_hash})
    program.producer_name, program.producer_version = "skybook", ""
    onnx.checker.check_model(program)
    return bytes(program.SerializeToString(deterministic=True))


class _Decoding(nn.Module):
    """The decoder between integer codewords, coarse to fine, and samples in int8 units."""

    def __init__(self, decoder: Decoder, latent_scales: Sequence[float]) -> None:
        super().__init__()
        self.decoder = decoder
        self.latent_scales = tuple(latent_scales)

    def forward(self, *codewords: Tensor) -> Tensor:
        """Return samples (batch, bands, tile, tile)."""
        latents = [maps * s for maps, s in zip(codewords, self.latent_scales, strict=True)]
        samples: Tensor = self.decoder(latents[::-1]) / SAMPLE_SCALE
        return samples


def _example(shape: Architecture) -> tuple[Tensor, ...]:
    """Return codeword maps, coarse to fine, for two tiles: a batch of one is taken as fixed."""
    sides = [shape.tile // 2 ** (level + 1) for level in range(shape.levels)]
    maps = [torch.zeros(2, dims, s, s) for dims, s in zip(shape.dims, sides, strict=True)]
    return tuple(maps[::-1])


def _trace(module: nn.Module, maps: tuple[Tensor, ...], names: list[str]) -> onnx.ModelProto:
    """Export a module whose inputs are `names` and whose output is `samples`, quietly."""
    batch = {0: torch.export.Dim("n")}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                maps,
                input_names=names,
                output_names=["samples"],
                opset_version=OPSET,
                dynamic_shapes=((batch,) * len(maps),),
                dynamo=True,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    assert program is not None
    return program.model_proto


def _store_half(body: onnx.GraphProto) -> None:
    """Store large initialisers as float16, each cast to float32 where it is used."""
    casts = []
    for initialiser in body.initializer:
        values = numpy_helper.to_array(initialiser)
        if values.dtype != np.float32 or values.size < _HALF_FROM:
            continue
        name = initialiser.name
        half = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        initialiser.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], name, to=TensorProto.FLOAT))
    nodes = [*casts, *body.node]
    del body.node[:]
    body.node.extend(nodes)
