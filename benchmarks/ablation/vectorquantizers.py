"""Fixed-length vector quantizers of the lapped codec's latents: product, residual, gain and shape.

The rival families at equal bytes: each 8x8 position is sent as a row of codewords of some group of
channels, in `SIZES` bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablation.variants import SEED

SIZES = (3, 6, 12, 24, 48, 96)
"""Bytes of a position."""
BITS = 8
_WORDS = 1 << BITS
_ROUNDS = 8
_VECTORS = 10_000
_RESIDUAL_GROUPS = 16
_CHUNK = 4_096
_GAIN_BITS = 4
_GAINS = 1 << _GAIN_BITS

Vectors = NDArray[np.float32]


class Quantised(Protocol):
    """What stands for a group of channels of a position."""

    @property
    def bits(self) -> int:
        """Bits of an index."""

    def quantised(self, vectors: Vectors) -> Vectors:
        """Return what stands for the vectors (n, all channels), 0 in channels not of this book."""


@dataclass(frozen=True)
class Book:
    """Codewords (256, channels) of some channels of a position."""

    channels: NDArray[np.int64]
    words: Vectors

    @property
    def bits(self) -> int:
        """Bits of an index."""
        return BITS

    def nearest(self, vectors: Vectors) -> NDArray[np.int64]:
        """Return the index of the codeword nearest to each vector (n, channels)."""
        half = np.square(self.words).sum(axis=1) / 2
        parts = [
            (half - vectors[first : first + _CHUNK] @ self.words.T).argmin(axis=1)
            for first in range(0, len(vectors), _CHUNK)
        ]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def quantised(self, vectors: Vectors) -> Vectors:
        """Return what each vector (n, channels) becomes; 0 in the channels of others."""
        found = np.zeros_like(vectors)
        found[:, self.channels] = self.words[self.nearest(vectors[:, self.channels])]
        return found


@dataclass(frozen=True)
class Sphere:
    """Directions (256, channels) of length 1 and gains (16,) of some channels of a position."""

    channels: NDArray[np.int64]
    shapes: Vectors
    gains: Vectors

    @property
    def bits(self) -> int:
        """Bits of an index."""
        return BITS + _GAIN_BITS

    def quantised(self, vectors: Vectors) -> Vectors:
        """Return what each vector (n, channels) becomes; 0 in the channels of others."""
        shape, along = nearest_shape(self.shapes, vectors[:, self.channels])
        found = np.zeros_like(vectors)
        found[:, self.channels] = self.shapes[shape] * self.gains[self.nearest_gain(along), None]
        return found

    def nearest_gain(self, along: Vectors) -> NDArray[np.int64]:
        """Return the index of the gain nearest to each length."""
        return np.searchsorted((self.gains[1:] + self.gains[:-1]) / 2, along)


Books = Sequence[Sequence[Quantised]]
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


def sphere_books(vectors: Vectors) -> Books:
    """Return the books of each of `SIZES`, gain and shape, two of 12 bits in three bytes.

    Source: A. Gersho, R. Gray, "Vector Quantization and Signal Compression", section 12.10
    (shape-gain).
    """
    return [
        [
            train_sphere(group, vectors)
            for group in groups(vectors, size * 8, size * 8 // (BITS + _GAIN_BITS))
        ]
        for size in SIZES
    ]


def nearest_shape(shapes: Vectors, seen: Vectors) -> tuple[NDArray[np.int64], Vectors]:
    """Return the direction along which each vector (n, channels) reaches furthest, and how far."""
    index, along = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for first in range(0, len(seen), _CHUNK):
        products = seen[first : first + _CHUNK] @ shapes.T
        index.append(products.argmax(axis=1))
        along.append(products.max(axis=1))
    return np.concatenate(index), np.concatenate(along)


def train_sphere(channels: NDArray[np.int64], vectors: Vectors) -> Sphere:
    """Train directions, then gains, by k-means (n, all channels)."""
    seen = vectors[:, channels]
    rng = np.random.default_rng(SEED)
    start = seen[rng.choice(len(seen), _WORDS, len(seen) < _WORDS)]
    shapes = _to_length_one(start, rng.normal(size=start.shape).astype(np.float32))
    for _ in range(_ROUNDS):
        index, _ = nearest_shape(shapes, seen)
        sums = np.stack([np.bincount(index, plane, _WORDS) for plane in seen.T], axis=1)
        shapes = _to_length_one(sums.astype(np.float32), shapes)
    _, along = nearest_shape(shapes, seen)
    found = Sphere(channels, shapes, np.quantile(along, (np.arange(_GAINS) + 0.5) / _GAINS))
    for _ in range(2 * _ROUNDS):
        nearest = found.nearest_gain(along)
        counts = np.bincount(nearest, minlength=_GAINS)
        sums = np.bincount(nearest, along, _GAINS)
        gains = np.where(counts > 0, sums / np.maximum(counts, 1), found.gains)
        found = Sphere(channels, shapes, np.sort(gains).astype(np.float32))
    return found


def _to_length_one(words: Vectors, otherwise: Vectors) -> Vectors:
    """Return words as directions; those that have none stay as they are otherwise."""
    length = np.linalg.norm(words, axis=1, keepdims=True)
    chosen = np.where(length > 1e-6, words, otherwise)
    unit: Vectors = chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-6)
    return unit
