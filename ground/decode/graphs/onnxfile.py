"""ONNX file: weights and metadata of a graph, read without a runtime.

Of Protocol Buffers that is the wire format alone, of the message `ModelProto` the few fields named
here (onnx.proto, ONNX 1.17).
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.errors import BundleError

_GRAPH, _METADATA = 7, 14
"""Of `ModelProto`."""
_NODE, _INITIALIZER = 1, 5
"""Of `GraphProto`."""
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9
"""Of `TensorProto`."""
_KEY, _VALUE = 1, 2
"""Of `StringStringEntryProto`."""
_FLOAT = 1
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


@dataclass(frozen=True)
class OnnxFile:
    """What an ONNX file holds.

    Attributes:
        nodes: SHA-256 of all nodes, constants and names included, weights not.
        weights: float32 initializers that the file itself holds, by name.
        metadata: keys and values that it carries.
    """

    nodes: str
    weights: Mapping[str, NDArray[np.float32]]
    metadata: dict[str, str]

    @classmethod
    def read(cls, content: bytes) -> "OnnxFile":
        """Read a file.

        Raises:
            BundleError: it is none, or damaged.
        """
        nodes = hashlib.sha256()
        weights: dict[str, NDArray[np.float32]] = {}
        metadata: dict[str, str] = {}
        try:
            for number, model in _fields(memoryview(content)):
                if number == _METADATA:
                    entry = dict(_fields(_view(model)))
                    metadata[_text(entry[_KEY])] = _text(entry[_VALUE])
                for part, found in _fields(_view(model)) if number == _GRAPH else ():
                    if part == _NODE:
                        nodes.update(_view(found))
                    elif part == _INITIALIZER:
                        weights |= _weight(_view(found))
        except (KeyError, ValueError) as error:
            raise BundleError(f"decoder graph: expected an ONNX file: {error}") from error
        return cls(nodes.hexdigest(), weights, metadata)


def _weight(tensor: memoryview) -> dict[str, NDArray[np.float32]]:
    """Return a weight by its name, none of another type or elsewhere."""
    shape, told = [], {}
    for number, found in _fields(tensor):
        if number == _DIMS:
            shape += list(_numbers(found))
        told[number] = found
    if told.get(_DATA_TYPE) != _FLOAT or _RAW_DATA not in told:
        return {}
    values = np.frombuffer(_view(told[_RAW_DATA]), "<f4").astype(np.float32, copy=False)
    return {_text(told[_NAME]): values.reshape(shape)}


def _numbers(found: int | memoryview) -> Iterator[int]:
    """Yield a number, or those that are packed together."""
    if isinstance(found, int):
        yield found
        return
    place = 0
    while place < len(found):
        number, place = _varint(found, place)
        yield number


def _view(found: int | memoryview) -> memoryview:
    if isinstance(found, int):
        raise ValueError("a number where bytes belong")
    return found


def _text(found: int | memoryview) -> str:
    return bytes(_view(found)).decode()


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a message: number and value, a varint or bytes.

    Raises:
        ValueError: it is cut short, or none.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind, found = key & 7, 0
        if kind == _VARINT:
            found, place = _varint(message, place)
            yield key >> 3, found
            continue
        sizes = {_FIXED_64: 8, _FIXED_32: 4}
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in sizes:
            size = sizes[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if place + size > len(message):
            raise ValueError("cut short")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the varint at a place, and the place after it."""
    number = 0
    for shift in range(_LONGEST_VARINT):
        if place + shift >= len(message):
            break
        byte = message[place + shift]
        number |= (byte & 127) << 7 * shift
        if byte < 128:
            return number, place + shift + 1
    raise ValueError("cut short")
