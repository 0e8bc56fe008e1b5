"""Shares: the bytes that lines of a scene may take (SPEC.md, section 13)."""

from dataclasses import dataclass

import numpy as np

from onboard.encoder.options import Options
from onboard.image.files import DTYPES
from onboard.link.end import EndOfScene
from onboard.link.framing import EDGE_BYTES, Framing, Strip
from onboard.link.header import SceneHeader
from onboard.link.segment import Kind, Segment


@dataclass(frozen=True)
class Shares:
    """What the lines of a scene may take.

    Attributes:
        options: options that the scene is encoded with.
        header: header of the scene.
        framing: what all segments have in common.
        tile: rows and columns of a tile.
        least_body: bytes of a tile's body at the coarsest step, as a rule.
    """

    options: Options
    header: SceneHeader
    framing: Framing
    tile: int
    least_body: int

    def of(self, first: int, stop: int) -> int:
        """Return the bytes of lines; the first pay for the end and for what is kept back."""
        options, header = self.options, self.header
        reserve = self.framing.cost([end_of_scene(self.framing, 1, 0)]) + self.kept_back
        if options.budget is not None:
            spendable = options.budget - reserve
            return spendable * stop // header.height - spendable * first // header.height
        if options.ratio is None:
            return 0
        raw = header.bands * header.width * np.dtype(DTYPES[header.sample_type]).itemsize
        before = int(raw * first / options.ratio) - reserve if first else 0
        return int(raw * stop / options.ratio) - reserve - before

    @property
    def kept_back(self) -> int:
        """What a last row of tiles that may be short takes at the coarsest step."""
        height = self.header.height
        if self.options.window == "scene" or (height and not height % self.tile):
            return 0
        columns = -(-self.header.width // self.tile)
        return columns * (self.framing.overhead + self.least_body + EDGE_BYTES)


def end_of_scene(framing: Framing, height: int, written: int) -> Strip:
    """Return the end of a scene of `height` lines, after `written` segments."""
    body = EndOfScene(height, written, framing.run).pack()
    segment = Segment(Kind.END, framing.scene_id, framing.binding, 0, 0, 0, None, body)
    return Strip(height, [segment.pack()])
