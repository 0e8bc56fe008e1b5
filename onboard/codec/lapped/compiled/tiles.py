"""Tiles as the library of engine `c` has them: a record for each, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import Steps
from onboard.engine.library import Tiles


@dataclass(frozen=True)
class CompiledTiles:
    """Tiles of one shape after front end and transform.

    Attributes:
        like: what they have in common.
        owners: memory of the records.
        records: u64 (tiles,), address of each tile's.
        bits: u32 (tiles, 256), guess of its bits at each step of plain tiles.
        finest: (tiles,), finest step code.
    """

    like: Tiles
    owners: tuple[NDArray[np.uint8], ...]
    records: NDArray[np.uint64]
    bits: NDArray[np.uint32]
    finest: Steps

    def take(self, tiles: NDArray[np.int64]) -> "CompiledTiles":
        """Return some tiles of the batch."""
        picked = self.records[tiles], self.bits[tiles], self.finest[tiles]
        return CompiledTiles(self.like, self.owners, *picked)

    def join(self, others: Sequence["CompiledTiles"]) -> "CompiledTiles":
        """Return this batch and others of the same shape as one."""
        if not others:
            return self
        every = (self, *others)
        like = next((batch.like for batch in every if batch.like.has_nodata), self.like)
        owners = dict.fromkeys(id(owner) for batch in every for owner in batch.owners)
        by_id = {id(owner): owner for batch in every for owner in batch.owners}
        return CompiledTiles(
            like,
            tuple(by_id[owner] for owner in owners),
            np.concatenate([batch.records for batch in every]),
            np.concatenate([batch.bits for batch in every]),
            np.concatenate([batch.finest for batch in every]),
        )
