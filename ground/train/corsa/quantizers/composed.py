"""Composed codebooks: codewords made of one part of each of several small books.

An index is the indices of the parts, the first one most significant. Two books of 32 make the
1,024 codewords of 10 bits.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ground.train.corsa.quantizers.quantizer import Quantizer
from ground.train.corsa.quantizers.vector import VectorQuantizer

Make = Callable[[int, int], Quantizer]
"""Makes a book of so many codewords of so many dimensions."""


def shares(whole: int, parts: int) -> list[int]:
    """Part a number into whole ones, as equal as can be, the larger ones first."""
    return [-(-(whole - part) // parts) for part in range(parts)]


class _Composed(Quantizer):
    """Codewords of the parts of several books.

    Attributes:
        books: the books, first the one whose index is most significant.
    """

    def __init__(self, codewords: int, dims: int, books: Sequence[Quantizer]) -> None:
        super().__init__(codewords, dims)
        self.books = nn.ModuleList(books)

    def _digits(self, index: Tensor) -> list[tuple[Quantizer, Tensor]]:
        """Return each book, and the indices in it that make up `index`."""
        found: list[tuple[Quantizer, Tensor]] = []
        for book in reversed(self.books):
            assert isinstance(book, Quantizer)
            found.insert(0, (book, index % book.size))
            index = index // book.size
        return found

    def _parts(self) -> list[tuple[Quantizer, Tensor]]:
        """Return each book, and which of its codewords each of all codewords has."""
        return self._digits(torch.arange(self.size))


class ProductQuantizer(_Composed):
    """Codewords of parts side by side, each of its own dimensions.

    These are principal axes of the latents, dealt out so that all books have about as much to say.

    Source: Ge et al., "Optimized product quantization", IEEE TPAMI 36(4), 2014, section 3.2.

    Attributes:
        axes: (dims, dims), orthonormal; first those of the first book.
    """

    axes: Tensor

    def __init__(self, codewords: int, dims: int, books: int, make: Make = VectorQuantizer) -> None:
        bits = shares((codewords - 1).bit_length(), books)
        self.sizes = shares(dims, books)
        parts = [make(1 << b, size) for b, size in zip(bits, self.sizes, strict=True)]
        super().__init__(codewords, dims, parts)
        self.register_buffer("axes", torch.eye(dims))

    def table(self) -> Tensor:
        """Return all codewords (codewords, dims)."""
        return torch.cat([book.table()[at] for book, at in self._parts()], 1) @ self.axes

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the index of the nearest codeword: book by book, as axes are orthonormal."""
        index = torch.zeros(len(vectors), dtype=torch.int64)
        for book, part in zip(self.books, self._cut(vectors), strict=True):
            assert isinstance(book, Quantizer)
            index = index * book.size + book.nearest(part)
        return index

    def learn(self, vectors: Tensor) -> None:
        """Make axes and books of vectors (n, dims)."""
        power, rows = torch.linalg.eigh((vectors.T @ vectors).double() / len(vectors))
        self.axes.copy_(rows.T.flip(0)[_dealt(power.flip(0).tolist(), self.sizes)])
        for book, part in zip(self.books, self._cut(vectors), strict=True):
            assert isinstance(book, Quantizer)
            book.learn(part)

    def follow(self, vectors: Tensor, index: Tensor) -> None:
        """Let each book follow what chose it."""
        super().follow(vectors, index)
        for (book, at), part in zip(self._digits(index), self._cut(vectors), strict=True):
            book.follow(part, at)

    def _cut(self, vectors: Tensor) -> tuple[Tensor, ...]:
        return torch.split(vectors @ self.axes.T, self.sizes, 1)


def _dealt(power: Sequence[float], sizes: Sequence[int]) -> list[int]:
    """Deal out axes, strongest first, each to the book that has least so far, as a product."""
    least = max(*power, 1e-30) * 1e-6
    logs = torch.tensor([max(p, least) / least for p in power]).log2().tolist()
    dealt: list[list[int]] = [[] for _ in sizes]
    for axis in range(len(power)):
        free = [book for book, size in enumerate(sizes) if len(dealt[book]) < size]
        dealt[min(free, key=lambda book: sum(logs[at] for at in dealt[book]))].append(axis)
    return [axis for book in dealt for axis in book]


class ResidualQuantizer(_Composed):
    """Codewords that are sums: each book says what those before it leave.

    The nearest sum is sought among all of them, not book by book: at these sizes that takes no
    more than any codebook does, and misses nothing.
    """

    def __init__(self, codewords: int, dims: int, books: int) -> None:
        bits = shares((codewords - 1).bit_length(), books)
        super().__init__(codewords, dims, [VectorQuantizer(1 << b, dims) for b in bits])

    def table(self) -> Tensor:
        """Return all codewords (codewords, dims)."""
        return torch.stack([book.table()[at] for book, at in self._parts()]).sum(0)

    def learn(self, vectors: Tensor) -> None:
        """Make books of vectors (n, dims), each of what is left."""
        left = vectors
        for book in self.books:
            assert isinstance(book, Quantizer)
            book.learn(left)
            left = left - book.table()[book.nearest(left)]

    def follow(self, vectors: Tensor, index: Tensor) -> None:
        """Let each book follow what the others leave of what chose it."""
        super().follow(vectors, index)
        digits = self._digits(index)
        left = vectors - torch.stack([book.table()[at] for book, at in digits]).sum(0)
        wanted = [left + book.table()[at] for book, at in digits]
        for (book, at), part in zip(digits, wanted, strict=True):
            book.follow(part, at)
