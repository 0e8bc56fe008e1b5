"""Lapped codec: what the wire description and the parts of a bundle make."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from onboard.codec.lapped import part
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.context import BLOCK
from onboard.codec.lapped.frontends.kinds import FRONT_ENDS
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.part import GoldenTile
from onboard.codec.tile import Codec, Side
from onboard.engine.planes import open_plane_session
from onboard.errors import BundleError, UsageError


@dataclass(frozen=True)
class LappedCodec:
    """A model with what it takes to run and to check it; any rate.

    Attributes:
        model: all integers of the codec.
        tile: rows and columns of a tile, in pixels, a multiple of 8.
        parts: bytes of the bundle's parts by name; empty where there is only a model, which runs on
            numpy alone.
        error_permille: squared error on the ground over that of the rounding on board.
    """

    model: LappedModel
    tile: int
    parts: Mapping[str, bytes] = field(default_factory=dict)
    error_permille: int = 1000

    @classmethod
    def read(
        cls, wire: Mapping[str, Any], encoder: Mapping[str, Any], parts: Mapping[str, bytes]
    ) -> "LappedCodec":
        """Build the codec of a bundle, whose `bands` and `tile` were checked.

        Args:
            wire: all that the meaning of a stream depends on.
            encoder: entry `encoder` of the manifest.
            parts: bytes of the parts by name.

        Raises:
            BundleError: values do not fit together.
            KeyError: one is missing.
        """
        share, tile = encoder["error_permille"], wire["tile"]
        if type(share) is not int or not 1 <= share <= 10_000:
            raise BundleError(f"error_permille: expected 1..10000, found {share!r:.40}")
        kinds = [{"kind": kind} for kind in FRONT_ENDS]
        if wire["front_end"] not in kinds or tile % BLOCK:
            raise BundleError(
                f"lapped codec: expected front end {' or '.join(map(repr, FRONT_ENDS))} and tiles "
                f"of a multiple of 8, found {wire['front_end']!r:.80} and {tile}"
            )
        if hashlib.sha256(parts["lapped"]).hexdigest() != wire["lapped_sha256"]:
            raise BundleError("part lapped: SHA-256 does not match the wire description")
        front_end = FRONT_ENDS[wire["front_end"]["kind"]](wire["bands"])
        model = part.unpack(parts["lapped"], wire["coder"], front_end)
        return cls(model, tile, parts, share)

    @classmethod
    def of(cls, codec: Codec) -> "LappedCodec":
        """Return a codec as one of this family, for what only this family has.

        Raises:
            BundleError: it is of another.
        """
        if not isinstance(codec, cls):
            raise BundleError("bundle: expected a lapped codec, found another")
        return codec

    @property
    def bands(self) -> int:
        """Bands of an image."""
        return self.model.front_end.bands

    @property
    def layers(self) -> int:
        """Layers of a tile, layer 0 left aside."""
        return self.model.contexts.layers

    @property
    def side_bytes(self) -> int:
        """Length of the packed side information, the tile state left aside."""
        return self.model.front_end.side_bytes

    @property
    def variable_rate(self) -> bool:
        """Whether a stream can have any rate: it can."""
        return True

    @cached_property
    def golden(self) -> tuple[GoldenTile, ...]:
        """The golden vectors; none where there is only a model."""
        if not self.parts:
            return ()
        return part.unpack_golden(self.parts["golden"], self.bands, self.tile)

    def open(self, engine: str | None = None, threads: int = 1) -> LappedTileCoder:
        """Open the transform in an engine; without a name in numpy."""
        session = open_plane_session(
            self.parts.get("encoder.onnx", b""),
            self.parts.get("encoder.tflite", b""),
            self.tile,
            self.model.transform.analyse,
            engine,
            threads,
        )
        return LappedTileCoder(
            self.model, session, self.tile, lambda: self.golden, self.error_permille
        )

    def unpack_side(self, packed: bytes, signed: bool) -> Side:
        """Unpack side information; `signed` says that samples are i16."""
        return self.model.front_end.unpack(packed, signed)

    def payload_bytes(self, rows: int, cols: int) -> list[int]:
        """Refuse: the rate is variable."""
        raise UsageError(f"payload of {rows} x {cols} pixels: the rate is variable")

    def golden_again(self) -> bytes:
        """Return the part `golden` of the same tiles, coded by numpy with this codec."""
        return part.pack_golden(self.open("numpy").coded_anew(self.golden))
