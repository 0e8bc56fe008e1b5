"""Refinement: the decoder network of the lapped codec over rows of a scene, part by part."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ground.decode.graphs.compiled import ALIGNED_CELLS
from ground.decode.graphs.graph import Unrefined
from ground.decode.lapped.canvas import Canvas
from ground.decode.lapped.synthesis import CELL, tile_borders
from ground.decode.rebuilder import Network

Put = Callable[[slice, slice, NDArray[np.float32]], None]
"""Takes rows and columns of a canvas, sides multiples of 4, and what became of them: float32
(bands, rows, cols) DN, which it may change."""
_CORE = 1024
"""Pixels of a side of what one thread refines at once; several threads share it."""
_LARGEST_STEP = 2_000.0
"""DN; of flat tiles the step may be larger, but the network has not seen any."""


def refine(
    canvas: Canvas, inner: range, pool: ThreadPoolExecutor, network: Network, put: Put
) -> None:
    """Run the network over some rows of a canvas.

    Args:
        canvas: rows of the scene, with all that the network sees around the inner ones.
        inner: rows of the scene to refine.
        pool: threads to run parts on, and to put them.
        network: decoder network.
        put: takes what became of each part. Without a network that is a part of the canvas.
    """
    first = inner.start - canvas.first
    stop = min(first + -(-len(inner) // CELL) * CELL, canvas.image.shape[1])
    step = np.minimum(canvas.step, np.float32(_LARGEST_STEP))
    border = tile_borders(canvas.grid.tile // CELL, canvas.first // CELL, step.shape)

    def work(part: tuple[slice, slice, slice, slice]) -> None:
        rows, cols, wide_rows, wide_cols = part
        if isinstance(network.session, Unrefined):
            put(rows, cols, canvas.image[:, rows, cols])
            return
        cells = tuple(slice(s.start // CELL, s.stop // CELL) for s in (wide_rows, wide_cols))
        found = _run(
            network,
            canvas.image[:, wide_rows, wide_cols],
            step[None, *cells],
            canvas.known[None, *cells],
            border[:, *cells],
        )
        row, col = rows.start - wide_rows.start, cols.start - wide_cols.start
        inside = found[:, row : row + rows.stop - rows.start, col : col + cols.stop - cols.start]
        put(rows, cols, inside)

    side = _CORE if network.threads == 1 else _CORE // 2
    parts = _parts(slice(first, stop), canvas.image.shape[1:], side, network.halo)
    list(pool.map(work, parts))


def _run(network: Network, *maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the network makes of a part: image, step, known, border, (planes, rows, cols).

    At its best that is the mean over all ways to mirror the part and swap its rows and columns.
    """
    if not network.best:
        return _through(network, maps)
    total = np.zeros_like(maps[0])
    for rows, cols, swapped in np.ndindex(2, 2, 2):
        signs = np.array([1 - 2 * rows, 1 - 2 * cols], np.float32)[:, None, None]
        seen = [_mirrored(part, rows, cols) for part in (*maps[:-1], maps[-1] * signs)]
        if swapped:
            seen = [part.swapaxes(1, 2) for part in seen]
            seen[-1] = seen[-1][::-1]
        found = _through(network, seen)
        total += _mirrored(found.swapaxes(1, 2) if swapped else found, rows, cols)
    return total / np.float32(8)


def _through(network: Network, maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    found = network.session.run([part[None] for part in maps])
    refined: NDArray[np.float32] = found[0]
    return refined


def _mirrored(planes: NDArray[np.float32], rows: int, cols: int) -> NDArray[np.float32]:
    return planes[:, :: -1 if rows else 1, :: -1 if cols else 1]


def _parts(
    inner: slice, shape: tuple[int, ...], side: int, halo: int
) -> Iterator[tuple[slice, slice, slice, slice]]:
    """Yield parts of some rows of a canvas, and each with the halo that its result depends on."""
    whole = ALIGNED_CELLS * CELL
    halo = -(-halo // whole) * whole
    for row in range(inner.start, inner.stop, side):
        for col in range(0, shape[1], side):
            rows = slice(row, min(row + side, inner.stop))
            cols = slice(col, min(col + side, shape[1]))
            yield (
                rows,
                cols,
                slice(max(row - halo, 0), min(rows.stop + halo, shape[0])),
                slice(max(col - halo, 0), min(cols.stop + halo, shape[1])),
            )
