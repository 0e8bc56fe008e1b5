"""Salvage of lanes: damaged segments of tiles of entropy-coded symbols.

A lane whose bits are right ends where the next segment begins, or the tile: with the state that its
writer began with and no word left, which one with a wrong bit does once in 2^32. So of the ways in
which a segment may be put right the symbols tell the right one. What cannot be put right is read as
far as it is to be believed (`breaks`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ground.decode.lapped.breaks import Symbols, believed
from ground.decode.lapped.canvas import Canvas
from ground.decode.lapped.jumps import jumps
from ground.decode.lapped.lanes import LaneTile, alike, read_lanes
from ground.decode.reception import Reception
from ground.decode.salvaged import Mended, copied, places, with_segment
from ground.station.salvage.madeout import Salvage
from onboard.codec.lapped.context import LATTICES
from onboard.codec.lapped.read.lanes import Lane, RawLane
from onboard.codec.lapped.read.layers import LayerReader, Read
from onboard.image.tiles import TileGrid
from onboard.link.segment import Kind

_TILES_AT_ONCE = 256
_AC = LATTICES + 1
"""First layer that is not DC."""


class _Try(NamedTuple):
    """A tile with one of the ways to put a segment right, or with it as it came."""

    number: int
    salvage: Salvage
    tile: LaneTile

    @property
    def start(self) -> tuple[int, int]:
        """Layer and `first` at which the lane of the segment begins."""
        segment = self.salvage.segment
        return (segment.layer, segment.first) if segment.layer else (1, 0)

    @property
    def up_to(self) -> LaneTile | None:
        """The tile without what follows that lane; None if the lane cannot be read in part.

        Of a raw lane nothing tells what of it is right.
        """
        if self.tile.side is None or RawLane.open(self.tile.lanes.get(self.start, b"")):
            return None
        found = copied(self.tile)
        found.lanes = {place: body for place, body in found.lanes.items() if place <= self.start}
        return found if self.start in found.lanes else None


@dataclass(frozen=True)
class LaneSalvage:
    """Puts into tiles what is salvaged of their damaged segments.

    Attributes:
        reader: reads lanes.
    """

    reader: LayerReader

    def mended(
        self, reception: Reception, grid: TileGrid, tiles: Mapping[int, LaneTile]
    ) -> dict[int, Mended[LaneTile]]:
        """Return those of some tiles of which anything is salvaged.

        Args:
            reception: what arrived of the scene.
            grid: tiles of the scene.
            tiles: what arrived of them, by their numbers; these stay as they are.
        """
        left = {n: found for n in tiles if (found := places(reception, grid, n))}
        mended: dict[int, Mended[LaneTile]] = {}
        while left:
            now = {index: found.pop(0) for index, found in left.items()}
            left = {index: found for index, found in left.items() if found}
            tries: list[_Try] = []
            for index, alternatives in now.items():
                before = mended[index].tile if index in mended else tiles[index]
                for one in alternatives:
                    if tile := with_segment(before, one.segment, grid.tile):
                        tries.append(_Try(index, one, tile))
            right = self._right([one for one in tries if one.salvage.wrong])
            settled = {one.number for one in right}
            came = [t for t in tries if not t.salvage.wrong and t.number not in settled]
            for index, salvage, tile in [*right, *self._in_part(came)]:
                taken = mended[index].salvage if index in mended else ()
                mended[index] = Mended(tile, (*taken, salvage))
        return mended

    def _right(self, tries: Sequence[_Try]) -> list[_Try]:
        """Return the right ones, at most one of each tile."""
        found: dict[int, _Try] = {}
        sound: set[int] = set()
        readable = {n: one.tile for n, one in enumerate(tries) if one.tile.side is not None}
        for members in alike(readable, _TILES_AT_ONCE):
            read = read_lanes(self.reader, [readable[number] for number in members])
            sound.update(n for k, n in enumerate(members) if _is_sound(read, k, tries[n]))
        for number, one in enumerate(tries):
            if number in sound:
                found.setdefault(one.number, one)
        return list(found.values())

    def _in_part(self, tries: Sequence[_Try]) -> list[_Try]:
        """Return tiles with as much of a segment as it came as is to be believed, if that helps."""
        found: dict[int, _Try] = {}
        readable = {n: tile for n, one in enumerate(tries) if (tile := one.up_to) is not None}
        for members in alike(readable, _TILES_AT_ONCE):
            read = read_lanes(self.reader, [readable[number] for number in members])
            for place, number in enumerate(members):
                one = tries[number]
                *earlier, lane = _lanes(readable[number], place)
                if not all(known in read.ended for known in earlier):
                    continue  # it would begin within another
                symbols = Symbols.of(read, lane)
                before = one.salvage.length - len(lane.body)
                most = believed(self.reader.model, symbols, len(lane.body), before)
                one.tile.most[one.start] = most
                if most > symbols.of_dc:
                    found.setdefault(one.number, one)
        return list(found.values())


def _lanes(tile: LaneTile, number: int) -> list[Lane]:
    """Return the lanes of a tile, which has this number in a batch, in their order."""
    return [
        Lane(number, *start, body, tile.most.get(start))
        for start, body in sorted(tile.lanes.items())
    ]


def refused(
    canvas: Canvas, mended: Mapping[int, Mended[LaneTile]], tiles: Mapping[int, LaneTile]
) -> list[int]:
    """Return which mended tiles are not to be believed: DC as it came, that jumps.

    Args:
        canvas: canvas on which all stand.
        mended: tiles of which anything is salvaged.
        tiles: all tiles, these as they were mended.
    """
    doubtful = {
        index for index, one in mended.items() if min(one.tile.most, default=(_AC, 0))[0] < _AC
    }
    sound = {index for index, tile in tiles.items() if tile.side is not None} - doubtful
    return [index for index in doubtful if jumps(canvas, index, sound)]


def _is_sound(read: Read, number: int, one: _Try) -> bool:
    """Say whether what was read of a tile fits a segment that was put right.

    A mask, or a layer 0 alone, has no symbols that tell: then only one wrong bit is believed.
    """
    tile, wrong = one.tile, one.salvage.wrong
    if one.salvage.segment.kind == Kind.MASK or one.start not in tile.lanes:
        return wrong == 1
    lane = Lane(number, *one.start, tile.lanes[one.start], tile.most.get(one.start))
    if wrong > 1:
        return lane in read.ended
    return lane not in read.wrong and lane not in read.beyond
