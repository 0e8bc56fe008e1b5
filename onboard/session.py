"""Session: the only door to the inference engines. Plain numpy arrays cross it.

Every engine takes int8 samples (bands, tile, tile) and gives int8 latents (dims, rows, cols),
whatever its own types and layouts are (SPEC.md, section 7). Engines are imported when asked for.
LiteRT writes one line about its XNNPACK delegate to standard error; it offers no way to stop that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.errors import BundleError, EngineError, UsageError

ENGINES = ("ort", "litert", "tflite", "numpy")
_TRIED = ("ort", "litert", "tflite")
_MODULES = {
    "ort": "onnxruntime",
    "litert": "ai_edge_litert.interpreter",
    "tflite": "tflite_runtime.interpreter",
}
_ORT_FATAL = 4


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
        levels: how many latents the graph must give.
        engine: one of `ENGINES`; None tries ort, litert and tflite in this order.
        threads: threads of the engine, at least 1.

    Raises:
        UsageError: there is no such engine, or `threads` is less than 1.
        EngineError: the engine is not installed or cannot run here.
        BundleError: the engine refuses the graph, or its inputs and outputs do not fit.
    """
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"engine: expected one of {', '.join(ENGINES)}, found {engine!r}")
    if threads < 1:
        raise UsageError(f"threads: expected at least 1, found {threads}")
    if engine == "numpy":
        raise EngineError("engine numpy: cannot run int8 networks; use ort, litert or tflite")
    name, module = _first_engine() if engine is None else (engine, _import(engine))
    session: Session
    if name == "ort":
        session = _OrtSession.open(module, onnx, levels, threads)
    else:
        session = _LiteSession.open(name, module, tflite, levels, threads)
    return session


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
    """LiteRT or tflite_runtime: one plane of a whole tile at a time."""

    engine: str
    _interpreter: Any
    _input: int
    _output: int
    _tile: int

    def run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        _, rows, cols = planes.shape
        # What lies beyond the border mirrors what is within, so latents within do not change.
        fill = ((0, 0), (4, 4 + self._tile - rows), (4, 4 + self._tile - cols))
        wide = np.pad(planes, fill, mode="symmetric")
        latents = []
        for plane in wide:
            try:
                self._interpreter.set_tensor(self._input, plane[None, :, :, None])
                self._interpreter.invoke()
            except Exception as error:
                raise BundleError(f"engine {self.engine}: {error}") from error
            latents.append(self._interpreter.get_tensor(self._output)[0])
        return np.stack(latents)[:, : rows // 8, : cols // 8]


def open_plane_session(
    onnx: bytes,
    tflite: bytes,
    tile: int,
    transform: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    engine: str | None = None,
    threads: int = 1,
) -> PlaneSession:
    """Open the lapped transform in an engine; without a name in numpy, which needs no other.

    Args:
        onnx: part `encoder.onnx` of a bundle.
        tflite: part `encoder.tflite` of the same bundle.
        tile: rows and columns of a tile.
        transform: the same in numpy.
        engine: one of `ENGINES`.
        threads: threads of the engine, at least 1.

    Raises:
        UsageError: there is no such engine, or `threads` is less than 1.
        EngineError: the engine is not installed or cannot run here.
        BundleError: the engine refuses the graph.
    """
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"engine: expected one of {', '.join(ENGINES)}, found {engine!r}")
    if threads < 1:
        raise UsageError(f"threads: expected at least 1, found {threads}")
    if engine in (None, "numpy"):
        return _NumpyPlanes(transform)
    module = _import(engine)
    if engine == "ort":
        return _OrtPlanes(_open_ort(module, onnx, threads))
    try:
        interpreter = module.Interpreter(model_content=tflite, num_threads=threads)
        interpreter.allocate_tensors()
        places = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    except Exception as error:
        raise BundleError(f"engine {engine} refuses the graph: {error}") from error
    shape = places[0]["shape"].tolist()
    if shape != [1, tile + 8, tile + 8, 1]:
        raise BundleError(f"encoder graph: expected planes of {tile + 8}, found {shape}")
    return _LitePlanes(engine, interpreter, places[0]["index"], places[1]["index"], tile)


@dataclass(frozen=True)
class FloatSession:
    """A float graph in onnxruntime: the decoder on the ground."""

    _session: Any

    @property
    def metadata(self) -> dict[str, str]:
        """Keys and values that the file carries, `model_hash` among them."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the one output for one float32 array per input, in the file's order.

        Raises:
            BundleError: the graph takes other inputs, or fails.
        """
        names = [entry.name for entry in self._session.get_inputs()]
        if len(names) != len(maps):
            raise BundleError(f"decoder graph: expected {len(names)} inputs, found {len(maps)}")
        try:
            found = self._session.run(None, dict(zip(names, maps, strict=True)))
        except Exception as error:
            raise BundleError(f"decoder graph: {error}") from error
        output: NDArray[np.float32] = found[0]
        return output


def open_float_session(model: bytes, threads: int = 1) -> FloatSession:
    """Open a float ONNX file in onnxruntime.

    Raises:
        EngineError: onnxruntime is not installed.
        BundleError: it refuses the file, or the file has not exactly one output.
    """
    session = _open_ort(_import("ort"), model, threads)
    if len(session.get_outputs()) != 1:
        raise BundleError(f"decoder graph: expected 1 output, found {len(session.get_outputs())}")
    return FloatSession(session)


def _import(engine: str) -> Any:
    """Import the module of an engine."""
    # Under numpy 2 the module imports, and then its interpreter fails without saying why.
    if engine == "tflite" and int(np.__version__.split(".")[0]) >= 2:
        raise EngineError(f"engine tflite needs numpy < 2, found {np.__version__}")
    try:
        return import_module(_MODULES[engine])
    except ImportError as error:
        raise EngineError(
            f"engine {engine}: {error}; install it with: pip install 'skybook[{engine}]'"
        ) from error


def _first_engine() -> tuple[str, Any]:
    """Return name and module of the first engine that is installed."""
    reasons = []
    for engine in _TRIED:
        try:
            return engine, _import(engine)
        except EngineError as error:
            reasons.append(str(error))
    raise EngineError(f"no inference engine: {'; '.join(reasons)}")


def _open_ort(module: Any, model: bytes, threads: int) -> Any:
    """Open an ONNX file on the CPU, silently."""
    options = module.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ORT_FATAL
    try:
        return module.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(f"engine ort refuses the graph: {error}") from error


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
        session = _open_ort(module, model, threads)
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
