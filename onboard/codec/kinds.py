"""Kinds of codec: one table, so that nothing else asks which family a bundle is of.

A family is loaded when a bundle names it: what is not used does not fly.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from onboard.codec.bound import BoundedCodec
from onboard.codec.tile import Codec
from onboard.errors import BundleError

Read = Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, bytes]], Codec]
"""Makes a codec of the wire description, the entry `encoder` of the manifest and the parts."""


class Kind(NamedTuple):
    """A family of codecs.

    Attributes:
        parts: names of the parts of a bundle, in order.
        more: names of parts that it may have, too, before the last.
        read: builds the codec; raises BundleError or KeyError for values that do not fit.
    """

    parts: tuple[str, ...]
    read: Read
    more: tuple[str, ...] = ()

    def allows(self, parts: tuple[str, ...]) -> bool:
        """Return whether a bundle of the family may have these parts, in this order."""
        return parts in (self.parts, self.all_parts)

    @property
    def all_parts(self) -> tuple[str, ...]:
        """All parts that a bundle may have, in order."""
        return (*self.parts[:-1], *self.more, self.parts[-1])


def _corsa(
    wire: Mapping[str, Any], encoder: Mapping[str, Any], parts: Mapping[str, bytes]
) -> Codec:
    from onboard.codec.corsa.codec import CorsaCodec  # noqa: PLC0415

    return CorsaCodec.read(wire, encoder, parts)


def _lapped(
    wire: Mapping[str, Any], encoder: Mapping[str, Any], parts: Mapping[str, bytes]
) -> Codec:
    from onboard.codec.lapped.codec import LappedCodec  # noqa: PLC0415

    return LappedCodec.read(wire, encoder, parts)


def read_bounded(wire: Mapping[str, Any], parts: Mapping[str, bytes]) -> BoundedCodec | None:
    """Return what codes tiles within a bound, where a bundle has it.

    Raises:
        BundleError: the part does not match the wire description, or makes no sense.
    """
    wanted, packed = wire.get(BOUNDED_SHA256), parts.get(BOUNDED)
    if (wanted is None) != (packed is None):
        raise BundleError(
            f"part {BOUNDED}: expected it where {BOUNDED_SHA256} is, and nowhere else"
        )
    if packed is None:
        return None
    if hashlib.sha256(packed).hexdigest() != wanted:
        raise BundleError(f"part {BOUNDED}: SHA-256 does not match the wire description")
    from onboard.codec.bounded.codec import BoundedCodec as Bounded  # noqa: PLC0415

    return Bounded.read(packed, wire)


BOUNDED, BOUNDED_SHA256 = "bounded", "bounded_sha256"
"""Name of the part of the codec within a bound, and of its hash in the wire description."""
KINDS = {
    "fixed": Kind(("encoder.onnx", "encoder.tflite", "codebooks", "golden"), _corsa),
    "rans": Kind(("encoder.onnx", "encoder.tflite", "lapped", "golden"), _lapped, (BOUNDED,)),
}
"""Families by the kind of coder that a bundle names."""
