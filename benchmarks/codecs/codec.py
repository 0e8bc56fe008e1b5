"""Codec: what every codec that is measured offers."""

from typing import Any, Protocol

from numpy.typing import NDArray

from ground.scene import Scene


class Codec(Protocol):
    """What is measured."""

    @property
    def name(self) -> str:
        """Name of the bundle."""

    @property
    def bands(self) -> int:
        """Bands of an image."""

    @property
    def tile(self) -> int:
        """Rows and columns of a tile."""

    @property
    def variable_rate(self) -> bool:
        """Whether a budget can be given."""

    def code(self, scene: Scene, budget: int | None = None) -> tuple[int, NDArray[Any]]:
        """Encode and decode; return the bytes on disk, `budget` at most, and the image."""
