"""Random scenes, as the C encoder and Python both encode them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.scenes.procedural import procedural
from onboard.codec.bound import Bound
from onboard.codec.lapped.context import BLOCK
from onboard.codec.profile import SHIFT, Profile
from onboard.encoder import Encoder, Options
from onboard.encoder.boundedplace import BoundedBox
from onboard.image.bayer import PATTERNS, PLANES, cell_of, join
from onboard.image.files import DTYPES, bits_of, is_signed
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions

_KINDS = ("u16", "u8", "u16", "i16", "u16", "i8", "u16")
"""Sample types, in turn."""
_EVERY_MOSAIC = 3
"""Of four bands one scene in so many is a Bayer mosaic."""
_DEPTH = 13
"""Bits that a procedural scene fills."""
_USUAL, _CHOICE, _GROUPED = 64, 4, 16
"""Rows and columns of tiles, bands that may have more, and bands of a group at most."""
_BOUNDS = ("0", "2", "sqrt:1.5", "0", "each", "16")
"""On the error of samples, in turn."""


@dataclass(frozen=True)
class RandomScene:
    """A scene and how to encode it.

    Attributes:
        image: (bands, rows, cols); of a Bayer mosaic its planes.
        header: scene header.
        options: of the encoder.
        profile: spectral profile that it is encoded with.
    """

    image: NDArray[Any]
    header: SceneHeader
    options: Options
    profile: Profile | None = None

    @classmethod
    def of(cls, bands: int, seed: int, large: int = 1) -> "RandomScene":
        """Return one; every fourth in layers, every fifth within bytes.

        Most of the samples of 16 bits have 16 significant ones, every third 12. Every second of up
        to `large` bands, but no mosaic, has larger tiles, of all the sizes that there may be.
        """
        rng = np.random.default_rng(seed)
        most = 200 if bands <= _GROUPED else 100
        rows, cols = (int(side) for side in rng.integers(40, most, 2))
        bayer = None
        if seed // PLANES % _EVERY_MOSAIC == 0 and bands == PLANES:
            bayer = PATTERNS[seed // PLANES % len(PATTERNS)]
        kind = "u16" if bayer else _KINDS[seed % len(_KINDS)]
        bits = 12 if bits_of(kind) == 16 and seed % 3 == 0 else bits_of(kind)
        drawn = procedural(seed, rows, cols, bands, nodata=False).image
        samples = np.minimum(drawn, (1 << _DEPTH) - 1).astype(np.int64) >> max(_DEPTH - bits, 0)
        low = 1 << (bits - 1) if is_signed(kind) else 0
        image = (samples - low).astype(DTYPES[kind])
        sides = range(_USUAL, (4 if bands == 1 and large >= _CHOICE else 2) * _USUAL + 1, BLOCK)
        tile = None if bands > _CHOICE or bayer else _USUAL if bands > 1 else 2 * _USUAL
        if seed % 2 and bands <= large and not bayer:
            tile = sides[-1 - seed // 2 * 5 % len(sides)]
        header = SceneHeader.of(image, bayer=bayer, tile=tile)
        header = replace(header, significant_bits=bits)
        one_layer, in_bytes = seed % 4 == 0, seed % 5 == 0
        ratio = float(rng.uniform(3, 12)) / (4 if one_layer else 1)
        budget = int(image.nbytes / ratio * rng.uniform(0.02, 1)) if in_bytes else None
        options = Options(
            scene_id=seed,
            one_layer=one_layer,
            ratio=None if in_bytes else ratio,
            budget=budget,
            window="strip",
            packets=PacketOptions(int(rng.integers(128, 600)), control=seed % 2 == 0),
            run=int(rng.integers(1, 1 << 24)) if seed % 3 == 0 else None,
        )
        return cls(image, header, options)

    @property
    def along_trellis(self) -> "RandomScene":
        """The same with indices chosen along a trellis."""
        return replace(self, options=replace(self.options, trellis=True))

    @property
    def with_profile(self) -> "RandomScene":
        """The same with a spectral profile of its own bands, every second one along a trellis."""
        pixels = self.image.reshape(len(self.image), -1).astype(np.float64)
        basis = np.linalg.eigh(np.cov(pixels))[1][:, ::-1].T
        means = np.rint(pixels.mean(axis=1)).astype(np.int64)
        profile = Profile(means, np.rint(basis * (1 << SHIFT)).astype(np.int64))
        trellis = self.options.scene_id // 2 % 2 == 0
        return replace(self, profile=profile, options=replace(self.options, trellis=trellis))

    @property
    def content(self) -> str:
        """What its samples are: a sample type, or `bayer`."""
        return "bayer" if self.header.bayer else self.header.sample_type

    @property
    def bound(self) -> Bound:
        """What its samples, or some of them, are off by at most in the two that follow."""
        text = _BOUNDS[self.options.scene_id // 2 % len(_BOUNDS)]
        return Bound.parse(text if text != "each" else ",".join(map(str, range(len(self.image)))))

    @property
    def within_bound(self) -> "RandomScene":
        """The same within a bound on its error, every second one with a corner of nodata."""
        free = replace(self.options, ratio=None, budget=None, max_error=self.bound)
        if self.options.scene_id % 2:
            return replace(self, header=self._bounded_header, options=free)
        image, rows = self.image.copy(), self.image.shape[1] // 2
        least = int(image.min())
        image[:, rows:, :rows] = least
        header = replace(self._bounded_header, nodata=least)
        return replace(self, image=image, header=header, options=free)

    @property
    def with_box(self) -> "RandomScene":
        """The same with a box of pixels that are within a bound, or two, in twice the bytes."""
        height, width = self.image.shape[1:]
        inside = BoundedBox((width // 2, height // 3, width // 2 + 9, height // 3 + 40), self.bound)
        first = BoundedBox((0, 0, width // 2, 3), self.bound)
        boxes = (inside, first) if self.options.scene_id % 2 else (inside,)
        ratio = self.options.ratio and self.options.ratio / 2
        budget = self.options.budget and self.options.budget * 2
        more = replace(self.options, ratio=ratio, budget=budget, regions=boxes)
        return replace(self, header=self._bounded_header, options=more)

    @property
    def _bounded_header(self) -> SceneHeader:
        """The header with tiles that may be within a bound."""
        if self.header.tile is None:
            return self.header
        large = len(self.image) == 1 or self.header.tile > _USUAL
        return replace(self.header, tile=2 * _USUAL if large else _USUAL)

    @property
    def raw(self) -> bytes:
        """Lines as the program reads them."""
        return bil(join(self.image) if self.header.bayer else self.image)

    @property
    def arguments(self) -> list[str]:
        """Options of the program."""
        options, packets = self.options, self.options.packets or PacketOptions()
        header = self.header
        cell = cell_of(header.bayer)
        found = ["--width", str(cell * header.width), "--scene-id", str(options.scene_id)]
        found += ["--dtype", header.sample_type]
        found += ["--bayer", header.bayer] if header.bayer else ["--bands", str(header.bands)]
        found += ["--significant-bits", str(header.significant_bits)]
        found += ["--tile", str(header.tile)] if header.tile is not None else []
        if header.nodata is not None:
            found += ["--nodata", str(header.nodata)]
        if options.max_error is not None:
            found += ["--max-error", str(options.max_error)]
        elif options.budget is not None:
            found += ["--bytes", str(options.budget), "--lines", str(cell * header.height)]
        else:
            found += ["--ratio", repr(options.ratio)]
        for place in options.regions:
            if isinstance(place, BoundedBox):
                sides = ",".join(map(str, place.box))
                found += ["--region-max-error", sides, str(place.bound)]
        found += [] if options.run is None else ["--run", str(options.run)]
        found += ["--packets", "--packet-bytes", str(packets.packet_bytes)]
        found += ["--packet-control"] if packets.control else []
        found += ["--trellis"] if options.trellis else []
        return found + (["--one-layer"] if options.one_layer else [])

    def packets(self, encoder: Encoder) -> list[bytes]:
        """Return the packets that the Python runtime makes.

        Raises:
            LimitError: the coarsest step passes the budget.
            UsageError: segments are too short.
        """
        packets: list[bytes] = []
        former = self.options.packets or PacketOptions()
        if self.profile is not None:
            encoder = Encoder(encoder.bundle, encoder.engine, profile=self.profile)
        for strip in encoder.strips(self.image, self.header, self.options):
            packets += former.pack(strip.segments, strip.line, len(packets))
        return packets


def bil(image: NDArray[Any]) -> bytes:
    """Return an image (bands, rows, cols) line by line, little-endian."""
    return image.transpose(1, 0, 2).astype(image.dtype.newbyteorder("<")).tobytes()
