"""Samples of a raster; those of a large one in a file, not in memory."""

from collections.abc import Sequence
from math import prod
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.image.files import let_go

_LARGE = 128 << 20
"""Bytes of samples from which on they lie in a file."""
_ROWS_AT_ONCE = 1024


def read_samples(dataset: Any, bands: Sequence[int]) -> NDArray[Any]:
    """Return the samples (bands, rows, cols) of some bands of an open dataset.

    Many are mapped, to be read, from a file without a name that ends with them: whoever is done
    with some can let go of their memory (`onboard.image.files.let_go`).
    """
    shape = len(bands), dataset.height, dataset.width
    dtype = np.dtype(dataset.dtypes[0])
    if prod(shape) * dtype.itemsize < _LARGE:
        samples: NDArray[Any] = dataset.read(bands)
        return samples
    with TemporaryFile() as file:
        image = np.memmap(file, dtype, "w+", shape=shape)
        for first in range(0, dataset.height, _ROWS_AT_ONCE):
            rows = slice(first, min(first + _ROWS_AT_ONCE, dataset.height))
            image[:, rows] = dataset.read(bands, window=((rows.start, rows.stop), (0, shape[2])))
            let_go(image)
        return np.memmap(file, dtype, "r", shape=shape)
