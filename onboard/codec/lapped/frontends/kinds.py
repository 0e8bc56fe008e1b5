"""Kinds of front end: one table."""

from collections.abc import Callable

from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd
from onboard.codec.lapped.frontends.frontend import FrontEnd

FRONT_ENDS: dict[str, Callable[[int], FrontEnd]] = {"adaptive": AdaptiveFrontEnd}
"""Front ends of a number of bands, by the kind that a bundle names."""
