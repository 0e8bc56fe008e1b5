"""Network session: an int8 encoder graph in an inference engine. Plain numpy arrays cross it.

Every engine takes int8 samples (bands, tile, tile) and gives int8 latents (dims, rows, cols),
whatever its own types and layouts are (SPEC.md, section 7).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.engine.engines import check_engine, first_engine, import_engine, open_ort
from onboard.errors import BundleError, EngineError


class Session(Protocol):
    """An encoder graph, ready to run."""

    @property
    def engine(self) -> str:
        """Name of the engine, one of `ENGINES`."""

    def run(self, samples: NDArray[np.int8]) -> list[NDArray[np.int8]]:
        """Return the latents (dims, rows, cols) of samples (bands, tile, tile), coarse to fine.

        Raises:
            BundleError: the graph takes another shape than `samples` has, or fails.
        """


def open_session(
    onnx: bytes, tflite: bytes, levels: int, engine: str | None = None, threads: int = 1
) -> Session:
    """Open the encoder graph in an engine; without a name in the first that is there.

    Args:
        onnx: part `encoder.onnx` of a bundle.
        tflite: part `encoder.tflite` of the same bundle.
        levels: number of latents that the graph must give.
        engine: name of the engine, one of `ENGINES`; None tries ort, litert and tflite, in this
            order.
        threads: number of threads of the engine, at least 1.

    Raises:
        UsageError: there is no such engine, or `threads` is less than 1.
        EngineError: the engine is not installed or cannot run here.
        BundleError: the engine refuses the graph, or its inputs and outputs do not fit.
    """
    check_engine(engine, threads)
    if engine in ("c", "numpy"):
        raise EngineError(f"engine {engine}: cannot run int8 networks; use ort, litert or tflite")
    name, module = first_engine() if engine is None else (engine, import_engine(engine))
    session: Session
    if name == "ort":
        session = _OrtSession.open(module, onnx, levels, threads)
    else:
        session = _LiteSession.open(name, module, tflite, levels, threads)
    return session


def _check_input(found: Sequence[Any], bands_axis: int, kind_fits: bool) -> tuple[int, int, int]:
    """Return (bands, tile, tile) of the graph's input from its whole shape."""
    sides = list(found)
    if len(sides) == 4 and kind_fits and all(isinstance(side, int) for side in sides):
        bands = sides.pop(bands_axis)
        one, rows, cols = sides
        if one == 1 and rows == cols:
            return bands, rows, cols
    raise BundleError(f"encoder graph: input of unexpected shape or type: {list(found)}")


def _check_outputs(found: Sequence[tuple[Sequence[Any], bool]], levels: int, tile: int) -> None:
    """Check the outputs, given as (dims, rows, cols) and whether the type is int8."""
    if len(found) != levels:
        raise BundleError(f"encoder graph: expected {levels} outputs, found {len(found)}")
    before = 0
    for number, (shape, fits) in enumerate(found, 1):
        _, rows, cols = shape
        if not fits or rows != cols or rows <= before or tile % rows:
            raise BundleError(
                f"encoder graph: output {number}: expected a square int8 map that divides the tile "
                f"of {tile} and is finer than the one before, found {rows}x{cols}"
            )
        before = rows


def _check_samples(samples: NDArray[np.int8], shape: tuple[int, int, int]) -> None:
    if samples.shape != shape or samples.dtype != np.int8:
        raise BundleError(
            f"encoder graph: takes int8 {shape}, asked to encode {samples.dtype} {samples.shape}"
        )


@dataclass(frozen=True)
class _OrtSession:
    """onnxruntime: unsigned bytes in, (batch, channels, rows, cols)."""

    _session: Any
    _shape: tuple[int, int, int]
    engine: str = "ort"

    @classmethod
    def open(cls, module: Any, model: bytes, levels: int, threads: int) -> "_OrtSession":
        session = open_ort(module, model, threads)
        inputs = session.get_inputs()
        fits = [entry.name for entry in inputs] == ["samples"] and inputs[0].type == "tensor(uint8)"
        shape = _check_input(inputs[0].shape if inputs else [], 1, fits)
        outputs = session.get_outputs()
        names = [entry.name for entry in outputs]
        if names != [f"level{number}" for number in range(1, levels + 1)]:
            raise BundleError(f"encoder graph: expected {levels} levels as outputs, found {names}")
        if any(len(entry.shape) != 4 for entry in outputs):
            raise BundleError("encoder graph: expected outputs (1, dims, rows, cols)")
        found = [(entry.shape[1:], entry.type == "tensor(int8)") for entry in outputs]
        _check_outputs(found, levels, shape[1])
        return cls(session, shape)

    def run(self, samples: NDArray[np.int8]) -> list[NDArray[np.int8]]:
        _check_samples(samples, self._shape)
        # Flipping the top bit of two's complement adds 128.
        unsigned = samples[None].view(np.uint8) ^ np.uint8(128)
        try:
            found = self._session.run(None, {"samples": unsigned})
        except Exception as error:
            raise BundleError(f"engine ort: {error}") from error
        return [latents[0] for latents in found]


@dataclass(frozen=True)
class _LiteSession:
    """LiteRT or its predecessor tflite_runtime: signed bytes, (batch, rows, cols, channels)."""

    engine: str
    _interpreter: Any
    _input: int
    _outputs: tuple[int, ...]
    _shape: tuple[int, int, int]

    @classmethod
    def open(
        cls, engine: str, module: Any, model: bytes, levels: int, threads: int
    ) -> "_LiteSession":
        try:
            interpreter = module.Interpreter(model_content=model, num_threads=threads)
            interpreter.allocate_tensors()
            inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        except Exception as error:
            raise BundleError(f"engine {engine} refuses the graph: {error}") from error
        fits = len(inputs) == 1 and inputs[0]["dtype"] == np.int8
        shape = _check_input(inputs[0]["shape"].tolist() if inputs else [], 3, fits)
        if any(len(entry["shape"]) != 4 for entry in outputs):
            raise BundleError("encoder graph: expected outputs (1, rows, cols, dims)")
        found = [
            ((dims, rows, cols), entry["dtype"] == np.int8)
            for entry in outputs
            for _, rows, cols, dims in [entry["shape"].tolist()]
        ]
        _check_outputs(found, levels, shape[1])
        indices = tuple(entry["index"] for entry in outputs)
        return cls(engine, interpreter, inputs[0]["index"], indices, shape)

    def run(self, samples: NDArray[np.int8]) -> list[NDArray[np.int8]]:
        _check_samples(samples, self._shape)
        try:
            self._interpreter.set_tensor(self._input, samples.transpose(1, 2, 0)[None])
            self._interpreter.invoke()
        except Exception as error:
            raise BundleError(f"engine {self.engine}: {error}") from error
        found = (self._interpreter.get_tensor(index)[0] for index in self._outputs)
        return [np.ascontiguousarray(latents.transpose(2, 0, 1)) for latents in found]
