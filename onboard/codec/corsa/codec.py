"""CORSA codec: what the wire description and the parts of a bundle make."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from onboard.codec import bitpack
from onboard.codec.corsa.coder import CorsaTileCoder
from onboard.codec.corsa.frontend import AffineFrontEnd, AffineSide, from_manifest
from onboard.codec.corsa.golden import GoldenVector, unpack_golden
from onboard.codec.corsa.quantizer import Level, read_levels
from onboard.codec.profile import Profile
from onboard.codec.tile import Codec
from onboard.codec.tiling import USUAL, Size, Tiling
from onboard.engine.network import open_session
from onboard.errors import BundleError, InputError
from onboard.image.tiles import positions


@dataclass(frozen=True)
class CorsaCodec:
    """Networks, codebooks and a front end; one rate.

    Attributes:
        front_end: samples to what the network takes.
        levels: levels of indices, coarse to fine.
        tile: rows and columns of a tile, in pixels.
        parts: bytes of the bundle's parts by name.
    """

    front_end: AffineFrontEnd
    levels: tuple[Level, ...]
    tile: int
    parts: Mapping[str, bytes]

    @classmethod
    def read(
        cls, wire: Mapping[str, Any], _encoder: Mapping[str, Any], parts: Mapping[str, bytes]
    ) -> "CorsaCodec":
        """Build the codec of a bundle, whose `bands` and `tile` were checked.

        Args:
            wire: all that the meaning of a stream depends on.
            parts: bytes of the parts by name.

        Raises:
            BundleError: values do not fit together.
            KeyError: one is missing.
        """
        if wire["coder"] != {"kind": "fixed"}:
            raise BundleError(f"coder: expected no more than its kind, found {wire['coder']!r:.80}")
        front_end = from_manifest(wire["front_end"], wire["bands"])
        levels = read_levels(wire["levels"], parts["codebooks"], wire["tile"])
        return cls(front_end, levels, wire["tile"], parts)

    @classmethod
    def of(cls, codec: Codec) -> "CorsaCodec":
        """Return a codec as one of this family, for what only this family has.

        Raises:
            BundleError: it is of another.
        """
        if not isinstance(codec, cls):
            raise BundleError("bundle: expected a CORSA codec, found another")
        return codec

    def for_scene(
        self,
        bands: int,
        significant_bits: int,
        profile: Profile | None = None,
        tile: int | None = None,
    ) -> "CorsaCodec":
        """Return the codec itself, whatever the bits.

        Raises:
            InputError: other bands or tiles than it was trained for, or a spectral profile.
        """
        if profile is not None:
            raise InputError("profile: expected a bundle of coder rans, found one of coder fixed")
        if bands != self.bands:
            raise InputError(
                f"bands: expected the {self.bands} that the model was trained for, found {bands} "
                f"(of {significant_bits} bits)"
            )
        if tile not in (None, self.tile):
            raise InputError(f"tile: expected the {self.tile} of the model, found {tile}")
        return self

    def best_tile(self, bands: int, size: Size, tiling: Tiling = USUAL) -> None:
        """Return None: tiles are those of the model, whatever the bands."""

    def sides(self, bands: int) -> range:
        """Return those of the model alone, whatever the bands."""
        return range(self.tile, self.tile + 1)

    @property
    def golden_views(self) -> "tuple[CorsaCodec, ...]":
        """The codec itself."""
        return (self,)

    @property
    def bands(self) -> int:
        """Bands of an image."""
        return self.front_end.bands

    @property
    def groups(self) -> int:
        """Groups that bands are coded in: one."""
        return 1

    @property
    def fraction(self) -> int:
        """Fraction bits that samples get on board: none."""
        return 0

    @property
    def layers(self) -> int:
        """Layers of a tile, layer 0 left aside."""
        return len(self.levels)

    @property
    def side_bytes(self) -> int:
        """Length of the packed side information, the tile state left aside."""
        return self.front_end.side_bytes

    @property
    def variable_rate(self) -> bool:
        """Whether a stream can have any rate: it cannot."""
        return False

    @cached_property
    def golden(self) -> tuple[GoldenVector, ...]:
        """The golden vectors."""
        maps = self.payload_bytes(self.tile, self.tile)
        return unpack_golden(self.parts["golden"], self.levels, maps, self.bands, self.tile)

    def is_compiled(self, engine: str | None = None) -> bool:
        """Return whether compiled code codes the tiles: it does not."""
        return False

    def open(self, engine: str | None = None, threads: int = 1) -> CorsaTileCoder:
        """Open the network in an engine; without a name in the first that is there."""
        session = open_session(
            self.parts["encoder.onnx"],
            self.parts["encoder.tflite"],
            len(self.levels),
            engine,
            threads,
        )
        return CorsaTileCoder(self.front_end, self.levels, self.tile, session, lambda: self.golden)

    def unpack_side(self, packed: bytes, signed: bool) -> AffineSide:
        """Unpack side information; `signed` says that samples are i16."""
        return self.front_end.unpack(packed, signed)

    def payload_bytes(self, rows: int, cols: int) -> list[int]:
        """Return the bytes of packed indices by level, coarse to fine (CORSA paper, Eq. 1)."""
        return [
            bitpack.packed_bytes(prod(positions(rows, cols, level.reduction)), level.width)
            for level in self.levels
        ]

    def golden_again(self) -> bytes:
        """Refuse: the network runs on an engine only."""
        raise BundleError("golden vectors: coded again only with a codec that runs on numpy")
