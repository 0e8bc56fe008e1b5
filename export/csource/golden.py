"""Golden tiles of a bundle as C source: `golden.c`, which selftest.c goes over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.csource.arrays import braces
from onboard.bundle import Bundle
from onboard.codec.bounded import golden as bounded
from onboard.codec.bounded.codec import BoundedCodec
from onboard.codec.lapped.codec import MOST_BITS, LappedCodec
from onboard.codec.tile import DEPENDENT
from onboard.errors import BundleError
from onboard.link.crc import crc32c

_AROUND = 32
"""Bytes of a segment around a body, at most."""


@dataclass(frozen=True)
class Golden:
    """A golden tile, as C has it.

    Attributes:
        samples: (bands, rows, cols).
        body: of its only segment.
        significant_bits: that samples fit.
        step: step code; -1 where it is coded within a bound.
        bound: by how much samples may be off; -1 where it is coded at a step.
        trellis: whether indices were chosen along a trellis.
    """

    samples: NDArray[Any]
    body: bytes
    significant_bits: int
    step: int
    bound: int = -1
    trellis: bool = False

    @property
    def needs(self) -> str:
        """1 where a build takes it, as a C expression without a decision, which none could test."""
        fits = {
            "MAX_BANDS": len(self.samples),
            "SAMPLE_BITS": self.significant_bits,
            "PACKET_BYTES": len(self.body) + _AROUND,
            "LARGE_BANDS": int(len(self.samples) == 1),
            "TRELLIS": int(self.trellis),
            "BOUNDED": int(self.bound >= 0),
        }
        return " * ".join(f"(SKYBOOK_{name} >= {least})" for name, least in fits.items() if least)


def goldens(bundle: Bundle) -> list[Golden]:
    """Return all golden tiles of a bundle, those within a bound last.

    Raises:
        BundleError: a checksum of a part `bounded` is not that of its tile.
    """
    found = [
        Golden(
            tile.samples.astype(np.int64),
            tile.body,
            MOST_BITS - tile.form[2],
            tile.step,
            trellis=bool(tile.body[0] & DEPENDENT),
        )
        for tile in LappedCodec.of(bundle.codec).golden
    ]
    if bundle.bounded is None:
        return found
    codec = BoundedCodec.of(bundle.bounded)
    samples = bounded.samples().astype(np.int64)
    for bound, body, checksum in zip(
        bounded.BOUNDS, bounded.bodies(bounded.in_numpy(codec.model)), codec.golden, strict=True
    ):
        if crc32c(body) != checksum:
            raise BundleError(f"part bounded: its golden tile at bound {bound} gives other bytes")
        found.append(Golden(samples, body, MOST_BITS, -1, bound))
    return found


def golden_source(tiles: Sequence[Golden]) -> str:
    """Return the source."""
    parts = ['#include "selftest.h"\n']
    entries = []
    for number, tile in enumerate(tiles):
        parts.append(f"#if {tile.needs}")
        body = np.frombuffer(tile.body, np.uint8)
        samples = tile.samples.reshape(-1)
        for name, kind, values in (("samples", "uint16_t", samples), ("body", "uint8_t", body)):
            declared = f"static const {kind} {name}_{number}[{len(values)}]"
            parts.append(f"{declared} = {braces(values)};\n")
        parts.append("#endif\n")
        along = "true" if tile.trellis else "false"
        bands, rows, cols = tile.samples.shape
        told = f"samples_{number}, body_{number}, {len(body)}, {rows}, {cols}, {bands}"
        told += f", {tile.significant_bits}, {tile.step}, {tile.bound}, {along}"
        entries.append(f"#if {tile.needs}\n    {{{told}}},\n#endif")
    listed = "\n".join([*entries, "#if !(SKYBOOK_GOLDENS)\n    {0},\n#endif"])
    room = "SKYBOOK_MOST(SKYBOOK_GOLDENS, 1)"
    parts.append(f"const struct skybook_golden skybook_goldens[{room}] = {{\n{listed}\n}};\n")
    return "\n".join(parts)
