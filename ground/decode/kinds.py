"""Kinds of coders, and who rebuilds what each wrote."""

from collections.abc import Callable, Mapping
from typing import Any

from ground.decode.bounded.rebuild import BoundedRebuilder
from ground.decode.corsa.rebuild import CorsaRebuilder
from ground.decode.lapped.rebuild import LappedRebuilder
from ground.decode.rebuilder import Rebuilder
from onboard.bundle import Bundle

REBUILDERS: Mapping[str, Callable[[Bundle], Rebuilder[Any]]] = {
    "fixed": CorsaRebuilder,
    "rans": LappedRebuilder,
}
"""Family by kind of coder."""


def rebuilder_of(bundle: Bundle, bounded: bool = False) -> Rebuilder[Any]:
    """Return the rebuilder of what a bundle wrote; `bounded` says within a bound on the error."""
    return BoundedRebuilder(bundle) if bounded else REBUILDERS[bundle.kind](bundle)
