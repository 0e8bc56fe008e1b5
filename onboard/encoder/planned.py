"""Planned tiles: at the step chosen for them, coded when all is settled or, of many, at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from onboard.codec.tile import Body, TileCoder, TilePlan
from onboard.link.framing import Edge

HELD = 1024
"""Tiles of which symbols are kept until all steps are settled: of more they would take as much
memory as the scene."""


@dataclass(frozen=True)
class Planned:
    """A tile at the step chosen for it, as a rule not coded yet.

    Attributes:
        index: number of the tile in the scene.
        edge: valid rows and columns, of a border tile.
        plan: what the tile coder made of it; None once it is coded.
        lengths: starting layer and place of its segments, and the lengths that they will have, as a
            rule at most.
        bodies: bodies of its segments, once it is coded.
    """

    index: int
    edge: Edge
    plan: TilePlan | None
    lengths: list[tuple[int, int, int]]
    bodies: list[Body] | None = None


def bodies_of(coder: TileCoder[Any, Any], planned: Sequence[Planned]) -> list[list[Body]]:
    """Return the bodies of tiles, all that are not coded yet coded together."""
    coded = iter(coder.write([tile.plan for tile in planned if tile.plan is not None]))
    return [next(coded) if tile.bodies is None else tile.bodies for tile in planned]


def code(coder: TileCoder[Any, Any], planned: list[Planned | None], held: list[int]) -> None:
    """Code tiles at some places of a list, which are held no more."""
    some = [tile for place in held if (tile := planned[place]) is not None]
    for place, tile, bodies in zip(held, some, bodies_of(coder, some), strict=True):
        planned[place] = replace(tile, plan=None, bodies=bodies)
    held.clear()
