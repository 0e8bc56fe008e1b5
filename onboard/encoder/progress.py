"""Progress: how far a scene is encoded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a scene is encoded; what an encode that goes on must know.

    Attributes:
        rows: rows of tiles done.
        segments: written so far.
        spare: bytes of the budget that earlier windows left over or kept back.
    """

    rows: int = 0
    segments: int = 0
    spare: int = 0
