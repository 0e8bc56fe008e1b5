"""Plane session: a lapped transform in numpy or an inference engine (SPEC.md, section 9)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.engine.engines import check_engine, import_engine, open_ort
from onboard.errors import BundleError


class PlaneSession(Protocol):
    """A lapped transform, ready to run."""

    @property
    def engine(self) -> str:
        """Name of the engine, one of `ENGINES`."""

    def run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return latents (n, rows/8, cols/8, 64) of integer planes (n, rows, cols)."""


@dataclass(frozen=True)
class _NumpyPlanes:
    """numpy itself: the transform is one matrix product."""

    _transform: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    engine: str = "numpy"

    def run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._transform(planes)


@dataclass(frozen=True)
class _OrtPlanes:
    """onnxruntime: any number of planes of any size."""

    _session: Any
    engine: str = "ort"

    def run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        wide = np.pad(planes, ((0, 0), (4, 4), (4, 4)), mode="symmetric")[:, None]
        try:
            latents = self._session.run(None, {"planes": np.ascontiguousarray(wide)})[0]
        except Exception as error:
            raise BundleError(f"engine ort: {error}") from error
        found: NDArray[np.float32] = latents.transpose(0, 2, 3, 1)
        return found


@dataclass(frozen=True)
class _LitePlanes:
    """LiteRT or tflite_runtime: a square of one plane at a time."""

    engine: str
    _interpreter: Any
    _input: int
    _output: int
    _side: int

    def run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        count, rows, cols = planes.shape
        side = self._side
        # What lies beyond the border mirrors what is within, so latents within do not change.
        fill = ((0, 0), (4, 4 + -rows % side), (4, 4 + -cols % side))
        wide = np.pad(planes, fill, mode="symmetric")
        sides = -(-rows // side), -(-cols // side)
        latents = np.empty((count, sides[0] * side // 8, sides[1] * side // 8, 64), np.float32)
        for plane, row, col in np.ndindex(count, *sides):
            part = wide[plane, row * side :, col * side :][: side + 8, : side + 8, None]
            try:
                self._interpreter.set_tensor(self._input, np.ascontiguousarray(part)[None])
                self._interpreter.invoke()
            except Exception as error:
                raise BundleError(f"engine {self.engine}: {error}") from error
            found = self._interpreter.get_tensor(self._output)[0]
            to_row, to_col = row * side // 8, col * side // 8
            latents[plane, to_row : to_row + side // 8, to_col : to_col + side // 8] = found
        return latents[:, : rows // 8, : cols // 8]


def open_plane_session(
    onnx: bytes,
    tflite: bytes,
    transform: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    engine: str | None = None,
    threads: int = 1,
) -> PlaneSession:
    """Open the lapped transform in an engine; without a name in numpy, which needs no other.

    Args:
        onnx: part `encoder.onnx` of a bundle.
        tflite: part `encoder.tflite` of the same bundle.
        transform: lapped transform in numpy.
        engine: name of the engine, one of `ENGINES`; None for numpy.
        threads: number of threads of the engine, at least 1.

    Raises:
        UsageError: there is no such engine, or `threads` is less than 1.
        EngineError: the engine is not installed or cannot run here.
        BundleError: the engine refuses the graph.
    """
    check_engine(engine, threads)
    if engine in (None, "numpy"):
        return _NumpyPlanes(transform)
    module = import_engine(engine)
    if engine == "ort":
        return _OrtPlanes(open_ort(module, onnx, threads))
    try:
        interpreter = module.Interpreter(model_content=tflite, num_threads=threads)
        interpreter.allocate_tensors()
        places = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    except Exception as error:
        raise BundleError(f"engine {engine} refuses the graph: {error}") from error
    shape = places[0]["shape"].tolist()
    if len(shape) != 4 or shape != [1, shape[1], shape[1], 1] or shape[1] < 16 or shape[1] % 8:
        raise BundleError(f"encoder graph: expected squares of planes and 8 more, found {shape}")
    side = shape[1] - 8
    return _LitePlanes(engine, interpreter, places[0]["index"], places[1]["index"], side)
