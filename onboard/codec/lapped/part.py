"""Parts of a lapped bundle, both directions: `lapped`, which is the model, and `golden`.

(SPEC.md, section 12.)
"""

import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from onboard.codec.agreement import Agreement
from onboard.codec.lapped.context import (
    BLOCK,
    FREQUENCIES,
    LATTICES,
    LEVELS,
    ContextModel,
    ContextWeights,
)
from onboard.codec.lapped.frontends.frontend import FrontEnd
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.quantizers.points import Points, points_of
from onboard.codec.lapped.quantizers.quantisation import LARGEST_WORD, Quantisation
from onboard.codec.lapped.tables import MAX_GROUPS, SYMBOLS, Tables, rows_of
from onboard.codec.lapped.transform import SUB_STEPS, LappedTransform
from onboard.codec.tile import DEPENDENT, FULL, MAX_BODY, SIGN_HIDING, Chosen, TileCoder
from onboard.errors import BundleError
from onboard.link.segment import MAX_LAYERS

MAX_BANDS = 16
"""Of a scene, and so classes of a model."""
_GOLDEN = struct.Struct(">BBBBH")
"""Bands, rows, fraction bits, step code, length of the body."""
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


def _fields(classes: int, groups: int) -> list[_Field]:
    """Return the arrays of the part, in order."""
    channels = classes * FREQUENCIES
    ac = channels - classes
    filters = (FREQUENCIES, 2 * BLOCK, 2 * BLOCK)
    return [
        _Field("transform", "analysis", "i1", "i1", filters),
        _Field("transform", "synthesis", ">i2", "i2", filters),
        _Field("transform", "mantissas", ">u2", "i4", (SUB_STEPS,)),
        _Field("weights", "order", ">u2", "i8", (channels,)),
        _Field("weights", "same", ">u2", "u2", (channels, ac)),
        _Field("weights", "near", ">u2", "u2", (channels, ac)),
        _Field("weights", "slope", ">u2", "u2", (2 * classes, ac)),
        _Field("weights", "bias", ">u2", "u2", (ac,)),
        _Field("weights", "dc", ">u2", "u2", (2, 4 * classes, classes)),
        _Field("weights", "dc_bias", ">u2", "u2", (LATTICES, classes)),
        _Field("quantisation", "dead", ">u2", "i4", (groups * LEVELS,)),
        _Field("quantisation", "rounding", ">u2", "i4", (groups * LEVELS,)),
        _Field("quantisation", "codewords", ">u2", "u2", (rows_of(groups), LARGEST_WORD)),
        _Field("tables", "frequencies", ">u2", "u2", (rows_of(groups), SYMBOLS)),
        _Field("tables", "shifts", "u1", "u1", (LEVELS,)),
    ]


def pack(model: LappedModel) -> bytes:
    """Return the part `lapped`."""
    packed = b""
    for field in _fields(model.weights.classes, len(model.tables.groups)):
        array = getattr(getattr(model, field.owner), field.name)
        packed += np.asarray(array).reshape(field.shape).astype(field.wire).tobytes()
    return packed


def wire_entry(model: LappedModel) -> dict[str, Any]:
    """Return the numbers of the wire manifest that are not in the part."""
    return {
        "kind": "rans",
        "cuts": list(model.weights.cuts),
        "groups": list(model.tables.groups),
        "skip": model.quantisation.skip,
    }


def unpack(packed: bytes, entry: dict[str, Any], front_end: FrontEnd) -> LappedModel:
    """Read and check what `pack` wrote: the model of scenes of as many bands as it has classes.

    Args:
        packed: the part `lapped`.
        entry: the wire manifest's `coder`.
        front_end: the front end that the bundle names, of as many bands as the model has classes.

    Raises:
        BundleError: sizes or values do not fit together.
    """
    classes = front_end.bands
    cuts, skip, groups = entry["cuts"], entry["skip"], entry["groups"]
    if not _are_numbers(groups) or not 0 < len(groups) <= MAX_GROUPS:
        raise BundleError(f"coder groups: expected 1..{MAX_GROUPS} integers, found {groups!r:.80}")
    arrays: defaultdict[str, dict[str, NDArray[Any]]] = defaultdict(dict)
    position = 0
    for owner, name, wire, kind, shape in _fields(classes, len(groups)):
        length = np.dtype(wire).itemsize * int(np.prod(shape))
        if position + length > len(packed):
            raise BundleError(f"part lapped: cut short in {name}")
        flat = np.frombuffer(packed[position : position + length], wire)
        arrays[owner][name] = flat.reshape(shape).astype(kind)
        position += length
    if position != len(packed):
        raise BundleError(f"part lapped: expected {position} bytes, found {len(packed)}")
    _check(arrays["weights"]["order"], cuts, skip, classes)
    weights = ContextWeights(cuts=tuple(cuts), **arrays["weights"])
    return LappedModel(
        front_end,
        LappedTransform(**arrays["transform"]),
        ContextModel(weights, classes),
        Quantisation(**{"skip": skip, **arrays["quantisation"]}),
        Tables(groups=tuple(groups), **arrays["tables"]),
    )


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int for value in values)


def _check(order: NDArray[Any], cuts: Any, skip: Any, classes: int) -> None:
    """Refuse an order that is none, cuts that do not rise, a level that is not there."""
    channels = classes * FREQUENCIES
    dc = [number * FREQUENCIES for number in range(classes)]
    if sorted(order.tolist()) != list(range(channels)) or order[:classes].tolist() != dc:
        raise BundleError("part lapped: the order of channels is not one, or DC is not first")
    if not _are_numbers(cuts) or not 2 <= len(cuts) <= MOST_CUTS:
        raise BundleError(f"coder cuts: expected 2..{MOST_CUTS} integers, found {cuts!r:.80}")
    rising = all(a < b for a, b in pairwise(cuts))
    if cuts[0] != classes or cuts[-1] != channels or not rising:
        raise BundleError(f"coder cuts: expected to rise from {classes} to {channels}: {cuts}")
    if type(skip) is not int or not -1 <= skip < LEVELS - 1:
        raise BundleError(f"coder skip: expected -1..{LEVELS - 2}, found {skip!r:.40}")


@dataclass(frozen=True)
class GoldenTile:
    """A golden vector: a tile and all its layers as one body.

    Attributes:
        samples: u16 (bands, tile, tile) in DN.
        step: step code.
        body: the body, tile state first.
        fraction: fraction bits that samples get.
    """

    samples: NDArray[np.uint16]
    step: int
    body: bytes
    fraction: int = 0

    @property
    def form(self) -> tuple[int, int, int]:
        """Bands, rows and fraction bits of scenes that have such tiles."""
        return self.samples.shape[0], self.samples.shape[1], self.fraction


def pack_golden(tiles: Sequence[GoldenTile]) -> bytes:
    """Return the part `golden`."""
    packed = len(tiles).to_bytes(2, "big")
    for tile in tiles:
        bands, rows, fraction = tile.form
        packed += _GOLDEN.pack(bands, rows, fraction, tile.step, len(tile.body))
        packed += tile.samples.astype(">u2").tobytes() + tile.body
    return packed


def unpack_golden(packed: bytes) -> tuple[GoldenTile, ...]:
    """Read what `pack_golden` wrote.

    Raises:
        BundleError: the part does not hold what it promises.
    """
    position, found = 2, []
    for _ in range(int.from_bytes(packed[:2], "big")):
        if position + _GOLDEN.size > len(packed):
            break
        bands, rows, fraction, step, length = _GOLDEN.unpack_from(packed, position)
        position += _GOLDEN.size
        stop = position + 2 * bands * rows * rows + length
        if stop > len(packed):
            break
        tile = np.frombuffer(packed, ">u2", bands * rows * rows, position).astype(np.uint16)
        body = packed[stop - length : stop]
        if not body:
            raise BundleError("golden vectors: a tile without a body")
        if not (1 <= bands <= MAX_BANDS and rows and rows % BLOCK == 0 and fraction <= 4):
            raise BundleError(
                f"golden vectors: expected 1..{MAX_BANDS} bands, rows of a multiple of {BLOCK} and "
                f"at most 4 fraction bits, found {bands}, {rows} and {fraction}"
            )
        found.append(GoldenTile(tile.reshape(bands, rows, rows), step, body, fraction))
        position = stop
    if position != len(packed) or len(found) != int.from_bytes(packed[:2], "big"):
        raise BundleError(f"golden vectors: {len(packed)} bytes do not hold what they promise")
    return tuple(found)


class GoldenCoder(TileCoder[Any, Any], Protocol):
    """A tile coder of the lapped codec."""

    @property
    def form(self) -> tuple[int, int, int]:
        """Bands, rows and fraction bits of its tiles."""

    def of_form(self, form: tuple[int, int, int]) -> Self:
        """Return the coder of scenes of another form, in the same engine."""

    def choosing(self, points: Points) -> Self:
        """Return the coder with the first quantizer that chooses among these points."""


def coded_anew(coder: GoldenCoder, tiles: Sequence[GoldenTile]) -> list[GoldenTile]:
    """Code golden tiles, all their lanes side by side; of their bodies the state alone counts.

    Raises:
        BundleError: one takes more than one body.
    """
    plans: dict[int, Any] = {}
    steps: dict[int, int] = {}
    kinds = [(tile.form, points_of(tile.body[0])) for tile in tiles]
    for form, points in dict.fromkeys(kinds):
        alike = [n for n, kind in enumerate(kinds) if kind == (form, points)]
        own = coder.of_form(form).choosing(points)
        batch = _whole(own, [tiles[n] for n in alike])
        plans |= zip(alike, own.plan(batch, False), strict=True)
        steps |= zip(alike, batch.steps.tolist(), strict=True)
    bodies = dict(zip(plans, coder.write(list(plans.values())), strict=True))
    if most := max((len(found) for found in bodies.values()), default=1) - 1:
        raise BundleError(f"golden tile: expected one body, found {most + 1}")
    return [replace(tile, step=steps[n], body=bodies[n][0][2]) for n, tile in enumerate(tiles)]


def agreement(coder: GoldenCoder, every: Sequence[GoldenTile]) -> Agreement:
    """Code the golden tiles of scenes like a coder's, or all where there are none.

    Scenes are alike that have as many bands and fraction bits, whatever their tiles. What agrees
    are whole tiles, and all must.
    """
    golden = [tile for tile in every if _scene(tile.form) == _scene(coder.form)] or every
    found = zip(coded_anew(coder, golden), golden, strict=True)
    agree = sum(anew.body == tile.body for anew, tile in found)
    return Agreement([agree], [len(golden)], 1.0)


def _scene(form: tuple[int, int, int]) -> tuple[int, int]:
    """Return what a form says of a scene: bands and fraction bits."""
    bands, _rows, fraction = form
    return bands, fraction


def _whole(coder: GoldenCoder, tiles: Sequence[GoldenTile]) -> Chosen[Any]:
    """Return tiles without nodata as a batch, with room for a body of any length."""
    samples = np.stack([tile.samples for tile in tiles])
    here = np.ones((len(tiles), *samples.shape[2:]), np.bool_)
    prepared = coder.prepare(samples, here, (samples.shape[2], samples.shape[3]))
    steps = np.maximum(np.array([tile.step for tile in tiles]), coder.finest(prepared))
    plain = [tile.body[0] & ~(DEPENDENT | FULL | SIGN_HIDING) for tile in tiles]
    return Chosen(prepared, steps, plain, MAX_BODY)
