"""Golden tiles of a bundle as C source: `golden.c`, which selftest.c goes over."""

from collections.abc import Sequence

import numpy as np

from export.csource.tables import braces
from onboard.codec.lapped.codec import MOST_BITS
from onboard.codec.lapped.part import GoldenTile
from onboard.codec.tile import DEPENDENT


def golden_source(tiles: Sequence[GoldenTile]) -> str:
    """Return the source."""
    parts = ['#include "selftest.h"\n']
    entries = []
    for number, tile in enumerate(tiles):
        bands, rows, fraction = tile.form
        parts.append(f"#if SKYBOOK_MAX_BANDS >= {bands}")
        body = np.frombuffer(tile.body, np.uint8)
        samples = tile.samples.reshape(-1).astype(np.int64)
        for name, kind, values in (("samples", "uint16_t", samples), ("body", "uint8_t", body)):
            declared = f"static const {kind} {name}_{number}[{len(values)}]"
            parts.append(f"{declared} = {braces(values)};\n")
        parts.append("#endif\n")
        along = "true" if tile.body[0] & DEPENDENT else "false"
        arrays = f"samples_{number}, body_{number}"
        told = f"{len(body)}, {rows}, {rows}, {bands}, {MOST_BITS - fraction}, {tile.step}, {along}"
        entries.append(f"#if SKYBOOK_MAX_BANDS >= {bands}\n    {{{arrays}, {told}}},\n#endif")
    listed = "\n".join(entries)
    parts.append(
        f"const struct skybook_golden skybook_goldens[SKYBOOK_GOLDENS] = {{\n{listed}\n}};\n"
    )
    return "\n".join(parts)
