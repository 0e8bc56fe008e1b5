"""Codes: how the codewords of CORSA are used, or how symbols of the lapped codec are distributed.

Both are told by the index maps, or the symbols, that arrived of up to some tiles in the middle.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.api.windows import Windows
from ground.decode.dump import dump_scene
from onboard.codec.corsa.codec import CorsaCodec
from onboard.codec.lapped.context import BLOCK

_MOST_SAMPLES = 1 << 22
_GROUPS = (("DC", 0, 0), ("coarse AC", 1, 3), ("middle AC", 4, 7), ("fine AC", 8, 14))
"""Groups of frequencies u + v of the lapped transform."""


def codes(windows: Windows) -> dict[str, Any]:
    """Return what a page shows of the codes of a scene.

    Returns:
        `kind`: "codewords", "symbols", or "bounded", whose tiles have neither; `tiles`, of how many
        `of`, were read; `rows`: of each level how many codewords were `used` `of` all, their
        `entropy` in bits and `perplexity`, and `shares`, the most used one first; or of each group
        of frequencies the shares of symbols that are `zero`, `one` (up to a sign) and `more`, and
        their `entropy`.
    """
    down, across = _middle(windows)
    told: dict[str, Any] = {
        "tiles": len(down) * len(across),
        "of": windows.grid.rows * windows.grid.across,
    }
    if windows.grid.groups > 1:
        return told | {"kind": "groups", "rows": []}
    source = windows.source
    dump = dump_scene(source.decoder.bundle, windows.part(down, across), source.wanted)
    arrays = dump.arrays
    if "index1" in arrays:
        levels = CorsaCodec.of(windows.reception.bundle.codec).levels
        sizes = [len(level.codebook.codewords) for level in levels]
        rows = [_level(n, arrays[f"index{n}"], size) for n, size in enumerate(sizes, 1)]
        return told | {"kind": "codewords", "rows": rows}
    if "symbol" not in arrays:
        return told | {"kind": "bounded", "rows": []}
    return told | {"kind": "symbols", "rows": _groups(arrays["symbol"], arrays["arrived"])}


def _middle(windows: Windows) -> tuple[range, range]:
    """Return rows and columns of tiles in the middle of a scene, not more than are soon read."""
    grid = windows.grid
    most = int((_MOST_SAMPLES / (len(windows.unread().image) * grid.tile**2)) ** 0.5)
    parts = []
    for count in (grid.rows, grid.across):
        first = max(count - max(most, 1), 0) // 2
        parts.append(range(first, min(first + max(most, 1), count)))
    return parts[0], parts[1]


def _level(number: int, indices: NDArray[np.int32], size: int) -> dict[str, Any]:
    """Return how the codewords of a level are used; -1 is none."""
    counts = np.bincount(indices[indices >= 0].ravel(), minlength=size)
    entropy = _entropy(counts)
    shares = np.sort(counts)[::-1] / max(counts.sum(), 1)
    return {
        "name": f"level {number}",
        "used": int(np.count_nonzero(counts)),
        "of": size,
        "entropy": entropy,
        "perplexity": 2**entropy,
        "shares": np.round(shares[shares > 0], 7).tolist(),
    }


def _groups(symbols: NDArray[np.int32], arrived: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Return how symbols (bands, frequencies, rows, cols) are distributed by frequency."""
    u, v = np.divmod(np.arange(symbols.shape[1]), BLOCK)
    rows = []
    for name, first, last in _GROUPS:
        inside = (u + v >= first) & (u + v <= last)
        sizes = np.abs(symbols[:, inside][arrived[:, inside]])
        if not sizes.size:
            continue
        signed = symbols[:, inside][arrived[:, inside]]
        _, counts = np.unique(signed, return_counts=True)
        zero, one = (float(np.mean(sizes == size)) for size in (0, 1))
        more = 1 - zero - one
        entropy = _entropy(counts)
        rows.append({"name": name, "zero": zero, "one": one, "more": more, "entropy": entropy})
    return rows


def _entropy(counts: NDArray[np.intp]) -> float:
    """Return bits a code, each by its own share alone."""
    share = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(share * np.log2(share)).sum()) if len(share) > 1 else 0.0
