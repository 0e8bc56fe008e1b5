"""The part `bounded`, put into a bundle that was made without it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import onnx

from onboard.bundle import Bundle
from onboard.codec.bounded.codec import BoundedCodec
from onboard.codec.kinds import BOUNDED, BOUNDED_SHA256
from onboard.errors import BundleError


def with_bounded(bundle: Bundle, packed: bytes) -> Bundle:
    """Return a bundle with a part `bounded`, in place of one that it may have.

    Streams of it name another model than those of the bundle.

    Raises:
        BundleError: the part is damaged, its golden tiles come out otherwise here, or the bundle's
            family has no such part.
    """
    if not BoundedCodec.read(packed).check().passed:
        raise BundleError("part bounded: its golden tiles come out otherwise here")
    wire = {**bundle.manifest["wire"], BOUNDED_SHA256: hashlib.sha256(packed).hexdigest()}
    said: Mapping[str, Any] = bundle.manifest
    parts = {**bundle.parts, BOUNDED: packed}
    return Bundle.assemble(bundle.name, wire, parts, said["encoder"], said["ground"])


def renamed(decoder: bytes, bundle: Bundle) -> bytes:
    """Return a decoder graph with the model hash of a bundle that it decodes as well."""
    model = onnx.load_from_string(decoder)
    for entry in model.metadata_props:
        if entry.key == "model_hash":
            entry.value = bundle.model_hash.hex()
    return bytes(model.SerializeToString())
