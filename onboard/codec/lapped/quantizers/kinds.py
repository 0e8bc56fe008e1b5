"""Kinds of quantizer: one table."""

from collections.abc import Callable

from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.quantizers.deadzone import DeadZone
from onboard.codec.lapped.quantizers.quantizer import Quantizer
from onboard.codec.lapped.quantizers.trellis import Trellis

PLAIN, TRELLIS, ALL_SIGNS = "deadzone", "trellis", "all signs"
QUANTIZERS: dict[str, Callable[[LappedModel], Quantizer]] = {
    PLAIN: DeadZone.that_hides,
    TRELLIS: Trellis.of,
    ALL_SIGNS: DeadZone.of,
}
"""Quantizers by name; the first is used unless another is asked for."""
