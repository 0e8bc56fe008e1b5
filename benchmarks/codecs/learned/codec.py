"""LearnedCodec: a learned codec of all bands together, whose streams decode anywhere.

A stream is, big-endian:

    code      u8, of lambda, see `modulated/lambdas.py`
    means     u16 each, DN, of bands
    words     u32, how many follow
    numbers   u32 each, of the range coder: side information, where there is some, then latents,
              turn by turn

How often each number is expected follows in whole numbers from those before it. The image is made
of the latents in floating point, so a sample may differ by the DN that another processor rounds
to; what is read does not.
"""

import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import Coded, OnePass, budget_of, samples_of
from benchmarks.codecs.learned.layout import HYPER_STRIDE, Layout
from benchmarks.codecs.learned.mixture import Ints
from benchmarks.codecs.learned.rangecoder import MOST, Reader, Writer, of_mixture, of_tables
from benchmarks.codecs.learned.whole import WholePrior
from benchmarks.codecs.modulated.lambdas import finest_within, share_of
from benchmarks.codecs.modulated.layout import Sensor
from ground.scene import Scene
from onboard.errors import StreamError
from onboard.image.files import Image

if TYPE_CHECKING:
    from benchmarks.codecs.modulated.transforms import Transforms

_MEAN, _WORDS = np.dtype(">u2"), struct.Struct(">I")
Latents = NDArray[np.float32]


@dataclass(frozen=True)
class Read:
    """What a stream says.

    Attributes:
        code: of lambda.
        means: DN of each band.
        values: latents (latents, rows, cols), modulated and rounded.
    """

    code: int
    means: NDArray[np.uint16]
    values: Ints


@dataclass(frozen=True)
class LearnedCodec:
    """A codec for images of one sensor.

    Attributes:
        name: in results.
        layout: widths of the network.
        transforms: the network.
        prior: its part that reads streams, in whole numbers.
        sensor: what samples are normalised with.
    """

    name: str
    layout: Layout
    transforms: "Transforms"
    prior: WholePrior
    sensor: Sensor
    variable_rate = True

    @property
    def bands(self) -> int:
        """Bands of an image."""
        return self.layout.bands

    def tile_of(self, scene: Scene) -> int:
        """Return the longer side of a scene, which is coded whole."""
        _, rows, cols = scene.image.shape
        return int(max(rows, cols))

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        """Code within a budget, at one lambda, see `Codec`."""
        image, most = samples_of(scene), budget_of(scene, budget)
        latents = self.analyse(image)

        def guess(code: int) -> float:
            return self._bits(latents, code) / 8

        def encode(code: int) -> Coded:
            return self.encode_at(image, code, latents)

        return finest_within(self.name, most, guess, encode)

    def decode(self, coded: Coded) -> Image:
        """Decode a stream, see `Codec`."""
        shape = coded.shape[0], coded.shape[1], coded.shape[2]
        found = self.read(coded.parts[0], shape)
        latents = found.values.astype(np.float32) / self._mask(found.code)
        samples = self.transforms.synthesise(latents, shape[1:]).astype(np.float64)
        image = np.rint(samples * self.sensor.scale + found.means[:, None, None])
        return image.clip(0, 65_535).astype(np.uint16)

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        """Settle lambda for a ratio, see `Codec`."""
        code = self.encode(scene, int(scene.raw_bytes / ratio)).parts[0][0]
        return OnePass(f"lambda {code} of 255", partial(self.encode_at, samples_of(scene), code))

    def analyse(self, image: Image) -> Latents:
        """Return the latents of an image, not modulated."""
        centred = image.astype(np.float32) - _means(image)[:, None, None].astype(np.float32)
        return self.transforms.analyse(centred / np.float32(self.sensor.scale))

    def encode_at(self, image: Image, code: int, latents: Latents | None = None) -> Coded:
        """Code an image, uint16 (bands, rows, cols), at the lambda of a code.

        Its latents may be given, where they are known.
        """
        hyper, values = self._numbers(self.analyse(image) if latents is None else latents, code)
        writer = Writer()
        if tables := self.prior.hyper_tables:
            writer.write(hyper.ravel(), of_tables(_map_of(hyper.shape), tables))
        for where, mixture in self.prior.turns(code, hyper, values):
            writer.write(values[where].ravel(), of_mixture(mixture))
        body = writer.done()
        head = bytes([code]) + _means(image).tobytes() + _WORDS.pack(len(body) // 4)
        return Coded((head + body,), image.shape)

    def read(self, stream: bytes, shape: tuple[int, int, int]) -> Read:
        """Read what a stream says of an image (bands, rows, cols).

        Raises:
            StreamError: the stream is damaged.
        """
        first = 1 + _MEAN.itemsize * shape[0] + _WORDS.size
        if len(stream) < first:
            raise StreamError(f"stream: expected more than its head, found {len(stream)} bytes")
        (words,) = _WORDS.unpack_from(stream, first - _WORDS.size)
        if len(stream) != first + 4 * words:
            raise StreamError(f"stream: expected {words} words, found {len(stream) - first} bytes")
        code, reader = stream[0], Reader(stream[first:])
        values = np.zeros(self._grid(shape), np.int64)
        hyper = np.zeros((0, 0, 0), np.int64)
        if tables := self.prior.hyper_tables:
            side = len(tables.shifts), *(n // HYPER_STRIDE for n in values.shape[1:])
            which = _map_of(side)
            hyper = reader.read(len(which), of_tables(which, tables)).reshape(side)
        for where, mixture in self.prior.turns(code, hyper, values):
            found = reader.read(mixture.logits.shape[1], of_mixture(mixture))
            values[where] = found.reshape(values[where].shape)
        reader.end()
        return Read(code, np.frombuffer(stream, _MEAN, shape[0], 1), values)

    def _grid(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return latents, rows and columns of the latents of an image."""
        stride, multiple = self.layout.stride, self.layout.multiple
        rows, cols = (-(-length // multiple) * multiple // stride for length in shape[1:])
        return self.layout.latents, rows, cols

    def _numbers(self, latents: Latents, code: int) -> tuple[Ints, Ints]:
        """Modulate and round; return side information and latents."""
        modulated = latents * self._mask(code)
        hyper = np.zeros((0, 0, 0), np.int64)
        if self.prior.hyper_tables:
            hyper = self.transforms.hyper(modulated).clip(-MOST, MOST - 1).astype(np.int64)
        return hyper, np.rint(modulated).clip(-MOST, MOST - 1).astype(np.int64)

    def _bits(self, latents: Latents, code: int) -> float:
        """Return about how many bits latents take at the lambda of a code."""
        hyper, values = self._numbers(latents, code)
        turns = self.prior.turns(code, hyper, values)
        found = sum(mixture.bits(values[where].ravel()) for where, mixture in turns)
        if tables := self.prior.hyper_tables:
            which = _map_of(hyper.shape)
            reach = tables.reach[which]
            found += tables.bits[which, (hyper.ravel() + reach).clip(0, 2 * reach + 1)].sum()
        return found

    def _mask(self, code: int) -> Latents:
        """Return what latents are multiplied by, (latents, 1, 1)."""
        return self.transforms.mask(share_of(np.full((1, 1), code, np.uint8)))


def _means(image: Image) -> NDArray[np.uint16]:
    """Return the mean of each band, whole DN, big-endian."""
    return np.asarray(np.rint(image.mean(axis=(1, 2))), _MEAN)


def _map_of(shape: tuple[int, ...]) -> Ints:
    """Return the map of each number of (maps, rows, cols), flat: the table it has."""
    return np.broadcast_to(np.arange(shape[0])[:, None, None], shape).ravel()
