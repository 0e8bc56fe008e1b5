"""Choice: which of several encodings of one scene id is decoded."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ground.decode.inventory import Inventory, take_inventory
from ground.decode.wanted import FIRST, Wanted
from onboard.bundle import load
from onboard.errors import SkybookError
from onboard.link.binding import Encoding
from onboard.link.resync import Damage
from onboard.link.segment import BOUND, Segment


@dataclass(frozen=True)
class Candidate:
    """An encoding of a scene id that has several.

    Attributes:
        encoding: which it is.
        inventory: what is missing of it; None where that cannot be told.
        bytes: bytes of its segments that arrived, bodies alone.
        has_pixels: whether anything arrived of any tile.
    """

    encoding: Encoding
    inventory: Inventory | None
    bytes: int
    has_pixels: bool

    @property
    def worth(self) -> tuple[int, int]:
        """What makes it better than another: pixels that are complete, then bytes."""
        return (0 if self.inventory is None else self.inventory.whole_pixels, self.bytes)

    @property
    def share(self) -> str:
        """How much of it arrived, in words."""
        if self.inventory is None:
            return f"{self.bytes} bytes"
        tiles = self.inventory.tiles
        absent = sum(last - first + 1 for first, last in self.inventory.absent)
        return f"{tiles - absent - len(self.inventory.incomplete)} of {tiles} tiles complete"


def best_first(
    received: Mapping[Encoding, Sequence[Segment | Damage]],
    bundle_of: Callable[[Encoding], Path],
    wanted: Wanted = FIRST,
) -> list[Candidate]:
    """Return encodings of a scene, the one with the most complete pixels first, then most bytes.

    Args:
        received: what was received of each encoding of one scene id.
        bundle_of: path of the bundle of an encoding; may raise any of our errors.
        wanted: what is wanted of each of them.
    """
    found = []
    for encoding, segments in received.items():
        inventory = None
        with suppress(SkybookError):  # of what cannot be decoded; who asks for it is told why
            inventory = take_inventory(load(str(bundle_of(encoding))), segments, wanted)
        intact = [segment for segment in segments if isinstance(segment, Segment)]
        size = sum(len(segment.body) for segment in intact)
        has_pixels = any(segment.kind in BOUND for segment in intact)
        found.append(Candidate(encoding, inventory, size, has_pixels))
    return sorted(found, key=lambda candidate: candidate.worth, reverse=True)
