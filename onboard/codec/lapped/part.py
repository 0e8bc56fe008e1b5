"""Parts of a lapped bundle, both directions: `lapped`, which is the model, and `golden`.

(SPEC.md, section 12.)
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import BLOCK, FREQUENCIES, LATTICES, LEVELS, ContextModel
from onboard.codec.lapped.frontends.frontend import FrontEnd
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.quantizers.quantisation import LARGEST_WORD, Quantisation
from onboard.codec.lapped.tables import MAX_GROUPS, SYMBOLS, Tables, rows_of
from onboard.codec.lapped.transform import SUB_STEPS, LappedTransform
from onboard.errors import BundleError
from onboard.link.segment import MAX_LAYERS

MAX_BANDS = 16
MOST_CUTS = MAX_LAYERS - LATTICES
"""Layer 0 has no symbols; the last cut begins none."""


class _Field(NamedTuple):
    """An array of the part `lapped`.

    Attributes:
        owner: attribute of the model whose attribute it is.
        name: attribute of the owner.
        wire: type in the part.
        kind: type in memory.
        shape: its shape.
    """

    owner: str
    name: str
    wire: str
    kind: str
    shape: tuple[int, ...]


def _fields(bands: int, groups: int) -> list[_Field]:
    """Return the arrays of the part, in order."""
    channels = bands * FREQUENCIES
    ac = channels - bands
    filters = (FREQUENCIES, 2 * BLOCK, 2 * BLOCK)
    return [
        _Field("transform", "analysis", "i1", "i1", filters),
        _Field("transform", "synthesis", ">i2", "i2", filters),
        _Field("transform", "mantissas", ">u2", "i4", (SUB_STEPS,)),
        _Field("contexts", "order", ">u2", "i8", (channels,)),
        _Field("contexts", "same", ">u2", "u2", (channels, ac)),
        _Field("contexts", "near", ">u2", "u2", (channels, ac)),
        _Field("contexts", "slope", ">u2", "u2", (2 * bands, ac)),
        _Field("contexts", "bias", ">u2", "u2", (ac,)),
        _Field("contexts", "dc", ">u2", "u2", (2, 4 * bands, bands)),
        _Field("contexts", "dc_bias", ">u2", "u2", (LATTICES, bands)),
        _Field("quantisation", "dead", ">u2", "i4", (groups * LEVELS,)),
        _Field("quantisation", "rounding", ">u2", "i4", (groups * LEVELS,)),
        _Field("quantisation", "codewords", ">u2", "u2", (rows_of(groups), LARGEST_WORD)),
        _Field("tables", "frequencies", ">u2", "u2", (rows_of(groups), SYMBOLS)),
        _Field("tables", "shifts", "u1", "u1", (LEVELS,)),
    ]


def pack(model: LappedModel) -> bytes:
    """Return the part `lapped`."""
    packed = b""
    for field in _fields(model.front_end.bands, len(model.tables.groups)):
        array = getattr(getattr(model, field.owner), field.name)
        packed += np.asarray(array).reshape(field.shape).astype(field.wire).tobytes()
    return packed


def wire_entry(model: LappedModel) -> dict[str, Any]:
    """Return the numbers of the wire manifest that are not in the part."""
    return {
        "kind": "rans",
        "cuts": list(model.contexts.cuts),
        "groups": list(model.tables.groups),
        "skip": model.quantisation.skip,
    }


def unpack(packed: bytes, entry: dict[str, Any], front_end: FrontEnd) -> LappedModel:
    """Read and check what `pack` wrote.

    Args:
        packed: the part `lapped`.
        entry: the wire manifest's `coder`.
        front_end: the front end that the bundle names.

    Raises:
        BundleError: sizes or values do not fit together.
    """
    bands = front_end.bands
    if not 2 <= bands <= MAX_BANDS:
        raise BundleError(f"bands: the lapped codec takes 2..{MAX_BANDS}, found {bands}")
    cuts, skip, groups = entry["cuts"], entry["skip"], entry["groups"]
    if not _are_numbers(groups) or not 0 < len(groups) <= MAX_GROUPS:
        raise BundleError(f"coder groups: expected 1..{MAX_GROUPS} integers, found {groups!r:.80}")
    arrays: defaultdict[str, dict[str, NDArray[Any]]] = defaultdict(dict)
    position = 0
    for owner, name, wire, kind, shape in _fields(bands, len(groups)):
        length = np.dtype(wire).itemsize * int(np.prod(shape))
        if position + length > len(packed):
            raise BundleError(f"part lapped: cut short in {name}")
        flat = np.frombuffer(packed[position : position + length], wire)
        arrays[owner][name] = flat.reshape(shape).astype(kind)
        position += length
    if position != len(packed):
        raise BundleError(f"part lapped: expected {position} bytes, found {len(packed)}")
    _check(arrays["contexts"]["order"], cuts, skip, bands)
    return LappedModel(
        front_end,
        LappedTransform(**arrays["transform"]),
        ContextModel(cuts=tuple(cuts), **arrays["contexts"]),
        Quantisation(**{"skip": skip, **arrays["quantisation"]}),
        Tables(groups=tuple(groups), **arrays["tables"]),
    )


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int for value in values)


def _check(order: NDArray[Any], cuts: Any, skip: Any, bands: int) -> None:
    """Refuse an order that is none, cuts that do not rise, a level that is not there."""
    channels = bands * FREQUENCIES
    dc = [band * FREQUENCIES for band in range(bands)]
    if sorted(order.tolist()) != list(range(channels)) or order[:bands].tolist() != dc:
        raise BundleError("part lapped: the order of channels is not one, or DC is not first")
    if not _are_numbers(cuts) or not 2 <= len(cuts) <= MOST_CUTS:
        raise BundleError(f"coder cuts: expected 2..{MOST_CUTS} integers, found {cuts!r:.80}")
    rising = all(a < b for a, b in pairwise(cuts))
    if cuts[0] != bands or cuts[-1] != channels or not rising:
        raise BundleError(f"coder cuts: expected to rise from {bands} to {channels}: {cuts}")
    if type(skip) is not int or not -1 <= skip < LEVELS - 1:
        raise BundleError(f"coder skip: expected -1..{LEVELS - 2}, found {skip!r:.40}")


@dataclass(frozen=True)
class GoldenTile:
    """A golden vector: a tile and all its layers as one body.

    Attributes:
        samples: u16 (bands, tile, tile) in DN.
        step: step code.
        body: the body, tile state first.
    """

    samples: NDArray[np.uint16]
    step: int
    body: bytes


def pack_golden(tiles: Sequence[GoldenTile]) -> bytes:
    """Return the part `golden`."""
    packed = len(tiles).to_bytes(2, "big")
    for tile in tiles:
        packed += bytes([tile.step]) + len(tile.body).to_bytes(2, "big")
        packed += tile.samples.astype(">u2").tobytes() + tile.body
    return packed


def unpack_golden(packed: bytes, bands: int, size: int) -> tuple[GoldenTile, ...]:
    """Read what `pack_golden` wrote.

    Args:
        packed: the part `golden`.
        bands: bands of a tile.
        size: rows and columns of a tile.

    Raises:
        BundleError: the part does not hold what it promises.
    """
    position, found = 2, []
    samples = bands * size * size
    for _ in range(int.from_bytes(packed[:2], "big")):
        length = int.from_bytes(packed[position + 1 : position + 3], "big")
        stop = position + 3 + 2 * samples + length
        if stop > len(packed):
            break
        tile = np.frombuffer(packed, ">u2", samples, position + 3).astype(np.uint16)
        body = packed[stop - length : stop]
        if not body:
            raise BundleError("golden vectors: a tile without a body")
        found.append(GoldenTile(tile.reshape(bands, size, size), packed[position], body))
        position = stop
    if position != len(packed) or len(found) != int.from_bytes(packed[:2], "big"):
        raise BundleError(f"golden vectors: {len(packed)} bytes do not hold what they promise")
    return tuple(found)
