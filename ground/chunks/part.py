"""Part: samples that are written into a chunk, and whether they are all of it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Selection = tuple[Any, ...]
"""Of each dimension of a chunk a slice, an index, or an array of them, as numpy takes them."""


def is_whole(selection: Selection, shape: tuple[int, ...]) -> bool:
    """Return whether a selection takes all of a chunk, in order."""
    return len(selection) == len(shape) and all(map(_is_whole, selection, shape))


def _is_whole(one: Any, size: int) -> bool:
    if isinstance(one, slice):
        return one.indices(size) == (0, size, 1)
    return size == 1 and np.ndim(one) == 0


def whole(samples: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a chunk of samples that are all of it, or of one sample."""
    return samples.reshape(shape) if samples.ndim else np.broadcast_to(samples, shape)


def put(samples: NDArray[Any], selection: Selection, chunk: NDArray[Any]) -> None:
    """Write samples, or one, into a chunk.

    Args:
        samples: of the same type; dimensions of which one index is selected may be left out.
        selection: where they go.
        chunk: what they are written into.
    """
    chunk[selection] = samples.reshape(chunk[selection].shape) if samples.ndim else samples


def is_all(chunk: NDArray[Any], value: Any) -> bool:
    """Return whether all samples of a chunk have a value; most do not at the first look."""
    return bool(chunk.flat[0] == value and (chunk == value).all())
