"""Part `lapped` of a bundle: transform, context model, quantizer, tables (SPEC.md, section 12)."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.coder import LappedCoder
from onboard.codec.lapped.context import BLOCK, FREQUENCIES, LATTICES, LEVELS, ContextModel
from onboard.codec.lapped.frontend import AdaptiveFrontEnd
from onboard.codec.lapped.quantizer import LARGEST_WORD, Quantizer
from onboard.codec.lapped.tables import MAX_GROUPS, SYMBOLS, Tables, rows_of
from onboard.codec.lapped.transform import SUB_STEPS, LappedTransform
from onboard.errors import BundleError
from onboard.link.segment import MAX_LAYERS

MAX_BANDS = 16
_MOST_CUTS = MAX_LAYERS - LATTICES
"""Layer 0 has no symbols; the last cut begins none."""


def _fields(bands: int, groups: int) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return name, type and shape of each array of the part, in order."""
    channels = bands * FREQUENCIES
    ac = channels - bands
    return [
        ("analysis", "i1", (FREQUENCIES, 2 * BLOCK, 2 * BLOCK)),
        ("synthesis", ">i2", (FREQUENCIES, 2 * BLOCK, 2 * BLOCK)),
        ("mantissas", ">u2", (SUB_STEPS,)),
        ("order", ">u2", (channels,)),
        ("same", ">u2", (channels, ac)),
        ("near", ">u2", (channels, ac)),
        ("slope", ">u2", (2 * bands, ac)),
        ("bias", ">u2", (ac,)),
        ("dc", ">u2", (2, 4 * bands, bands)),
        ("dc_bias", ">u2", (LATTICES, bands)),
        ("dead", ">u2", (groups * LEVELS,)),
        ("rounding", ">u2", (groups * LEVELS,)),
        ("codewords", ">u2", (rows_of(groups), LARGEST_WORD)),
        ("frequencies", ">u2", (rows_of(groups), SYMBOLS)),
        ("shifts", "u1", (LEVELS,)),
    ]


def pack(coder: LappedCoder) -> bytes:
    """Return the part."""
    parts = (coder.transform, coder.contexts, coder.quantizer, coder.tables)
    packed = b""
    for name, kind, shape in _fields(coder.front_end.bands, len(coder.tables.groups)):
        array = next(getattr(part, name) for part in parts if hasattr(part, name))
        packed += np.asarray(array).reshape(shape).astype(kind).tobytes()
    return packed


def wire_entry(coder: LappedCoder) -> dict[str, Any]:
    """Return the numbers of the wire manifest that are not in the part."""
    return {
        "kind": "rans",
        "cuts": list(coder.contexts.cuts),
        "groups": list(coder.tables.groups),
        "skip": coder.quantizer.skip,
    }


def unpack(packed: bytes, entry: dict[str, Any], bands: int) -> LappedCoder:
    """Read and check what `pack` wrote.

    Args:
        packed: the part.
        entry: the wire manifest's `coder`.
        bands: of the bundle.

    Raises:
        BundleError: sizes or values do not fit together.
    """
    if not 2 <= bands <= MAX_BANDS:
        raise BundleError(f"bands: the lapped codec takes 2..{MAX_BANDS}, found {bands}")
    cuts, skip, groups = entry["cuts"], entry["skip"], entry["groups"]
    if not _are_numbers(groups) or not 0 < len(groups) <= MAX_GROUPS:
        raise BundleError(f"coder groups: expected 1..{MAX_GROUPS} integers, found {groups!r:.80}")
    arrays: dict[str, NDArray[Any]] = {}
    position = 0
    for name, kind, shape in _fields(bands, len(groups)):
        length = np.dtype(kind).itemsize * int(np.prod(shape))
        if position + length > len(packed):
            raise BundleError(f"part lapped: cut short in {name}")
        flat = np.frombuffer(packed[position : position + length], kind)
        arrays[name] = flat.reshape(shape).astype(np.dtype(kind).newbyteorder("="))
        position += length
    if position != len(packed):
        raise BundleError(f"part lapped: expected {position} bytes, found {len(packed)}")
    _check(arrays["order"], cuts, skip, bands)
    a = arrays
    return LappedCoder(
        AdaptiveFrontEnd(bands),
        LappedTransform(a["analysis"], a["synthesis"], a["mantissas"].astype(np.int32)),
        ContextModel(
            a["order"].astype(np.int64),
            tuple(cuts),
            *(a[name] for name in ("same", "near", "slope", "bias", "dc", "dc_bias")),
        ),
        Quantizer(a["dead"].astype(np.int32), a["rounding"].astype(np.int32), skip, a["codewords"]),
        Tables(a["frequencies"], a["shifts"], tuple(groups)),
    )


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int for value in values)


def _check(order: NDArray[Any], cuts: Any, skip: Any, bands: int) -> None:
    """Refuse an order that is none, cuts that do not rise, a level that is not there."""
    channels = bands * FREQUENCIES
    dc = [band * FREQUENCIES for band in range(bands)]
    if sorted(order.tolist()) != list(range(channels)) or order[:bands].tolist() != dc:
        raise BundleError("part lapped: the order of channels is not one, or DC is not first")
    if not _are_numbers(cuts) or not 2 <= len(cuts) <= _MOST_CUTS:
        raise BundleError(f"coder cuts: expected 2..{_MOST_CUTS} integers, found {cuts!r:.80}")
    rising = all(a < b for a, b in pairwise(cuts))
    if cuts[0] != bands or cuts[-1] != channels or not rising:
        raise BundleError(f"coder cuts: expected to rise from {bands} to {channels}: {cuts}")
    if type(skip) is not int or not -1 <= skip < LEVELS - 1:
        raise BundleError(f"coder skip: expected -1..{LEVELS - 2}, found {skip!r:.40}")
