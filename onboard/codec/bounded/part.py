"""Part `bounded` of a bundle, both directions: a model's integers (SPEC.md, section 20)."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded import golden
from onboard.codec.bounded.model import COEFFICIENTS, ROLES, WEIGHTS, BoundedModel
from onboard.codec.bounded.tables import LEVELS, SYMBOLS, Tables
from onboard.errors import BundleError


class _Field(NamedTuple):
    """An array of the part."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape))


_FIELDS = (
    _Field("coefficients", ">i2", (ROLES, COEFFICIENTS)),
    _Field("spreads", ">u1", (ROLES, COEFFICIENTS)),
    _Field("weights", ">u2", (ROLES, WEIGHTS)),
    _Field("bias", ">u2", (ROLES,)),
    _Field("frequencies", ">u2", (LEVELS, SYMBOLS)),
)
_SUM = ">u4"
PART_BYTES = sum(field.size for field in _FIELDS) + 4 * len(golden.BOUNDS)


def pack(model: BoundedModel) -> bytes:
    """Return the part of a model."""
    arrays = {**vars(model), "frequencies": model.tables.frequencies}
    packed = b"".join(arrays[field.name].astype(field.dtype).tobytes() for field in _FIELDS)
    return packed + np.array(golden.checksums(golden.in_numpy(model)), _SUM).tobytes()


def unpack(packed: bytes) -> tuple[BoundedModel, tuple[int, ...]]:
    """Return the model of a part, and the checksums of its golden tiles.

    Raises:
        BundleError: another length, or values outside what the codec allows.
    """
    if len(packed) != PART_BYTES:
        raise BundleError(f"part bounded: expected {PART_BYTES} bytes, found {len(packed)}")
    arrays: dict[str, NDArray[Any]] = {}
    place = 0
    for field in _FIELDS:
        stored = np.frombuffer(packed[place : place + field.size], field.dtype)
        arrays[field.name] = stored.reshape(field.shape).astype(field.dtype[1:])
        place += field.size
    tables = Tables(arrays["frequencies"])
    sums = np.frombuffer(packed[place:], _SUM).tolist()
    coefficients, spreads, weights, bias = (arrays[field.name] for field in _FIELDS[:-1])
    return BoundedModel(coefficients, spreads, weights, bias, tables), tuple(sums)
