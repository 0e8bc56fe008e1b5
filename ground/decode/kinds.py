"""Kinds of coders, and who rebuilds what each wrote."""

from collections.abc import Callable, Mapping
from typing import Any

from ground.decode.bounded.rebuild import BoundedRebuilder
from ground.decode.corsa.rebuild import CorsaRebuilder
from ground.decode.lapped.rebuild import LappedRebuilder
from ground.decode.rebuilder import Rebuilder
from onboard.bundle import Bundle
from onboard.errors import UsageError

REBUILDERS: Mapping[str, Callable[[Bundle], Rebuilder[Any]]] = {
    "fixed": CorsaRebuilder,
    "rans": LappedRebuilder,
}
"""Family by kind of coder."""


def rebuilder_of(bundle: Bundle, bounded: bool = False, exact: bool = False) -> Rebuilder[Any]:
    """Return the rebuilder of what a bundle wrote.

    Args:
        bundle: bundle that wrote it.
        bounded: whether all of it is within a bound on the error.
        exact: whether pixels must be the same on every machine (SPEC.md, section 12).

    Raises:
        UsageError: they must, and the bundle's are not.
    """
    if bounded:
        return BoundedRebuilder(bundle)
    if exact and bundle.kind != "rans":
        raise UsageError(f"exact image: expected a bundle of coder rans, found {bundle.name}")
    return LappedRebuilder(bundle, exact) if exact else REBUILDERS[bundle.kind](bundle)
