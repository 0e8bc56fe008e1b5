"""Ten bands of two resolutions through codecs of one: in two scenes, or all on the grid of 10 m.

Each way codes within a budget that holds for all its streams together, headers included.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from benchmarks.codecs.codec import Codec, Coded
from benchmarks.codecs.skybook import BundleCodec
from ground.scene import Scene
from ground.scenes.tenbands import BANDS, COARSE, FINE, TenBands
from onboard.encoder import Options
from onboard.encoder.outcome import Outcome
from onboard.errors import LimitError

_HALVINGS = 6
_SHARES = (0.4, 0.92)
"""Share of the bytes that the bands of 10 m get: the least and the most that is looked at."""
_NEAR, _TRIES = 0.01, 12
"""How near the best share is looked for, and how often."""

Streams = tuple[Coded, ...]


class TenBandCodec(Protocol):
    """A way of coding ten bands."""

    def encode(self, scene: TenBands, budget: int) -> Streams:
        """Code within a budget; where the rate is fixed it is not looked at.

        Raises:
            LimitError: it cannot do with so few bytes.
        """

    def decode(self, streams: Streams) -> TenBands:
        """Return the scene of what `encode` made."""


@dataclass(frozen=True)
class Together:
    """All bands on the grid of 10 m; what was decoded is averaged to the pixels of 20 m.

    Attributes:
        codec: codes the ten bands.
        spread: brings bands of 20 m to 10 m.
        weight: what their samples are divided by. A codec spends on four samples what is one: with
            2 their squared error counts as that of the one.
    """

    codec: Codec
    spread: Callable[[NDArray[np.uint16]], NDArray[np.float64]]
    weight: int = 1

    def encode(self, scene: TenBands, budget: int) -> Streams:
        """See `TenBandCodec`."""
        spread = np.rint(self.spread(scene.coarse) / self.weight).clip(0, 65_535)
        image = np.concatenate([scene.fine, spread.astype(np.uint16)])
        most = budget if self.codec.variable_rate else None
        return (self.codec.encode(Scene(image, band_ids=BANDS), most),)

    def decode(self, streams: Streams) -> TenBands:
        """See `TenBandCodec`."""
        image = self.codec.decode(streams[0])
        bands, rows, cols = image[len(FINE) :].shape
        cells = image[len(FINE) :].reshape(bands, rows // 2, 2, cols // 2, 2)
        coarse = np.rint(self.weight * cells.mean(axis=(2, 4))).clip(0, 65_535).astype(np.uint16)
        return TenBands(image[: len(FINE)].astype(np.uint16), coarse)


def repeated(coarse: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return bands with each pixel repeated 2x2, as products on one grid have them."""
    return coarse.repeat(2, axis=1).repeat(2, axis=2).astype(np.float64)


def smooth(coarse: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return bands of twice the size that are smooth, and whose 2x2 means are those given.

    Source: the synthesis of the 2/6 wavelet without details: a pair leans by an eighth of the
    difference of its neighbours.
    """
    wide = coarse.astype(np.float64)
    for axis in (1, 2):
        padded = np.pad(wide, [(1, 1) if a == axis else (0, 0) for a in range(3)], "edge")
        length = padded.shape[axis]
        before, after = (padded.take(range(a, length - 2 + a), axis) for a in (0, 2))
        lean = (before - after) / 8
        pairs = np.stack([wide + lean, wide - lean], axis=axis + 1)
        shape = [2 * n if a == axis else n for a, n in enumerate(wide.shape)]
        wide = pairs.reshape(shape)
    return wide


class _Apart:
    """Bands of 10 m and of 20 m in two scenes, which are decoded alike."""

    codec: Codec

    def decode(self, streams: Streams) -> TenBands:
        """See `TenBandCodec`."""
        fine, coarse = (self.codec.decode(coded).astype(np.uint16) for coded in streams)
        return TenBands(fine, coarse)


@dataclass(frozen=True)
class OneStep(_Apart):
    """Two scenes of a bundle of ours whose steps are the same, as one scene's would be.

    No decoder is needed to find it, so that a satellite can.
    """

    codec: BundleCodec

    def encode(self, scene: TenBands, budget: int) -> Streams:
        """Halve the share of the bytes until the steps of both agree; see `TenBandCodec`.

        That share is found without the trellis, which takes several times as long.
        """
        low, high = _SHARES
        best = (float("inf"), 0.0)
        for _ in range(_HALVINGS):
            share = (low + high) / 2
            first, fine = self._encode(scene.fine, FINE, int(budget * share), trellis=False)
            left = budget - first.length
            apart = fine - self._encode(scene.coarse, COARSE, left, trellis=False)[1]
            best = min(best, (abs(apart), share))
            if abs(apart) < 1:
                break
            # A coarser step for the bands of 10 m says that they are to get more.
            low, high = (share, high) if apart > 0 else (low, share)
        trellis = self.codec.trellis
        first, _ = self._encode(scene.fine, FINE, int(budget * best[1]), trellis)
        second, _ = self._encode(scene.coarse, COARSE, budget - first.length, trellis)
        return first, second

    def _encode(
        self, image: NDArray[np.uint16], names: tuple[str, ...], budget: int, trellis: bool
    ) -> tuple[Coded, float]:
        """Return a stream and the middle of its step codes."""
        found: list[Outcome] = []
        options = Options(budget=budget, trellis=trellis)
        header = Scene(image, band_ids=names).header()
        strips = self.codec.encoder.strips(image, header, options, found.append)
        stream = b"".join(segment for strip in strips for segment in strip.segments)
        steps = sum(found, Outcome()).steps
        return Coded((stream,), image.shape), sum(steps) / 2 if steps else 0.0


@dataclass(frozen=True)
class BestShares(_Apart):
    """Two scenes of a rival, which share the bytes so that the error of all samples is least."""

    codec: Codec

    def encode(self, scene: TenBands, budget: int) -> Streams:
        """Look for the best share, which is one; see `TenBandCodec`."""
        tried: list[tuple[float, Streams]] = []

        def error(share: float) -> float:
            try:
                first = self.codec.encode(Scene(scene.fine), int(budget * share))
                second = self.codec.encode(Scene(scene.coarse), budget - first.length)
            except LimitError:
                return float(np.finfo(np.float64).max)
            streams = (first, second)
            tried.append((squared_error(scene, self.decode(streams)), streams))
            return tried[-1][0]

        minimize_scalar(
            error, bounds=_SHARES, method="bounded", options={"xatol": _NEAR, "maxiter": _TRIES}
        )
        if not tried:
            raise LimitError(
                f"two scenes: expected to fit {budget} bytes, found no share that does"
            )
        return min(tried, key=lambda pair: pair[0])[1]


@dataclass(frozen=True)
class Better:
    """Of several ways the one with the least error; the first byte tells which."""

    ways: tuple[TenBandCodec, ...]

    def encode(self, scene: TenBands, budget: int) -> Streams:
        """See `TenBandCodec`."""
        found = []
        for number, way in enumerate(self.ways):
            try:
                streams = way.encode(scene, budget - 1)
            except LimitError:
                continue
            error = squared_error(scene, way.decode(streams))
            found.append((error, (Coded((bytes([number]),), ()), *streams)))
        if not found:
            raise LimitError(f"expected to fit {budget} bytes, found no way that does")
        return min(found, key=lambda pair: pair[0])[1]

    def decode(self, streams: Streams) -> TenBands:
        """See `TenBandCodec`."""
        return self.ways[streams[0].parts[0][0]].decode(streams[1:])


def squared_error(scene: TenBands, decoded: TenBands) -> float:
    """Return the sum of the squared errors of all samples as they were sensed, DN^2."""
    pairs = ((scene.fine, decoded.fine), (scene.coarse, decoded.coarse))
    return float(sum(np.square(a.astype(np.float64) - b).sum() for a, b in pairs))
