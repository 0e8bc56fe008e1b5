"""Trial: what a fitted bundle saves on images it was not fitted to, at equal quality."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, isfinite

import numpy as np

from ground import metrics
from ground.decode.decoder import Decoder
from ground.scene import Scene
from onboard.bundle import Bundle
from onboard.encoder import Encoder, Options
from onboard.errors import InputError, LimitError

BITS = (0.4, 0.7, 1.2, 2.1, 3.6)
"""Bits a sample that the generic bundle is tried at."""


@dataclass(frozen=True)
class Point:
    """An encode: bytes, and PSNR in dB with a peak of 65535, infinite if nothing is lost."""

    length: int
    psnr16: float


@dataclass(frozen=True)
class Row:
    """All images at one rate and in one mode.

    Attributes:
        mode: 'plain' or 'trellis'.
        bits: bits a sample asked for.
        images: images that could be coded so.
        psnr16: mean PSNR with a peak of 65535, dB.
        generic: bytes of the generic bundle.
        fitted: bytes of the fitted one at the same PSNR.
    """

    mode: str
    bits: float
    images: int
    psnr16: float
    generic: float
    fitted: float

    @property
    def change(self) -> float:
        """How many percent more bytes the fitted bundle takes; negative is fewer."""
        return 100 * (self.fitted / self.generic - 1)


@dataclass(frozen=True)
class Trial:
    """What was found.

    Attributes:
        rows: by mode, then rate.
    """

    rows: list[Row]

    @property
    def change(self) -> float:
        """Percent of bytes by which the fitted bundle differs on the whole; negative is fewer."""
        return float(100 * np.expm1(np.mean([np.log1p(row.change / 100) for row in self.rows])))

    @property
    def better(self) -> bool:
        """Whether the fitted bundle needs fewer bytes."""
        return self.change < 0


def try_on(
    scenes: Sequence[Scene],
    generic: Bundle,
    fitted: Bundle,
    decoder: Decoder,
    report: Callable[[str], None] = lambda _text: None,
) -> Trial:
    """Compare two bundles on scenes that neither was fitted to.

    Args:
        scenes: scenes to code.
        generic: bundle that a fitted one has to beat.
        fitted: the fitted one.
        decoder: decoder of the generic bundle; its network serves both.
        report: called with what is being done.

    Raises:
        InputError: not one scene can be coded at two rates.
    """
    pairs = [(Encoder(bundle), decoder.of(bundle)) for bundle in (generic, fitted)]
    found: dict[tuple[str, float], list[tuple[Point, float]]] = {}
    for mode in ("plain", "trellis"):
        for number, scene in enumerate(scenes, 1):
            report(f"{mode}: held-back image {number} of {len(scenes)}")
            ours, theirs = (_curve(scene, *pair, mode == "trellis") for pair in pairs)
            for bits, point, length in _at_equal_quality(ours, theirs):
                found.setdefault((mode, bits), []).append((point, length))
    if not found:
        raise InputError("fit: expected held-back images large enough to code, found none")
    return Trial(
        [
            Row(
                mode,
                bits,
                len(pairs_),
                float(np.mean([point.psnr16 for point, _ in pairs_])),
                float(sum(point.length for point, _ in pairs_)),
                float(sum(length for _, length in pairs_)),
            )
            for (mode, bits), pairs_ in found.items()
        ]
    )


def _curve(scene: Scene, encoder: Encoder, decoder: Decoder, trellis: bool) -> dict[float, Point]:
    """Return the encodes of a scene; a rate that it is too small for is left out."""
    points = {}
    for bits in BITS:
        options = Options(budget=int(scene.image.size * bits / 8), trellis=trellis)
        try:
            stream = b"".join(encoder.encode(scene.image, scene.header(), options))
        except LimitError:
            continue
        decoded = decoder.decode(stream).scene.image
        quality = metrics.psnr(scene.image, decoded, metrics.PEAK_16_BIT, scene.valid)
        points[bits] = Point(len(stream), quality)
    return points


def _at_equal_quality(
    generic: dict[float, Point], fitted: dict[float, Point]
) -> list[tuple[float, Point, float]]:
    """Return rates, the generic point at each, and what the fitted bundle takes for its PSNR.

    The two differ little: along the curve of the fitted one, by its slope, to the PSNR of the
    other.
    """
    common = [
        bits
        for bits in BITS
        if bits in generic.keys() & fitted.keys()
        and isfinite(generic[bits].psnr16 + fitted[bits].psnr16)
    ]
    if len(common) < 2:
        return []
    logs = np.log([fitted[bits].length for bits in common])
    quality = np.array([fitted[bits].psnr16 for bits in common])
    slopes = np.gradient(logs, quality)
    missing = np.array([generic[bits].psnr16 for bits in common]) - quality
    lengths = [exp(log) for log in logs + slopes * missing]
    return [(bits, generic[bits], n) for bits, n in zip(common, lengths, strict=True)]
