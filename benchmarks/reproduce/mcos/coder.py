"""Coders that a quality can be asked of; to add one, write its class and its row in `CODERS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from benchmarks.codecs.skybook import BUNDLE, PLAIN
from benchmarks.reproduce.mcos.bound import SMALLEST, ladders_of, least_percent
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

    def least_percents(self, scene: Scene, psnr: float) -> Mapping[int, float]:
        """Return how many percent more bits blocks of each side that have it take by themselves.

        See `benchmarks.reproduce.mcos.bound`; nothing where that is not known.
        """


@dataclass(frozen=True)
class Flagship:
    """The shipped bundle.

    Attributes:
        trellis: whether indices are chosen along a trellis.
    """

    trellis: bool
    blocks: tuple[int, ...] = (64, 32, 16)

    def least_percents(self, scene: Scene, psnr: float) -> Mapping[int, float]:
        """Return what blocks of one quality cost by themselves, see `QualityCoder`."""
        ladders = ladders_of(self._numpy, scene, Options(trellis=self.trellis), psnr)
        factors = {side: side // SMALLEST for side in self.blocks}
        return {
            side: least_percent([ladder.of_blocks(factor) for ladder in ladders])
            for side, factor in factors.items()
        }

    @cached_property
    def _numpy(self) -> Encoder:
        return Encoder(load(BUNDLE), "numpy")

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
