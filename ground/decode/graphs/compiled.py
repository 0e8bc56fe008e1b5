"""Compiled graph: the refinement network in the library of engine `c`, in place of onnxruntime.

It takes the weights of the decoder graph, if that is of the form that `export` gives it, and less
than half of the multiplications: convolutions make 2 x 2 cells at a time (Winograd). Refined
numbers differ by how sums are rounded.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ground.decode.graphs.onnxfile import OnnxFile
from onboard.engine.library import Library, aligned
from onboard.errors import BundleError

ALIGNED_CELLS = 2
"""Cells that are made at a time along rows and columns: a cell's numbers are the same in each part
that begins with a multiple of so many."""
_FORM = "a5c69db11acfcf0b2159353a596f9b15846350bc0c2ca0ee7c78ab9a07e5103e"
"""Nodes of a graph that does what the library does: see `export.lapped.graph`."""
_BLOCKS, _DEPTH, _BANDS, _CELL = 4, 64, 4, 4
_TOLD = 4
"""Numbers that a cell's features are made of besides pixels."""
_SPREAD = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
"""What a filter of 3 becomes for 2 results of 4 numbers."""


class CompiledGraph:
    """A decoder network, ready to run; many threads may run it at once."""

    def __init__(self, weights: NDArray[np.float32], library: Library, metadata: dict[str, str]):
        """Take weights as `refine.h` has them."""
        self._weights = aligned(weights.shape, np.float32)
        self._weights[:] = weights
        self._library, self.metadata = library, metadata
        self._rooms: list[NDArray[np.float32]] = []

    @classmethod
    def of(cls, model: bytes, library: Library) -> "CompiledGraph | None":
        """Return what runs an ONNX file; None if that is another form, or better left to others."""
        try:
            found = OnnxFile.read(model)
            if found.nodes != _FORM or not library.size("refines"):
                return None
            parts = [part.reshape(-1) for part in _parts(found.weights)]
        except (BundleError, KeyError, ValueError):
            return None
        return cls(np.concatenate(parts).astype(np.float32), library, found.metadata)

    def run(self, maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the refined image (1, 4, rows, cols) DN.

        Args:
            maps: image in DN; step, known (1, 1, rows / 4, cols / 4) and border (1, 2, ...) of its
                cells: see `ground.train.lapped.model.Refinement`.

        Raises:
            BundleError: they are others.
        """
        image, *of_cells = maps
        rows, cols = (side // _CELL for side in image.shape[-2:])
        shapes = [(1, _BANDS, _CELL * rows, _CELL * cols)]
        shapes += [(1, planes, rows, cols) for planes in (1, 1, 2)]
        if [part.shape for part in maps] != shapes:
            raise BundleError(
                f"decoder graph: expected maps {shapes}, found {[part.shape for part in maps]}"
            )
        if image.strides[-1] != image.itemsize or min(image.strides) < 0:
            image = np.ascontiguousarray(image)
        apart = (np.uint64(stride // image.itemsize) for stride in image.strides[1:3])
        cells = (np.ascontiguousarray(part, np.float32) for part in of_cells)
        refined, room = np.empty(shapes[0], np.float32), self._room(rows, cols)
        sizes = _BLOCKS, rows, cols
        self._library.run("refine", self._weights, *sizes, image, *apart, *cells, room, refined)
        self._rooms.append(room)
        return refined

    def _room(self, rows: int, cols: int) -> NDArray[np.float32]:
        """Return a room to work in: as many are kept as there are threads at work."""
        size = self._library.size("refine_room", rows, cols)
        try:
            room = self._rooms.pop()
        except IndexError:
            return aligned((size,), np.float32)
        return room if len(room) >= size else aligned((size,), np.float32)


def _parts(weights: Mapping[str, NDArray[np.float32]]) -> Iterator[NDArray[np.float64]]:
    """Yield the weights of a network in the order of `refine.h`.

    Raises:
        KeyError: one is missing.
        ValueError: one has another shape.
    """

    def take(name: str, *shape: int) -> NDArray[np.float64]:
        found = weights[name]
        if found.shape != shape:
            raise ValueError(f"{name}: expected {shape}, found {found.shape}")
        return found.astype(np.float64)

    square = _CELL, _CELL
    head = take("head.weight", _DEPTH, 2 * _BANDS, *square).reshape(_DEPTH, -1)
    side = take("side.weight", _DEPTH, _TOLD, 1, 1).reshape(_DEPTH, -1)
    yield np.concatenate([head, side, take("head.bias", _DEPTH)[:, None]], axis=1).T
    for name in (f"blocks.{block}.{layer}" for block in range(_BLOCKS) for layer in (0, 2)):
        filters = _SPREAD @ take(f"{name}.weight", _DEPTH, _DEPTH, 3, 3) @ _SPREAD.T
        yield filters.transpose(2, 3, 1, 0)
        yield take(f"{name}.bias", _DEPTH)
    tail = take("tail.weight", _DEPTH, _BANDS, *square).reshape(_DEPTH, -1)
    yield np.concatenate([tail, take("tail.bias", _BANDS).repeat(_CELL * _CELL)[None]])
