"""Fixed-length vector quantizers of the lapped codec's latents: product and residual codebooks.

The rival family at equal bytes: tiles are scaled by their detail, as CORSA scales them by their
deviation, and each 8x8 position is sent as a row of codewords of 8 bits. A tile takes as many of
them as pays best, one of `SIZES`; so the rate adapts from tile to tile, although every codeword has
a fixed length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.variants import SEED
from ground.geotiff import Scene
from ground.lappedfit import SCALE
from ground.synthesis import linear_bands
from onboard.contexts import BLOCK
from onboard.errors import LimitError
from onboard.framing import EDGE_BYTES, HEADER_EVERY
from onboard.lapped import LATENT_SHIFT, STEP_CODES
from onboard.lappedcoder import LappedCoder, Prepared
from onboard.sceneheader import EndOfScene
from onboard.segment import DEFAULT_SEGMENT_BYTES, SEGMENT_OVERHEAD
from onboard.tiling import TileGrid, positions

SIZES = (3, 6, 12, 24, 48, 96)
"""Codewords of a position."""
BITS = 8
_WORDS = 1 << BITS
_ROUNDS = 8
_VECTORS = 10_000
_RESIDUAL_GROUPS = 16
_CHUNK = 4_096
_FINER = 48
"""Sixteenths of an octave that latents are resolved finer than the detail of their tile."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Book:
    """Codewords (256, channels) of some channels of a position."""

    channels: NDArray[np.int64]
    words: Vectors

    def nearest(self, vectors: Vectors) -> NDArray[np.int64]:
        """Return the index of the codeword nearest to each vector (n, channels)."""
        half = np.square(self.words).sum(axis=1) / 2
        parts = [
            (half - vectors[first : first + _CHUNK] @ self.words.T).argmin(axis=1)
            for first in range(0, len(vectors), _CHUNK)
        ]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def quantised(self, vectors: Vectors) -> Vectors:
        """Return what stands for the vectors (n, all channels), 0 in channels not of this book."""
        found = np.zeros_like(vectors)
        found[:, self.channels] = self.words[self.nearest(vectors[:, self.channels])]
        return found


Books = Sequence[Sequence[Book]]
"""Books of each of `SIZES`."""


def train_book(channels: NDArray[np.int64], vectors: Vectors) -> Book:
    """Train a book by k-means (n, all channels).

    Source: S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. IT 28 (1982).
    """
    seen = vectors[:, channels]
    rng = np.random.default_rng(SEED)
    book = Book(channels, seen[rng.choice(len(seen), _WORDS, len(seen) < _WORDS)].copy())
    for _ in range(_ROUNDS):
        index = book.nearest(seen)
        counts = np.bincount(index, minlength=_WORDS)
        sums = np.stack([np.bincount(index, plane, _WORDS) for plane in seen.T], axis=1)
        used = counts > 0
        words = book.words.copy()
        words[used] = (sums[used] / counts[used, None]).astype(np.float32)
        book = Book(channels, words)
    return book


def groups(vectors: Vectors, bits: float, count: int) -> list[NDArray[np.int64]]:
    """Part channels, strongest first, into groups that need about equally many of `bits`.

    Channels that get none at that rate are left out.

    Source: T. Cover, J. Thomas, "Elements of Information Theory", section 10.3.3 (reverse
    water-filling).
    """
    variance = np.maximum(np.square(vectors, dtype=np.float64).mean(axis=0), 1e-9)
    low, high = float(np.log2(variance.min())) - 2 * bits, float(np.log2(variance.max()))
    for _ in range(60):
        water = (low + high) / 2
        need = np.maximum(np.log2(variance) - water, 0) / 2
        low, high = (water, high) if need.sum() > bits else (low, water)
    order = np.argsort(-variance, kind="stable")
    order = order[need[order] > 0]
    ends = np.cumsum(need[order])
    place = ((ends - need[order] / 2) * count / ends[-1]).astype(np.int64)
    return [order[place == group] for group in np.unique(place)]


def product_books(vectors: Vectors) -> Books:
    """Return the books of each of `SIZES`: as many groups of channels, a book each."""
    return [
        [train_book(group, vectors) for group in groups(vectors, size * BITS, size)]
        for size in SIZES
    ]


def residual_books(vectors: Vectors) -> Books:
    """Return the books of each of `SIZES`, each the beginning of the next.

    Books follow one another, each for what those before leave of a group of channels; next comes
    the group whose book takes most off the error.
    """
    left = vectors.copy()
    found: list[Book] = []
    tried: dict[int, tuple[float, Book]] = {}
    parts = groups(vectors, SIZES[-1] * BITS, _RESIDUAL_GROUPS)
    while len(found) < SIZES[-1]:
        for number, group in enumerate(parts):
            if number not in tried:
                book = train_book(group, left)
                before = left[:, group]
                rest = before - book.words[book.nearest(before)]
                tried[number] = float(np.square(before).sum() - np.square(rest).sum()), book
        best = max(tried, key=lambda number: tried[number][0])
        book = tried.pop(best)[1]
        left -= book.quantised(left)
        found.append(book)
    return [found[:size] for size in SIZES]


def training_vectors(coder: LappedCoder, batches: Sequence[Prepared]) -> Vectors:
    """Return latents (n, channels) of positions of training tiles, scaled by their tile."""
    vectors = np.concatenate(
        [_scaled(coder, batch)[0].reshape(-1, coder.contexts.cuts[-1]) for batch in batches]
    )
    chosen = np.random.default_rng(SEED).permutation(len(vectors))[:_VECTORS]
    return vectors[chosen]


def _scaled(coder: LappedCoder, prepared: Prepared) -> tuple[Vectors, NDArray[np.int64]]:
    """Return latents (tiles, rows, cols, channels) in steps, and the step code of each tile."""
    latents = prepared.latents
    detail = np.abs(latents.ac.astype(np.float64)).mean(axis=(1, 2, 3)) * 2.0**latents.shifts
    digital_numbers = np.maximum(detail * (1 << LATENT_SHIFT) / SCALE, 1)
    codes = np.rint(16 * np.log2(2 * digital_numbers)).astype(np.int64) - _FINER
    codes = np.maximum(np.clip(codes, 0, STEP_CODES - 1), coder.finest(prepared))
    scaled = latents.scaled(codes, coder.transform.mantissas)
    return scaled.astype(np.float32) / np.float32(64), codes


@dataclass(frozen=True)
class _Part:
    """Tiles of one shape with what each size makes of them, no codewords at all first.

    Attributes:
        places: first row and column of each tile, pixels.
        prepared: the tiles.
        steps: (tiles,) DN.
        values: by size, latents (tiles, rows, cols, channels) in steps.
        errors: (tiles, sizes) squared DN.
        lengths: (sizes,) bytes of a tile.
        segments: (sizes,) of a tile.
        inside: valid rows and columns.
    """

    places: list[tuple[int, int]]
    prepared: Prepared
    steps: NDArray[np.float32]
    values: list[Vectors]
    errors: NDArray[np.float64]
    lengths: NDArray[np.int64]
    segments: NDArray[np.int64]
    inside: tuple[int, int]


class VectorCodedScene:
    """A scene coded by vector quantizers, to be had at any budget; nodata counts as samples.

    Bytes are those of a stream: tiles with side information and sizes, cut to segments of the
    default length, scene headers and end.
    """

    def __init__(self, coder: LappedCoder, tile: int, books: Books, scene: Scene) -> None:
        self._coder, self._shape = coder, scene.image.shape
        head = SEGMENT_OVERHEAD + len(scene.header().pack())
        self._head, self._end = head, SEGMENT_OVERHEAD + len(EndOfScene(1, 0).pack())
        grid = TileGrid(scene.image.shape[2], scene.image.shape[1], tile)
        boxes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for index in range(grid.count):
            row, col, rows, cols = grid.box(index)
            boxes.setdefault((rows, cols), []).append((row, col))
        self._parts = [
            self._part(scene, tile, books, places, inside) for inside, places in boxes.items()
        ]

    def _part(
        self,
        scene: Scene,
        tile: int,
        books: Books,
        places: list[tuple[int, int]],
        inside: tuple[int, int],
    ) -> _Part:
        rows, cols = inside
        tiles = np.stack([scene.image[:, r : r + rows, c : c + cols] for r, c in places])
        prepared = self._coder.prepare(tiles, np.ones((len(tiles), rows, cols), np.bool_))
        latents, codes = _scaled(self._coder, prepared)
        flat = latents.reshape(-1, latents.shape[3])
        values = [np.zeros_like(flat)]
        for of_size in books:
            found = np.zeros_like(flat)
            for book in of_size:
                found += book.quantised(flat - found)
            values.append(found)
        steps = (2.0 ** (codes / 16 - 1)).astype(np.float32)
        power = self._coder.synthesis_power / 256
        lost = [np.square(flat - v) @ power for v in values]
        errors = np.stack([e.reshape(len(tiles), -1).sum(axis=1) for e in lost], axis=1)
        side = 2 + self._coder.front_end.side_bytes  # tile state and size
        bodies = side + np.array([0, *SIZES]) * int(np.prod(positions(rows, cols, BLOCK)))
        around = SEGMENT_OVERHEAD + (0 if rows == cols == tile else EDGE_BYTES)
        segments = -(-bodies // (DEFAULT_SEGMENT_BYTES - around))
        return _Part(
            places,
            prepared,
            steps,
            [v.reshape(latents.shape) for v in values],
            errors * np.square(steps, dtype=np.float64)[:, None],
            bodies + segments * around,
            segments,
            inside,
        )

    def _choose(self, worth: float) -> tuple[int, list[NDArray[np.int64]]]:
        """Return all bytes, headers included, and each tile's size, at squared DN a byte."""
        sizes = [(part.errors + worth * part.lengths).argmin(axis=1) for part in self._parts]
        pairs = list(zip(self._parts, sizes, strict=True))
        total = sum(int(part.lengths[size].sum()) for part, size in pairs)
        segments = sum(int(part.segments[size].sum()) for part, size in pairs)
        return total + self._end + -(-segments // (HEADER_EVERY - 1)) * self._head, sizes

    def at(self, budget: int) -> tuple[int, NDArray[np.uint16]]:
        """Return bytes, at most the budget, and the decoded image.

        Raises:
            LimitError: not even means and band transforms fit.
        """
        low, high = -10.0, 60.0  # octaves of what a byte is worth
        length, sizes = self._choose(2.0**high)
        if length > budget:
            raise LimitError(f"budget: expected {length} bytes or more, found {budget}")
        for _ in range(40):
            middle = (low + high) / 2
            found, chosen = self._choose(2.0**middle)
            if found <= budget:
                high, length, sizes = middle, found, chosen
            else:
                low = middle
        return length, self._rebuilt(sizes)

    def _rebuilt(self, sizes: Sequence[NDArray[np.int64]]) -> NDArray[np.uint16]:
        image = np.zeros(self._shape, np.uint16)
        for part, chosen in zip(self._parts, sizes, strict=True):
            values = np.stack([part.values[size][i] for i, size in enumerate(chosen.tolist())])
            prepared = part.prepared
            pixels = linear_bands(self._coder, values, part.steps, prepared.angles, prepared.means)
            whole = np.clip(np.rint(pixels), 0, 65_535).astype(np.uint16)
            rows, cols = part.inside
            for (row, col), tile in zip(part.places, whole, strict=True):
                image[:, row : row + rows, col : col + cols] = tile[:, :rows, :cols]
        return image
