"""How golden vectors came out in an engine."""

from typing import NamedTuple


class Agreement(NamedTuple):
    """How golden vectors came out: indices, or whole tiles.

    Attributes:
        agree: how many agree, by layer.
        total: how many there are, by layer.
        least: the least share that passes.
    """

    agree: list[int]
    total: list[int]
    least: float

    def __add__(self, other: "Agreement") -> "Agreement":  # type: ignore[override]
        """Return how those of both came out."""
        agree = [a + b for a, b in zip(self.agree, other.agree, strict=True)]
        total = [a + b for a, b in zip(self.total, other.total, strict=True)]
        return Agreement(agree, total, max(self.least, other.least))

    @property
    def passed(self) -> bool:
        """Whether there are any, and enough agree."""
        return sum(self.total) > 0 and sum(self.agree) >= self.least * sum(self.total)
