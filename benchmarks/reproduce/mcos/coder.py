"""Coders that a quality can be asked of; to add one, write its class and its row in `CODERS`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from benchmarks.codecs.skybook import BUNDLE, PLAIN
from benchmarks.reproduce.mcos.modulated import modulated
from benchmarks.reproduce.mcos.scenes import Kind
from ground.decode.decoder import Decoder
from ground.scene import Scene
from onboard.bundle import find, load
from onboard.encoder import Encoder, Options
from onboard.image.files import Image


class QualityCoder(Protocol):
    """A codec that takes a quality instead of a rate."""

    @property
    def blocks(self) -> tuple[int, ...]:
        """Sides of blocks that may have a quality each, pixels."""

    def code(self, scene: Scene, psnr: float, block: int) -> tuple[int, Image]:
        """Code a scene and decode it; return its bytes and the image.

        Args:
            scene: scene to code.
            psnr: quality asked for, dB of peak 65535.
            block: side of blocks that each are to have it; 0: the scene is to have it in all.
        """


@dataclass(frozen=True)
class Flagship:
    """The shipped bundle.

    Attributes:
        trellis: whether indices are chosen along a trellis.
    """

    trellis: bool
    blocks: tuple[int, ...] = (64, 32, 16)

    @cached_property
    def _ends(self) -> tuple[Encoder, Decoder]:
        return Encoder(load(BUNDLE)), Decoder(find(BUNDLE))

    def code(self, scene: Scene, psnr: float, block: int) -> tuple[int, Image]:
        """Code a scene and decode it, see `QualityCoder`."""
        encoder, decoder = self._ends
        options = Options(psnr=psnr, quality_block=block, trellis=self.trellis)
        stream = b"".join(encoder.encode(scene.image, scene.header(), options))
        return len(stream), decoder.decode(stream).scene.image


_TRELLIS, _PLAIN = Flagship(trellis=True), Flagship(trellis=False)
CODERS: dict[str, Callable[[Kind], QualityCoder | None]] = {
    BUNDLE: lambda _kind: _TRELLIS,
    BUNDLE + PLAIN: lambda _kind: _PLAIN,
    "modulated": lambda kind: modulated(kind.sensor),
}
"""By the name in results; None for a kind of data that a coder is not for."""
