"""Kinds of codec: one table, so that nothing else asks which family a bundle is of.

A family is loaded when a bundle names it: what is not used does not fly.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from onboard.codec.tile import Codec

Read = Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, bytes]], Codec]
"""Makes a codec of the wire description, the entry `encoder` of the manifest and the parts."""


class Kind(NamedTuple):
    """A family of codecs.

    Attributes:
        parts: names of the parts of a bundle, in order.
        read: builds the codec; raises BundleError or KeyError for values that do not fit.
    """

    parts: tuple[str, ...]
    read: Read


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


KINDS = {
    "fixed": Kind(("encoder.onnx", "encoder.tflite", "codebooks", "golden"), _corsa),
    "rans": Kind(("encoder.onnx", "encoder.tflite", "lapped", "golden"), _lapped),
}
"""Families by the kind of coder that a bundle names."""
PARTS = {kind: entry.parts for kind, entry in KINDS.items()}
"""Parts of a bundle by kind of coder."""
