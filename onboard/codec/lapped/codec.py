"""Lapped codec: what the wire description and the parts of a bundle make."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from onboard.codec.lapped import part
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.context import BLOCK
from onboard.codec.lapped.frontends.components import ComponentFrontEnd
from onboard.codec.lapped.frontends.kinds import FRONT_ENDS
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.part import MAX_BANDS, GoldenTile
from onboard.codec.profile import Profile
from onboard.codec.tile import Codec, Side
from onboard.codec.tiling import USUAL, Size, Tiling
from onboard.engine.engines import check_engine, library_name, library_path
from onboard.engine.planes import open_plane_session
from onboard.errors import BundleError, EngineError, InputError, UsageError

if TYPE_CHECKING:
    from onboard.codec.lapped.compiled.coder import CompiledTileCoder
    from onboard.engine.library import Library

MAX_TILE = 128
"""Rows of a usual tile of several bands at most; one band has tiles of twice as many."""
MAX_SIDE = 256
"""Rows of any tile at most."""
WIDE_BANDS = 4
"""Bands of a scene with larger tiles than usual, at most."""
_BEST_WIDE = 3
MAX_SCENE_BANDS = 1_024
"""In groups of up to 16."""
MOST_FRACTION = 4
"""Fraction bits that samples get at most."""
MOST_BITS = 16
"""Of a sample with its fraction."""


@dataclass(frozen=True)
class LappedCodec:
    """A model with what it takes to run and to check it; any rate.

    Attributes:
        model: all integers of the codec, of scenes of so many bands and fraction bits.
        usual_tile: rows and columns of a tile of scenes of several bands, a multiple of 8, as a
            rule.
        parts: bytes of the bundle's parts by name; empty where there is only a model, which runs on
            numpy alone.
        error_permille: squared error on the ground over that of the rounding on board.
        scene_bands: bands of a scene, where they are coded in groups; 0 where they are not.
        profile: spectral profile that makes components of them.
        side: rows and columns of a tile, a multiple of 8; 0 for those usual for so many bands.
        library: what a library of compiled code is named by; empty where there is only a model.
    """

    model: LappedModel
    usual_tile: int
    parts: Mapping[str, bytes] = field(default_factory=dict)
    error_permille: int = 1000
    scene_bands: int = 0
    profile: Profile | None = None
    side: int = 0
    library: str = ""

    @classmethod
    def read(
        cls, wire: Mapping[str, Any], encoder: Mapping[str, Any], parts: Mapping[str, bytes]
    ) -> "LappedCodec":
        """Build the codec of a bundle, for scenes of as many bands as it has classes.

        `classes` and `tile` were checked.

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
        if wire["front_end"] not in kinds or tile % BLOCK or tile > MAX_TILE:
            raise BundleError(
                f"lapped codec: expected front end {' or '.join(map(repr, FRONT_ENDS))} and tiles "
                f"of a multiple of 8 up to {MAX_TILE}, found {wire['front_end']!r:.80} and {tile}"
            )
        if hashlib.sha256(parts["lapped"]).hexdigest() != wire["lapped_sha256"]:
            raise BundleError("part lapped: SHA-256 does not match the wire description")
        classes = wire["classes"]
        if type(classes) is not int or not 1 <= classes <= MAX_BANDS:
            raise BundleError(f"classes: expected 1..{MAX_BANDS}, found {classes!r:.40}")
        front_end = FRONT_ENDS[wire["front_end"]["kind"]](classes)
        model = part.unpack(parts["lapped"], wire["coder"], front_end)
        return cls(model, tile, parts, share, library=library_name(wire))

    @classmethod
    def of(cls, codec: Codec) -> "LappedCodec":
        """Return a codec as one of this family, for what only this family has.

        Raises:
            BundleError: it is of another.
        """
        if not isinstance(codec, cls):
            raise BundleError("bundle: expected a lapped codec, found another")
        return codec

    def for_scene(
        self,
        bands: int,
        significant_bits: int,
        profile: Profile | None = None,
        tile: int | None = None,
    ) -> "LappedCodec":
        """Return the codec for scenes of so many bands and bits, perhaps with a spectral profile.

        Raises:
            InputError: it takes no so many bands, the profile was made for others, or tiles are
                neither the usual ones nor, of up to 4 bands, a multiple of 8 from there up to
                twice as many rows and columns, of one band up to four times.
        """
        if not 1 <= bands <= MAX_SCENE_BANDS:
            raise InputError(f"bands: expected 1..{MAX_SCENE_BANDS}, found {bands}")
        sides = self.sides(bands)
        if tile is not None and tile not in sides:
            several = f"a multiple of {BLOCK} in {sides[0]}..{sides[-1]}"
            expected = several if len(sides) > 1 else f"{sides[0]}"
            raise InputError(f"tile: expected {expected} for {bands} bands, found {tile}")
        if profile is not None:
            return self._of_profile(bands, significant_bits, profile)
        fraction = min(MOST_FRACTION, MOST_BITS - significant_bits)
        return self._of_scene(bands, fraction, tile or 0)

    def best_tile(self, bands: int, size: Size, tiling: Tiling = USUAL) -> int | None:
        """Return the tiles that scenes are given where nobody asks for others.

        Where they are fitted, the least of those by which a scene has as few as by the largest.
        """
        if bands > (WIDE_BANDS if tiling.fitted else _BEST_WIDE):
            return None
        if not tiling.fitted:
            return None if bands == 1 else 2 * self.usual_tile
        most, unit = self.sides(bands)[-1], max(BLOCK, tiling.block)
        each = (-(-side // -(-side // most)) for side in size if side)
        return max(self.usual_tile, *(-(-side // unit) * unit for side in each))

    def sides(self, bands: int) -> range:
        """Return the rows and columns that tiles of scenes of so many bands may have."""
        times = 4 if bands == 1 else 2 if bands <= WIDE_BANDS else 1
        return range(self.usual_tile, min(times * self.usual_tile, MAX_SIDE) + 1, BLOCK)

    def _usual(self, bands: int) -> int:
        """Return the rows and columns of tiles of so many bands that need not be said."""
        return self.usual_tile * (2 if bands == 1 else 1)

    def _of_scene(self, bands: int, fraction: int, side: int) -> "LappedCodec":
        side = 0 if side == self._usual(bands) else side
        form = self.bands, self.fraction, self.profile, self.side
        if form == (bands, fraction, None, side):
            return self
        model = self.model.of_scene(_of_group(bands), fraction)
        scene_bands = bands if bands > MAX_BANDS else 0
        return replace(self, model=model, scene_bands=scene_bands, profile=None, side=side)

    def _of_profile(self, bands: int, significant_bits: int, profile: Profile) -> "LappedCodec":
        if bands != profile.bands:
            raise InputError(f"profile: made for {profile.bands} bands, found {bands}")
        fraction = profile.fraction(significant_bits)
        if self.profile is profile and fraction == self.fraction:
            return self
        model = self.model.of_scene(_of_group(bands), fraction)
        model = replace(model, front_end=ComponentFrontEnd(model.bands, fraction))
        return replace(self, model=model, scene_bands=bands, profile=profile, side=0)

    @property
    def tile(self) -> int:
        """Rows and columns of a tile, in pixels."""
        return self.side or self._usual(self.bands)

    @property
    def golden_views(self) -> tuple["LappedCodec", ...]:
        """The codec of each kind of scene that there are golden vectors of."""
        forms = dict.fromkeys((tile.form[0], tile.fraction) for tile in self.golden)
        return tuple(self._of_scene(*form, side=0) for form in forms)

    @property
    def bands(self) -> int:
        """Bands of an image."""
        return self.scene_bands or self.model.bands

    @property
    def groups(self) -> int:
        """Groups that the bands of a scene are coded in."""
        return -(-self.bands // self.model.bands)

    @property
    def fraction(self) -> int:
        """Fraction bits that samples get on board."""
        return self.model.front_end.fraction

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
        """The golden vectors, of all kinds of scenes; none where there is only a model."""
        return part.unpack_golden(self.parts["golden"]) if self.parts else ()

    def is_compiled(self, engine: str | None = None) -> bool:
        """Return whether compiled code codes the tiles of such scenes, opened in this engine."""
        return engine in (None, "c") and not self._in_parts and self.compiled() is not None

    @property
    def _in_parts(self) -> bool:
        """Whether tiles are groups of bands or components of a profile, which numpy codes."""
        return bool(self.scene_bands) or self.profile is not None

    def open(
        self, engine: str | None = None, threads: int = 1
    ) -> "LappedTileCoder | CompiledTileCoder":
        """Open the encoder in an engine; without a name in compiled code where there is any.

        Groups of bands and components of a profile are coded by numpy in its place.
        """
        check_engine(engine, threads)
        if engine not in (None, "c"):
            return self.open_planes(engine, threads)
        in_numpy = self.open_planes("numpy", threads)
        if self._in_parts or (found := self.compiled(needed=engine == "c")) is None:
            return in_numpy
        from onboard.codec.lapped.compiled.coder import CompiledTileCoder  # noqa: PLC0415

        return CompiledTileCoder(in_numpy, found, threads)

    def compiled(self, needed: bool = False) -> "Library | None":
        """Return the library of compiled code, None where there is none that can be used.

        Raises:
            EngineError: there is none, and it is needed.
        """
        path = library_path(self.library)
        if not needed and not path.exists():
            return None
        from onboard.engine.library import open_library  # noqa: PLC0415

        try:
            return open_library(path)
        except EngineError:
            if needed:
                raise
            return None

    def open_planes(self, engine: str | None = None, threads: int = 1) -> LappedTileCoder:
        """Open the transform in an engine that is not compiled code."""
        session = open_plane_session(
            self.parts.get("encoder.onnx", b""),
            self.parts.get("encoder.tflite", b""),
            self.model.transform.analyse,
            engine,
            threads,
        )
        return LappedTileCoder(
            self.model, session, self.tile, lambda: self.golden, self.error_permille, self.profile
        )

    def unpack_side(self, packed: bytes, signed: bool) -> Side:
        """Unpack side information; `signed` says that samples are i16."""
        return self.model.front_end.unpack(packed, signed)

    def payload_bytes(self, rows: int, cols: int) -> list[int]:
        """Refuse: the rate is variable."""
        raise UsageError(f"payload of {rows} x {cols} pixels: the rate is variable")

    def golden_again(self) -> bytes:
        """Return the part `golden` of the same tiles, coded by numpy with this codec."""
        return part.pack_golden(self.open_planes("numpy").coded_anew(self.golden))


def _of_group(bands: int) -> int:
    """Return the bands of a group of a scene of so many."""
    return -(-bands // -(-bands // MAX_BANDS))
