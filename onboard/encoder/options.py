"""Options: what the caller of the encoder chooses."""

from dataclasses import dataclass, replace

from onboard.bundle import Bundle
from onboard.codec.bound import Bound
from onboard.encoder.boundedplace import BoundedPlace
from onboard.errors import UsageError
from onboard.link.binding import MAX_RUN, NO_RUN
from onboard.link.packet import PacketOptions
from onboard.link.segment import DEFAULT_SEGMENT_BYTES, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES

DEFAULT_RATIO = 20.48
WINDOWS = ("scene", "strip")
STRIPS_AT_ONCE = 8
PSNR_PEAK, MOST_PSNR = 65_535, 200
"""Peak of every PSNR that is asked for, and the greatest, dB."""


def rmse_of(psnr: float) -> float:
    """Return the root mean square error, DN, of a PSNR in dB.

    Raises:
        UsageError: it is out of range.
    """
    if not 0 <= psnr <= MOST_PSNR:
        raise UsageError(f"PSNR: expected 0..{MOST_PSNR} dB, found {psnr}")
    return float(PSNR_PEAK / 10 ** (psnr / 20))


@dataclass(frozen=True)
class Options:
    """What the caller chooses. Of budget, ratio, rmse and max_error one at most; else ratio 20.48.

    Attributes:
        scene_id: u16, told apart by the receiver.
        segment_bytes: most bytes of a segment, header and CRC included.
        one_layer: begin a new segment at every layer and send each row of tiles layer by layer, so
            that layers can be scheduled apart.
        budget: most bytes of the stream, packets included; bundles of variable rate only.
        ratio: raw bytes over bytes, instead.
        rmse: root mean square error aimed at, in DN, instead.
        window: over what the rate is controlled, 'scene' or 'strip' (one row of tiles).
        packets: how packets are formed; None for bare segments.
        strips_at_once: rows of tiles that are coded together where the window is the strip, for
            speed; of groups of bands so many fewer. The bytes do not depend on it.
        trellis: choose indices along a trellis: fewer bytes at the same quality, for more time.
        run: number that tells the encoding from others of the scene id, 1..2^24 - 1; None chooses
            one by scene and options, 0 is none, as of streams made before there were runs.
        max_error: most that any sample may be off, instead of a rate; bundles with a part `bounded`
            only.
        regions: places whose tiles are coded within a bound, in a scene of a rate; of several that
            a tile touches the first counts.
        max_error_first: bound of a first part of each tile, whose rest, to come within `max_error`,
            is sent apart.
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
        if self.rates > 1:
            raise UsageError("rate: expected one of a budget, a ratio and an error, found several")
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
        if self.rmse is not None and not 0 < self.rmse < 65_536:
            raise UsageError(f"RMSE: expected more than 0 DN, found {self.rmse}")
        if not 1 <= self.strips_at_once <= 1024:
            raise UsageError(f"strips at once: expected 1..1024, found {self.strips_at_once}")
        if self.window not in WINDOWS:
            raise UsageError(f"rate window: expected one of {WINDOWS}, found {self.window!r}")

    @property
    def _rates(self) -> tuple[object, ...]:
        return self.budget, self.ratio, self.rmse, self.max_error

    @property
    def rates(self) -> int:
        """How many rates are asked for."""
        return sum(rate is not None for rate in self._rates)

    @property
    def quantizer(self) -> str | None:
        """Kind of quantizer asked for; None leaves it to the codec."""
        return "trellis" if self.trellis else None

    def together(self, groups: int) -> int:
        """Return how many rows of tiles are coded together, of bands in so many groups."""
        return max(self.strips_at_once // groups, 1)

    @property
    def segment_limit(self) -> int:
        """Most bytes of a segment, so that it fits a packet."""
        return min(self.segment_bytes, self.packets.room if self.packets else MAX_SEGMENT_BYTES)


def completed(options: Options, bundle: Bundle) -> Options:
    """Return options with the default rate filled in, for scenes that a bundle is for.

    Raises:
        UsageError: the bundle cannot keep the rate.
    """
    if options.max_error is not None or options.regions:
        if bundle.bounded is None:
            raise UsageError(
                f"max error: bundle {bundle.name} has no part `bounded`, so it keeps none"
            )
        if bundle.profile is not None:
            raise UsageError("max error: expected no spectral profile, whose scenes keep no bound")
        if options.max_error is not None:
            return options
    if bundle.variable_rate:
        return options if options.rates else replace(options, ratio=DEFAULT_RATIO)
    if options.rates or options.trellis:
        raise UsageError(f"rate, trellis: bundle {bundle.name} has a fixed rate")
    return options
