"""Options: what the caller of the encoder chooses."""

from dataclasses import dataclass, replace
from functools import cached_property

from onboard.bundle import Bundle
from onboard.codec.bound import Bound
from onboard.codec.tiling import Tiling
from onboard.encoder.boundedplace import BoundedPlace, LosslessCells
from onboard.encoder.quality import (
    BLOCKS,
    LOSSLESS,
    Quality,
    QualityMap,
    quality_of_psnr,
    quality_of_rmse,
)
from onboard.errors import UsageError
from onboard.link.binding import MAX_RUN, NO_RUN
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from onboard.link.segment import DEFAULT_SEGMENT_BYTES, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES

DEFAULT_RATIO = 20.48
WINDOWS = ("scene", "strip")
STRIPS_AT_ONCE = 8
_USUAL_TILE = 64


@dataclass(frozen=True)
class Options:
    """What the caller chooses.

    Of budget, ratio and max_error one at most, of psnr and rmse, too; where there is none, the
    ratio is 20.48. A budget or a ratio beside a quality is an upper bound: no tile is better than
    was asked for, and where that takes more bytes, the bytes win.

    Attributes:
        scene_id: u16, told apart by the receiver.
        segment_bytes: most bytes of a segment, header and CRC included.
        one_layer: begin a new segment at every layer and send each row of tiles layer by layer, so
            that layers can be scheduled apart.
        budget: most bytes of the stream, packets included; bundles of variable rate only.
        ratio: raw bytes over bytes, instead.
        rmse: root mean square error aimed at, in DN, of three decimals.
        window: over what the rate is controlled, 'scene' or 'strip' (one row of tiles).
        packets: how packets are formed; None for bare segments.
        strips_at_once: rows of tiles that are coded together where the window is the strip, for
            speed; of groups of bands so many fewer, of tiles of 128 pixels half as many. The bytes
            do not depend on it.
        trellis: choose indices along a trellis: fewer bytes at the same quality, for more time.
        run: number that tells the encoding from others of the scene id, 1..2^24 - 1; None chooses
            one by scene and options, 0 is none, as of streams made before there were runs.
        max_error: most that any sample may be off, instead of a rate; bundles with a part `bounded`
            only.
        regions: places whose tiles are coded within a bound, in a scene of a rate; of several that
            a tile touches the first counts.
        max_error_first: bound of a first part of each tile, whose rest, to come within `max_error`,
            is sent apart.
        psnr: PSNR aimed at, in dB, of peak 65535 and two decimals, instead of an RMSE.
        quality_block: side, in pixels, of blocks that each have that quality: 64, or 32 or 16,
            which may be 1 dB worse to share steps; 0: all tiles of a window have it together.
        quality_map: qualities of blocks by place; elsewhere that which `psnr` or `rmse` tells.
    """

    scene_id: int = 0
    segment_bytes: int = DEFAULT_SEGMENT_BYTES
    one_layer: bool = False
    budget: int | None = None
    ratio: float | None = None
    rmse: float | None = None
    window: str = "scene"
    packets: PacketOptions | None = None
    strips_at_once: int = STRIPS_AT_ONCE
    trellis: bool = False
    run: int | None = None
    max_error: Bound | None = None
    regions: tuple[BoundedPlace, ...] = ()
    max_error_first: Bound | None = None
    psnr: float | None = None
    quality_block: int = 0
    quality_map: QualityMap | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.scene_id <= 65_535:
            raise UsageError(f"scene id: expected 0..65535, found {self.scene_id}")
        if not MIN_SEGMENT_BYTES <= self.segment_bytes <= MAX_SEGMENT_BYTES:
            raise UsageError(
                f"segment bytes: expected {MIN_SEGMENT_BYTES}..{MAX_SEGMENT_BYTES}, "
                f"found {self.segment_bytes}"
            )
        if self.run is not None and not NO_RUN <= self.run <= MAX_RUN:
            raise UsageError(f"run: expected 1..{MAX_RUN}, found {self.run}")
        if sum(rate is not None for rate in (self.budget, self.ratio, self.max_error)) > 1:
            raise UsageError("rate: expected one of a budget, a ratio and a bound, found several")
        self._check_quality()
        if self.max_error is not None and self.regions:
            raise UsageError("regions: the whole scene is within a bound on the error")
        if self.max_error_first is not None:
            if self.max_error is None:
                raise UsageError("max error first: expected --max-error, too")
            self.max_error_first.check_not_finer(self.max_error)
        if self.max_error is not None and self.trellis:
            raise UsageError("trellis: tiles within a bound on the error are not quantised so")
        if self.ratio is not None and not 0 < self.ratio < float("inf"):
            raise UsageError(f"ratio: expected more than 0, found {self.ratio}")
        if not 1 <= self.strips_at_once <= 1024:
            raise UsageError(f"strips at once: expected 1..1024, found {self.strips_at_once}")
        if self.window not in WINDOWS:
            raise UsageError(f"rate window: expected one of {WINDOWS}, found {self.window!r}")

    def _check_quality(self) -> None:
        if self.psnr is not None and self.rmse is not None:
            raise UsageError("rate: expected a PSNR or an RMSE, found both")
        if self.quality_block not in (0, *BLOCKS):
            expected = ", ".join(map(str, BLOCKS))
            raise UsageError(f"quality block: expected {expected}, found {self.quality_block}")
        quality = self.quality  # refuses what is out of range
        if self.max_error is not None and (quality or self.quality_block):
            raise UsageError("rate: expected a quality or a bound on the error, found both")
        if self.quality_block and quality is None:
            raise UsageError("quality block: expected a PSNR or an RMSE, too, or a map of them")
        if self.quality_map is not None and not self.quality_block:
            raise UsageError("quality map: expected the side of its blocks, too")

    @cached_property
    def quality(self) -> Quality | None:
        """Quality asked for; None where none is.

        Raises:
            UsageError: it is out of range.
        """
        if self.psnr is None and self.rmse is None and self.quality_map is None:
            return None
        usual = 0 if self.psnr is None else quality_of_psnr(self.psnr)
        usual = usual if self.rmse is None else quality_of_rmse(self.rmse)
        return Quality(usual, self.quality_block, self.quality_map)

    @cached_property
    def places(self) -> tuple[BoundedPlace, ...]:
        """Places whose tiles are within a bound: regions, and what a map wants without loss."""
        if self.quality_map is None or LOSSLESS not in self.quality_map.qualities:
            return self.regions
        return *self.regions, LosslessCells(self.quality_map)

    @property
    def tiling(self) -> Tiling:
        """What tiles are good for a scene, by how it is coded alone.

        The usual ones within a bound, where boxes have one, or places a quality of a map: they
        follow these more closely.
        """
        alike = not self.places and self.quality_map is None
        return Tiling(alike and self.max_error is None, self.quality_block)

    @property
    def limited(self) -> bool:
        """Whether a budget or a ratio bounds the bytes."""
        return self.budget is not None or self.ratio is not None

    @property
    def rates(self) -> bool:
        """Whether a rate is asked for."""
        return self.limited or self.max_error is not None or self.quality is not None

    @property
    def quantizer(self) -> str | None:
        """Kind of quantizer asked for; None leaves it to the codec."""
        return "trellis" if self.trellis else None

    def together(self, groups: int, tile: int) -> int:
        """Return how many rows of tiles of a size are coded together, of so many groups of bands.

        Twice as large tiles hold as many lines.
        """
        return max(self.strips_at_once // (groups * -(-tile // _USUAL_TILE)), 1)

    def as_sent(self, header: SceneHeader) -> SceneHeader:
        """Return a header as the first segment tells it: of a stream without a budget no height."""
        is_stream = self.window == "strip" and self.budget is None
        return replace(header, height=0) if is_stream else header

    @property
    def segment_limit(self) -> int:
        """Most bytes of a segment, so that it fits a packet."""
        return min(self.segment_bytes, self.packets.room if self.packets else MAX_SEGMENT_BYTES)


def completed(options: Options, bundle: Bundle) -> Options:
    """Return options with the default rate filled in, for scenes that a bundle is for.

    Raises:
        UsageError: the bundle cannot keep the rate, or not with such tiles.
    """
    if options.max_error is not None or options.places:
        if bundle.bounded is None:
            raise UsageError(
                f"max error: bundle {bundle.name} has no part `bounded`, so it keeps none"
            )
        if bundle.profile is not None:
            raise UsageError("max error: expected no spectral profile, whose scenes keep no bound")
        if bundle.tile not in (_USUAL_TILE, 2 * _USUAL_TILE):
            raise UsageError(
                f"tile: expected {_USUAL_TILE} or {2 * _USUAL_TILE} within a bound on the error, "
                f"found {bundle.tile}"
            )
        if options.max_error is not None:
            return options
    if options.quality_block and bundle.profile is not None:
        raise UsageError("quality block: expected no spectral profile, whose components differ")
    if options.quality_block and bundle.tile % options.quality_block:
        raise UsageError(
            f"tile: expected a multiple of blocks of {options.quality_block}, found {bundle.tile}"
        )
    if bundle.variable_rate:
        return options if options.rates else replace(options, ratio=DEFAULT_RATIO)
    if options.rates or options.trellis:
        raise UsageError(f"rate, trellis: bundle {bundle.name} has a fixed rate")
    return options


def is_fixed(options: Options, bundle: Bundle) -> bool:
    """Return whether there is no rate to choose: no tile has to do with another."""
    return options.max_error is not None or not bundle.variable_rate
