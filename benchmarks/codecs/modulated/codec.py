"""ModulatedCodec: the modulated hyperprior as a codec whose streams decode anywhere.

Bands are frames of their own, as in the paper. A stream is, big-endian:

    lambdas     see `lambdas.py`
    means       u16 each, DN, of frames
    length      u32, bytes of what follows
    hyper       block of numbers, see `numbers.py`: side information of all frames
    latents     block of numbers: those of all frames

Which table a latent has follows in whole numbers from the side information. The image is made of
the latents in floating point, so a sample may differ by the DN that another processor rounds to;
what is read does not.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import Coded, OnePass, budget_of, samples_of
from benchmarks.codecs.modulated.lambdas import Lambdas, finest_within, latent_grid, quantise
from benchmarks.codecs.modulated.layout import HYPER_STRIDE, STRIDE, Sensor
from benchmarks.codecs.modulated.numbers import bits, pack, unpack
from benchmarks.codecs.modulated.quality import Regression, block_errors
from benchmarks.codecs.modulated.scales import HyperSynthesis
from benchmarks.codecs.modulated.tables import Tables
from ground.scene import Scene
from onboard.errors import StreamError, UsageError
from onboard.image.files import Image

if TYPE_CHECKING:
    from benchmarks.codecs.modulated.transforms import Transforms

_LENGTH, _MEAN = struct.Struct(">I"), np.dtype(">u2")
Ints = NDArray[np.int64]
Latents = Sequence[NDArray[np.float32]]
"""Of each frame, (latents, rows, cols), before modulation."""


@dataclass(frozen=True)
class Read:
    """What a stream says.

    Attributes:
        lambdas: of the blocks.
        means: DN of each frame.
        values: latents (bands, latents, rows, cols), modulated and rounded.
    """

    lambdas: Lambdas
    means: NDArray[np.uint16]
    values: Ints


@dataclass(frozen=True)
class _Numbers:
    """What is sent of some frames (bands, maps, rows, cols): side information, latents, tables."""

    hyper: Ints
    values: Ints
    tables: Ints


@dataclass(frozen=True)
class ModulatedCodec:
    """The codec for one sensor.

    Attributes:
        transforms: the network.
        hyper_synthesis: its part that reads streams, in whole numbers.
        hyper_tables: of the side information, one for each of its maps.
        latent_tables: of the latents.
        sensor: what samples are normalised with.
        regression: how the error follows from lambda; None where it was not fitted.
    """

    transforms: "Transforms"
    hyper_synthesis: HyperSynthesis
    hyper_tables: Tables
    latent_tables: Tables
    sensor: Sensor
    regression: Regression | None = None
    variable_rate = True

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        """Code within a budget, all frames at one lambda, see `Codec`."""
        image, most = samples_of(scene), budget_of(scene, budget)
        latents, bands = self.analyse(image), len(image)

        def guess(code: int) -> float:
            return self._bytes(self._numbers(latents, Lambdas.same(bands, code)))

        def encode(code: int) -> Coded:
            return self.encode_at(image, Lambdas.same(bands, code), latents)

        return finest_within("modulated hyperprior", most, guess, encode)

    def decode(self, coded: Coded) -> Image:
        """Decode a stream, see `Codec`."""
        shape = coded.shape[0], coded.shape[1], coded.shape[2]
        found = self.read(coded.parts[0], shape)
        return self._decoded(found.values, found.lambdas, found.means, shape)

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        """Settle lambda for a ratio, see `Codec`."""
        image = samples_of(scene)
        stream = self.encode(scene, int(scene.raw_bytes / ratio)).parts[0]
        lambdas, _ = Lambdas.unpack(stream, image.shape)
        code = int(lambdas.codes[0, 0, 0])
        return OnePass(f"lambda {code} of 255", partial(self.encode_at, image, lambdas))

    def analyse(self, image: Image) -> Latents:
        """Return the latents of each frame."""
        scale = np.float32(self.sensor.scale)
        centred = image.astype(np.float32) - _means(image)[:, None, None].astype(np.float32)
        return [self.transforms.analyse(frame[None] / scale) for frame in centred]

    def encode_at(self, image: Image, lambdas: Lambdas, latents: Latents | None = None) -> Coded:
        """Code an image, uint16 (bands, rows, cols), at the lambda of each of its blocks.

        Its latents may be given, where they are known.
        """
        found = self._numbers(latents or self.analyse(image), lambdas)
        hyper = pack(found.hyper.ravel(), _map_of(found.hyper.shape), self.hyper_tables)
        values = pack(found.values.ravel(), found.tables.ravel(), self.latent_tables)
        head = lambdas.pack() + _means(image).tobytes() + _LENGTH.pack(len(hyper))
        return Coded((head + hyper + values,), image.shape)

    def decoded_at(self, image: Image, lambdas: Lambdas) -> Image:
        """Return what `decode` makes of an image at lambdas, coded by nothing in between."""
        values = self._modulated(self.analyse(image), lambdas)
        return self._decoded(np.rint(values), lambdas, _means(image), image.shape)

    def lambdas_for(self, image: Image, target: float, side: int = 0) -> Lambdas:
        """Return the lambdas for an error, equation 4.

        Args:
            image: uint16 (bands, rows, cols).
            target: mean squared error, DN, that each block shall have.
            side: of blocks, pixels: 64, 32 or 16; 0 for the frame.

        Raises:
            UsageError: the sensor has no regression.
        """
        if self.regression is None:
            raise UsageError(f"{self.sensor.name}: expected a regression of the error, found none")
        least = self.least_errors(image, side) / self.sensor.scale**2
        return Lambdas(
            side, quantise(self.regression.lambdas(least, target / self.sensor.scale**2))
        )

    def least_errors(self, image: Image, side: int = 0) -> NDArray[np.float64]:
        """Return the squared error, DN, of each block of which nothing is rounded: MSE_0."""
        exact = self._synthesise(self.analyse(image), _means(image), image.shape)
        return block_errors(image, exact, side)

    def read(self, stream: bytes, shape: tuple[int, int, int]) -> Read:
        """Read what a stream says of frames (bands, rows, cols).

        Raises:
            StreamError: the stream is damaged.
        """
        lambdas, rest = Lambdas.unpack(stream, shape)
        first = _MEAN.itemsize * shape[0] + _LENGTH.size
        if len(rest) < first:
            raise StreamError(f"stream: expected more than its head, found {len(stream)} bytes")
        means = np.frombuffer(rest, _MEAN, shape[0])
        stop = first + _LENGTH.unpack_from(rest, first - _LENGTH.size)[0]
        rows, cols = (side * STRIDE // HYPER_STRIDE for side in latent_grid(shape[1:]))
        form = shape[0], len(self.hyper_tables.shifts), rows, cols
        hyper = unpack(rest[first:stop], _map_of(form), self.hyper_tables)
        tables = self._tables(hyper.reshape(form))
        values = unpack(rest[stop:], tables.ravel(), self.latent_tables)
        return Read(lambdas, means, values.reshape(tables.shape))

    def _decoded(
        self,
        values: NDArray[Any],
        lambdas: Lambdas,
        means: NDArray[np.uint16],
        shape: tuple[int, ...],
    ) -> Image:
        """Return the image of rounded latents."""
        shares = lambdas.shares(latent_grid(shape[1:]))
        latents = [
            frame.astype(np.float32) / self.transforms.mask(share)
            for frame, share in zip(values, shares, strict=True)
        ]
        samples = self._synthesise(latents, means, shape)
        return np.rint(samples).clip(0, 65_535).astype(np.uint16)

    def _synthesise(
        self, latents: Latents, means: NDArray[np.uint16], shape: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """Return samples in DN (bands, rows, cols), not rounded."""
        frames = np.concatenate([self.transforms.synthesise(f, shape[1:]) for f in latents])
        return frames.astype(np.float64) * self.sensor.scale + means[:, None, None]

    def _numbers(self, latents: Latents, lambdas: Lambdas) -> _Numbers:
        """Modulate and round."""
        modulated = self._modulated(latents, lambdas)
        hyper = np.stack([self.transforms.hyper(frame) for frame in modulated]).astype(np.int64)
        return _Numbers(hyper, np.rint(modulated).astype(np.int64), self._tables(hyper))

    def _modulated(self, latents: Latents, lambdas: Lambdas) -> NDArray[np.float32]:
        """Return latents times their masks (bands, latents, rows, cols)."""
        rows, cols = latents[0].shape[1:]
        masks = map(self.transforms.mask, lambdas.shares((rows, cols)))
        return np.stack([frame * mask for frame, mask in zip(latents, masks, strict=True)])

    def _bytes(self, found: _Numbers) -> float:
        """Return about how many bytes numbers take."""
        hyper = bits(found.hyper.ravel(), _map_of(found.hyper.shape), self.hyper_tables)
        latents = bits(found.values.ravel(), found.tables.ravel(), self.latent_tables)
        return (hyper + latents) / 8

    def _tables(self, hyper: Ints) -> Ints:
        """Return the table of each latent (bands, latents, rows, cols)."""
        return np.stack([self.hyper_synthesis.tables(frame) for frame in hyper]).astype(np.int64)


def _means(image: Image) -> NDArray[np.uint16]:
    """Return the mean of each frame, whole DN, big-endian."""
    return np.asarray(np.rint(image.mean(axis=(1, 2))), _MEAN)


def _map_of(shape: tuple[int, ...]) -> Ints:
    """Return the map of each number of (bands, maps, rows, cols), flat: the table it has."""
    return np.broadcast_to(np.arange(shape[1])[:, None, None], shape).ravel()
