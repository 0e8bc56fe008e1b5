"""Made out: segments in the damage of a recording, none of which counts as received."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from onboard.link.resync import Damage
from onboard.link.segment import Segment

AS_IT_CAME = 0
"""In place of wrong bits that were put right."""


@dataclass(frozen=True)
class Salvage(Damage):
    """Damage in which a segment was made out.

    Attributes:
        segment: the segment as it was sent, if these bits were wrong.
        wrong: bits that were put right; `AS_IT_CAME` if none was, and something is wrong somewhere.
    """

    segment: Segment
    wrong: int


@dataclass
class Salvages:
    """What was made out of the damaged segments of an encoding.

    Attributes:
        made_out: segments by tile.
        used: those of which something was used, by kind, tile, layer and `first`.
    """

    made_out: dict[int, list[Salvage]] = field(default_factory=dict)
    used: dict[tuple[int, ...], Salvage] = field(default_factory=dict)

    def use(self, salvage: Iterable[Salvage]) -> None:
        """Take note that something was used of segments."""
        for one in salvage:
            own = one.segment
            self.used[own.kind, own.tile, own.layer, own.first] = one

    @property
    def counts(self) -> dict[str, int]:
        """How many segments were put right, and how many were used as far as they are believed."""
        right = sum(one.wrong != AS_IT_CAME for one in self.used.values())
        return {"put_right": right, "in_part": len(self.used) - right}
