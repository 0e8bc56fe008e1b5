"""Verify: what int8 costs, fp32 against ONNX int8 and TFLite int8 on the same scenes."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from ground import metrics
from ground.decode.graphs.graph import Graph
from ground.scene import Scene
from onboard.bundle import Bundle
from onboard.codec.corsa.codec import CorsaCodec
from onboard.codec.corsa.quantizer import PREDICTION_SHIFT, UNITS_PER_LATENT, Level, quantise
from onboard.errors import InputError
from onboard.image.nodata import has_data
from onboard.image.tiles import TileGrid

LARGEST_LOSS_DB = 0.3
Maps = list[NDArray[np.uint16]]


def float_graph(encoder: bytes) -> bytes:
    """Return the QDQ encoder with all roundings of activations taken out.

    What is left is the network in fp32 with the weights of the int8 one; outputs stay in int8
    units, not rounded or clipped. A tensor quantised with zero point 0 came out of a ReLU.
    """
    model = onnx.load_from_string(encoder)
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    outputs = {output.name for output in model.graph.output}
    nodes = []
    for node in model.graph.node:
        first = node.input[0]
        rounds_activation = first not in constants and first != "samples"
        made = node
        if node.op_type == "QuantizeLinear" and node.output[0] in outputs:
            made = helper.make_node("Div", node.input[:2], node.output)
        elif node.op_type == "QuantizeLinear":
            kind = "Relu" if int(constants[node.input[2]]) == 0 else "Identity"
            made = helper.make_node(kind, [first], node.output)
        elif node.op_type == "DequantizeLinear" and rounds_activation:
            made = helper.make_node("Identity", [first], node.output)
        nodes.append(made)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for output in model.graph.output:
        output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return bytes(model.SerializeToString())


def float_maps(levels: Iterable[Level], latents: Iterable[NDArray[np.float32]]) -> Maps:
    """Quantise unrounded latents (in units of int8, coarse to fine), all in floating point."""
    maps: Maps = []
    known: NDArray[np.float32] | None = None
    for level, latent in zip(levels, latents, strict=True):
        predicted = np.zeros_like(latent)
        if known is not None and level.prediction is not None:
            matrix = level.prediction.astype(np.float32) / (1 << PREDICTION_SHIFT)
            quarters = np.einsum("abij,jrc->iracb", matrix, known)
            predicted = quarters.reshape(latent.shape)
        codewords = level.codebook.codewords.astype(np.float32)
        vectors = (UNITS_PER_LATENT * latent - predicted).reshape(len(latent), -1).T
        scores = np.square(codewords).sum(1) - 2 * vectors @ codewords.T
        indices = scores.argmin(1).reshape(latent.shape[1:])
        known = predicted + codewords[indices].transpose(2, 0, 1)
        maps.append(indices.astype(np.uint16))
    return maps


@dataclass(frozen=True)
class Verdict:
    """Result of a verification.

    Attributes:
        psnr16: mean over tiles in dB, by path: 'fp32', 'ort', 'litert'.
        agreement: share of equal indices in percent, by pair of paths.
        passed: no int8 path costs more than LARGEST_LOSS_DB against fp32.
    """

    psnr16: Mapping[str, float]
    agreement: Mapping[str, float]
    tiles: int
    passed: bool


class Verification:
    """The three encoders of a bundle, and its decoder."""

    def __init__(
        self,
        bundle: Bundle,
        decoder: Graph,
        reference: Callable[[NDArray[np.int8]], tuple[Maps, NDArray[np.float32]]] | None = None,
    ) -> None:
        """Open the engines.

        Args:
            bundle: to verify.
            decoder: its decoder graph.
            reference: int8 samples of a tile to index maps and decoded samples in fp32; by default
                the bundle's own network with all roundings of activations taken out.
        """
        self.bundle, self.decoder = bundle, decoder
        self.codec = CorsaCodec.of(bundle.codec)
        self.encoders = {engine: self.codec.open(engine) for engine in ("ort", "litert")}
        self.reference = reference or self._own_reference()

    def _own_reference(self) -> Callable[[NDArray[np.int8]], tuple[Maps, NDArray[np.float32]]]:
        session = onnxruntime.InferenceSession(
            float_graph(self.bundle.parts["encoder.onnx"]), providers=["CPUExecutionProvider"]
        )

        def run(samples: NDArray[np.int8]) -> tuple[Maps, NDArray[np.float32]]:
            shifted = (samples.astype(np.int16) + 128).astype(np.uint8)
            latents = [maps[0] for maps in session.run(None, {"samples": shifted[None]})]
            maps = float_maps(self.codec.levels, latents)
            return maps, self.synthesise(maps)

        return run

    def synthesise(self, maps: Maps) -> NDArray[np.float32]:
        """Decode index maps to samples (bands, tile, tile) in int8 units."""
        inputs = [
            level.codebook.codewords[indices].transpose(2, 0, 1)[None].astype(np.float32)
            for level, indices in zip(self.codec.levels, maps, strict=True)
        ]
        samples: NDArray[np.float32] = self.decoder.run(inputs)[0]
        return samples

    def run(self, scenes: Iterable[Scene]) -> Verdict:
        """Send every whole tile of the scenes through all paths."""
        errors: dict[str, list[float]] = {}
        same: dict[str, int] = {}
        total = tiles = 0
        for tile in _whole_tiles(scenes, self.bundle):
            maps, squared = self._measure(tile)
            for path, error in squared.items():
                errors.setdefault(path, []).append(error)
            for pair in (("fp32", "ort"), ("fp32", "litert"), ("ort", "litert")):
                equal = [a == b for a, b in zip(maps[pair[0]], maps[pair[1]], strict=True)]
                key = "-".join(pair)
                same[key] = same.get(key, 0) + sum(int(e.sum()) for e in equal)
            total += sum(indices.size for indices in maps["ort"])
            tiles += 1
        if not tiles:
            raise InputError(
                f"verify: expected scenes of {self.bundle.tile} pixels or more, found none"
            )
        psnr16 = {
            path: float(np.mean([_psnr16(error) for error in squared]))
            for path, squared in errors.items()
        }
        worst = min(psnr16["ort"], psnr16["litert"])
        agreement = {pair: 100 * count / total for pair, count in same.items()}
        return Verdict(psnr16, agreement, tiles, psnr16["fp32"] - worst <= LARGEST_LOSS_DB)

    def _measure(self, tile: NDArray[Any]) -> tuple[dict[str, Maps], dict[str, float]]:
        """Return index maps and mean squared error in DN^2 by path."""
        front_end = self.codec.front_end
        present = np.ones(tile.shape[1:], np.bool_)
        side = front_end.analyse(tile, present)
        samples = front_end.normalise(tile, present, side)
        maps, decoded = {}, {}
        maps["fp32"], decoded["fp32"] = self.reference(samples)
        for engine, encoder in self.encoders.items():
            maps[engine] = quantise(self.codec.levels, encoder.session.run(samples))
            decoded[engine] = self.synthesise(maps[engine])
        errors = {}
        for path, found in decoded.items():
            difference = front_end.denormalise(found, side).astype(np.float64) - tile
            errors[path] = float(np.square(difference).mean())
        return maps, errors


def _psnr16(squared: float) -> float:
    """Return the PSNR16 of a mean squared error in DN^2, taken as 0.001 at least."""
    return metrics.psnr_of_level(10 * math.log10(max(squared, 1e-3)), metrics.PEAK_16_BIT)


def _whole_tiles(scenes: Iterable[Scene], bundle: Bundle) -> Iterable[NDArray[Any]]:
    """Yield the tiles that lie wholly inside a scene and have no nodata."""
    for scene in scenes:
        if scene.image.shape[0] != bundle.bands:
            continue
        grid = TileGrid(scene.image.shape[2], scene.image.shape[1], bundle.tile)
        for index in range(grid.count):
            tile = grid.cut(scene.image, index)
            whole = grid.box(index)[2:] == (bundle.tile, bundle.tile)
            if whole and has_data(tile, scene.nodata).all():
                yield tile
