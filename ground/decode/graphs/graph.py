"""Float graph: a decoder network in onnxruntime."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.engine.engines import import_engine, open_ort
from onboard.errors import BundleError


class Graph(Protocol):
    """A decoder network, ready to run."""

    def run(self, maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the one output for one float32 array per input."""


class NamedGraph(Graph, Protocol):
    """A decoder network that says of which model it is."""

    @property
    def metadata(self) -> dict[str, str]:
        """Keys and values that its file carries, `model_hash` among them."""


class Unrefined:
    """Stands in for a network that refines an image: the image goes through as it is."""

    def run(self, maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the first input."""
        return maps[0]


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
            given = map(np.ascontiguousarray, maps)
            found = self._session.run(None, dict(zip(names, given, strict=True)))
        except Exception as error:
            raise BundleError(f"decoder graph: {error}") from error
        output: NDArray[np.float32] = found[0]
        return output


def for_model(graph: bytes, old: str, new: str) -> bytes:
    """Return a decoder graph that names another model; no more of the file changes.

    Args:
        graph: ONNX file.
        old: model hash that it names, 64 digits.
        new: model hash to name.

    Raises:
        BundleError: it does not name the old one, once.
    """
    found = graph.count(old.encode())
    if found != 1 or len(old) != len(new):
        raise BundleError(f"decoder graph: expected to name model {old[:8]} once, found {found}")
    return graph.replace(old.encode(), new.encode())


def open_float_session(model: bytes, threads: int = 1) -> FloatSession:
    """Open a float ONNX file in onnxruntime.

    Raises:
        EngineError: onnxruntime is not installed.
        BundleError: it refuses the file, or the file has not exactly one output.
    """
    session = open_ort(import_engine("ort"), model, threads)
    if len(session.get_outputs()) != 1:
        raise BundleError(f"decoder graph: expected 1 output, found {len(session.get_outputs())}")
    return FloatSession(session)
