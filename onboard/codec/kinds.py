"""Kinds of codec: one table, so that nothing else asks which family a bundle is of."""

from onboard.bundle import Bundle
from onboard.codec.corsa.coder import PyramidTileCoder
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.tile import TileCoder

KINDS: dict[str, type[PyramidTileCoder] | type[LappedTileCoder]] = {
    "fixed": PyramidTileCoder,
    "rans": LappedTileCoder,
}


def open_tile_coder(bundle: Bundle, engine: str | None, threads: int) -> TileCoder:
    """Open the tile coder of the kind that a bundle names.

    Raises:
        EngineError: the engine is not installed or cannot run here.
        BundleError: the engine refuses the graph.
    """
    return KINDS[bundle.coder_kind](bundle, engine, threads)
