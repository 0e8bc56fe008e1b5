"""How work grows with its input, whatever the processor and its load."""

from collections.abc import Callable
from time import process_time

LINEAR = 10
"""Most times as much processor time for four times the input; work that grows as the square of its
input takes 16 times as much."""


def growth(work: Callable[[int], object], size: int) -> float:
    """Return how many times as much time four times the input takes, the least of some runs."""
    return _least(work, 4 * size) / _least(work, size)


def _least(work: Callable[[int], object], size: int) -> float:
    seconds = []
    for _ in range(3):
        begun = process_time()
        work(size)
        seconds.append(process_time() - begun)
    return max(min(seconds), 1e-3)
