"""Engines: the only door to inference engines, which are imported when asked for.

Engine `c` is the C encoder of a bundle, a library built for this machine: see `library`.

LiteRT writes one line about its XNNPACK delegate to standard error; it offers no way to stop that.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from onboard.errors import BundleError, EngineError, UsageError

ENGINES = ("c", "ort", "litert", "tflite", "numpy")
_TRIED = ("ort", "litert", "tflite")
_MODULES = {
    "ort": "onnxruntime",
    "litert": "ai_edge_litert.interpreter",
    "tflite": "tflite_runtime.interpreter",
}
_ORT_FATAL = 4
_BUILT = Path(__file__).parent / "built"


def library_name(wire: Mapping[str, Any]) -> str:
    """Return what the library of a model is named by: 16 digits, of its wire description."""
    return hashlib.sha256(json.dumps(wire, sort_keys=True).encode()).hexdigest()[:16]


def library_path(name: str) -> Path:
    """Return where the library of a model is, if it is built: in $SKYBOOK_ENGINES, or here."""
    return Path(os.environ.get("SKYBOOK_ENGINES") or _BUILT) / f"skybook-{name}.so"


def check_engine(engine: str | None, threads: int) -> None:
    """Check what is asked of an engine, before any is imported; None leaves its choice open.

    Raises:
        UsageError: there is no such engine, or `threads` is less than 1.
    """
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"engine: expected one of {', '.join(ENGINES)}, found {engine!r}")
    if threads < 1:
        raise UsageError(f"threads: expected at least 1, found {threads}")


def import_engine(engine: str) -> Any:
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


def first_engine() -> tuple[str, Any]:
    """Return name and module of the first engine that is installed."""
    reasons = []
    for engine in _TRIED:
        try:
            return engine, import_engine(engine)
        except EngineError as error:
            reasons.append(str(error))
    raise EngineError(f"no inference engine: {'; '.join(reasons)}")


def open_ort(module: Any, model: bytes, threads: int) -> Any:
    """Open an ONNX file on the CPU, silently."""
    options = module.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ORT_FATAL
    # Without it, processors with AVX2 but no VNNI add pairs of int8 products in 16 bits, saturated.
    options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return module.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(f"engine ort refuses the graph: {error}") from error
